"""What the server decides without a socket: how many connections fit."""

import resource

import pytest

from tollway.web.gateway.options import ServerOptions
from tollway.web.gateway.server import _capacity


@pytest.mark.parametrize(
    ("descriptors", "capacity"),
    [(256, 64), (1_024, 448), (64, 16), (1_000_000, 10_000), (resource.RLIM_INFINITY, 10_000)],
)
def test_capacity_follows_the_descriptor_limit(monkeypatch, descriptors, capacity):
    """There are never more connections than descriptors for them and their upstreams."""
    monkeypatch.setattr(resource, "getrlimit", lambda which: (descriptors, descriptors))
    assert _capacity(ServerOptions(max_connections=10_000)) == capacity
