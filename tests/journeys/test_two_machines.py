"""Two machines on one PostgreSQL: what is written on one is served by the other, and what both
used stands in one ledger.
"""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.conftest import Show
from tests.fakes.gateway import a_manifest
from tests.fakes.machines import Machine, seconds_until
from tests.fakes.postgres import postgres_database
from tests.fakes.provider import ProviderProcess

pytestmark = pytest.mark.slow


@dataclass
class Pair:
    """Both, one tenant's id on them, and a client of each that keeps its connection."""

    a: Machine
    b: Machine
    tenant: str


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("machines")
    provider = ProviderProcess(folder / "truth")
    with postgres_database() as url:
        a, b = Machine(folder / "a", url), Machine(folder / "b", url)
        try:
            a.apply(a_manifest(provider.base_url))
            for machine in (a, b):
                machine.start()
            status, found = a.admin("GET", "/tenants?slug=acme")
            assert status == 200
            yield Pair(a, b, found["data"][0]["id"])
        finally:
            a.close()
            b.close()
            provider.stop()


def new_key(machine: Machine, tenant: str, name: str) -> tuple[str, str]:
    """Id and text of a key that a machine's admin API made."""
    made = machine.made(f"/tenants/{tenant}/keys", {"name": name})
    return made["id"], made["key"]


def test_the_first_request_after_a_201_succeeds_on_every_machine(pair: Pair, show: Show) -> None:
    """Keys made on A: the first request with each, on B, is answered. 100 of 100, each on a new
    connection, so that either worker of B may get it."""
    refused = []
    for number in range(100):
        _, key = new_key(pair.a, pair.tenant, f"first-{number}")
        with pair.b.asker() as asker:
            if asker.models(key) != 200:
                refused.append(number)
    assert refused == []


def test_a_key_revoked_here_is_refused_there_within_a_second(pair: Pair, show: Show) -> None:
    """Told through the database; asked without a pause from the answer on."""
    took: list[float] = []
    with pair.b.asker() as asker:
        for number in range(20):
            key_id, key = new_key(pair.a, pair.tenant, f"revoked-{number}")
            assert asker.models(key) == 200
            status, _ = pair.a.admin("POST", f"/tenants/{pair.tenant}/keys/{key_id}/revoke")
            assert status == 200
            took.append(seconds_until(asker, key, 401))
    show(f"20 revocations: median {statistics.median(took):.3f} s, max {max(took):.3f} s")
    assert max(took) <= 1.0
