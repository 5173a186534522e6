"""Every setting reaches the floor that it is about."""

from dataclasses import fields
from typing import Any

import pytest

from tollway.config import Settings, from_values
from tollway.wiring.options import echo_options, server_options, upstream_options

# What a setting is called where it is used, where that is another name.
SERVER = {
    "connections": "max_connections",
    "connections_per_ip": "max_connections_per_peer",
    "header_timeout_s": "head_timeout_s",
    "body_timeout_s": "body_timeout_s",
    "keepalive_timeout_s": "idle_timeout_s",
    "write_stall_timeout_s": "write_timeout_s",
}
UPSTREAM = [name for name in Settings.__struct_fields__ if name.startswith("upstream_")]


def unusual(name: str) -> Any:
    """A value that is nobody's default."""
    return "/else" if name.endswith(("_file", "_url")) else 1234


@pytest.mark.parametrize("name", UPSTREAM)
def test_the_way_to_providers(name: str) -> None:
    """Each `upstream_*` setting changes the client's option of that name, and nothing else."""
    changed = upstream_options(from_values({name: unusual(name)}))
    usual = upstream_options(Settings())
    differing = {
        field.name
        for field in fields(usual)
        if getattr(changed, field.name) != getattr(usual, field.name)
    }
    assert differing == {name.removeprefix("upstream_")}
    assert getattr(changed, name.removeprefix("upstream_")) == unusual(name)


def test_the_provider_in_process() -> None:
    """Echo has the same deadlines, each under the same name."""
    usual = echo_options(Settings())
    for field in fields(usual):
        changed = echo_options(from_values({f"upstream_{field.name}": 1234}))
        assert getattr(changed, field.name) == 1234
        assert changed != usual


@pytest.mark.parametrize("name", SERVER)
def test_the_way_from_clients(name: str) -> None:
    """Each setting about clients reaches the server."""
    assert getattr(server_options(from_values({name: 1234})), SERVER[name]) == 1234
