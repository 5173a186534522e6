"""Two machines before one account of a provider, with a server where they tell each other of it."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import Show
from tests.fakes.counted import Counted
from tests.fakes.gateway import a_manifest
from tests.fakes.machines import CHAT, Machine
from tests.fakes.postgres import postgres_database
from tests.fakes.valkey import Valkey

pytestmark = pytest.mark.slow
_AT_ONCE = 8


class Machines:
    """Both, the account, and the tenants' keys."""

    def __init__(self, folder: Path, url: str, valkey: Valkey) -> None:
        self.account = Counted()
        self.x, self.y = (
            Machine(folder / name, url, workers=2, redis_url=valkey.url) for name in "xy"
        )
        base_url = self.account.raw.base_url
        manifest = a_manifest(base_url, tenants=("crowd", "quiet"), requests_at_once=_AT_ONCE)
        manifest["providers"].append(
            {"name": "free", "kind": "openai_compatible", "base_url": base_url}
        )
        manifest["models"].append({"name": "free", "targets": [{"provider": "free", "model": "m"}]})
        self.x.apply(manifest)
        self.crowd, self.quiet = self.x.keys
        self.x.start()
        self.y.start()

    def close(self) -> None:
        """End all of it."""
        self.x.close()
        self.y.close()
        self.account.raw.stop()


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    valkey = Valkey()
    try:
        with postgres_database() as url:
            made = Machines(tmp_path, url, valkey)
            try:
                yield made
            finally:
                made.close()
    finally:
        valkey.stop()


def chat(connection: http.client.HTTPConnection, key: str, model: str = "small") -> int:
    """The status of a request."""
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    connection.request("POST", CHAT, json.dumps(body), headers)
    reply = connection.getresponse()
    reply.read()
    return reply.status


def connect(machine: Machine) -> http.client.HTTPConnection:
    """To any of its workers."""
    parts = urlsplit(machine.url)
    return http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)


class Crowd:
    """Streams of one tenant at one machine that always ask, and how many were answered."""

    def __init__(self, machine: Machine, key: str, streams: int) -> None:
        self.answered = 0
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._ask, args=(machine, key)) for _ in range(streams)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Wait for the last ones."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, machine: Machine, key: str) -> None:
        with closing(connect(machine)) as connection:
            while not self._over.is_set():
                status = chat(connection, key)
                with self._lock:
                    self.answered += status == 200


def test_shares_and_capacity_hold_over_machines(machines: Machines, show: Show) -> None:
    """A crowd at both machines and a tenant of the same weight at one of them have about the same;
    once they have met, both machines together ask for one more than the account takes at most."""
    crowds = [Crowd(one, machines.crowd, 12) for one in (machines.x, machines.y)]
    quiet = Crowd(machines.x, machines.quiet, 12)
    try:
        time.sleep(5)
        machines.account.most = 0
        before = sum(one.answered for one in crowds), quiet.answered
        began = time.monotonic()
        time.sleep(10)
        lasted_s = time.monotonic() - began
        after = sum(one.answered for one in crowds), quiet.answered
    finally:
        for one in (*crowds, quiet):
            one.stop()
    theirs, mine = (second - first for first, second in zip(before, after, strict=True))
    takes = _AT_ONCE / machines.account.takes_s * lasted_s
    most = machines.account.most
    show(f"crowd {theirs}, quiet {mine}, {(theirs + mine) / takes:.2f} used, {most} at once")
    assert most <= _AT_ONCE + 1
    assert 0.8 <= mine / theirs <= 1.25
    assert theirs + mine >= 0.6 * takes


def test_a_complaint_to_one_machine_is_heeded_by_the_other(machines: Machines) -> None:
    """Within a second."""
    account = machines.account
    with closing(connect(machines.x)) as one, closing(connect(machines.y)) as other:
        assert [chat(each, machines.quiet, "free") for each in (one, other)] == [200, 200]
        account.complains = True
        assert chat(one, machines.quiet, "free") == 429
        time.sleep(1.0)
        asked = account.asked
        assert chat(other, machines.quiet, "free") == 429
        assert account.asked == asked
