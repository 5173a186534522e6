"""Two workers before one account of a provider, over sockets: both together never exceed what it
takes, a tenant on one connection has its turns beside a crowd on all of them, and what one worker
is told the other heeds.
"""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from statistics import median

import pytest

from tests.fakes.counted import Counted, Metered
from tests.fakes.gateway import a_manifest, wait_until
from tests.fakes.stage import Stage
from tollway.adapters.control.client import ask_now

_AT_ONCE = 4
_TAKES_S = 0.08


class Journey:
    """The gateway, the two accounts behind it, and the tenants' keys."""

    def __init__(self, stage: Stage, accounts: dict[str, Counted], metered: Metered) -> None:
        self.stage = stage
        self.accounts = accounts
        self.metered = metered
        self.crowd, self.quiet = stage.tree.keys

    def chat(
        self, connection: http.client.HTTPConnection, model: str, key: str
    ) -> tuple[int, dict[str, str]]:
        """Status and headers of one request."""
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        reply = connection.getresponse()
        reply.read()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}

    def at(self, slot: int) -> http.client.HTTPConnection:
        """A connection that this worker serves."""
        for _ in range(60):
            before = self._connections(slot)
            connection = self.stage.connect()
            connection.request(
                "GET", "/v1/models", headers={"authorization": f"Bearer {self.quiet}"}
            )
            connection.getresponse().read()
            if self._connections(slot) > before:
                return connection
            connection.close()
        raise AssertionError(f"worker {slot} takes no connection")

    def _connections(self, slot: int) -> int:
        path = str(self.stage.tree.data_dir / "run" / f"{slot}.sock")
        return int(ask_now(path, "counters")["connections"])


@pytest.fixture
def journey(tmp_path) -> Iterator[Journey]:
    accounts = {"bounded": Counted(), "learned": Counted()}
    stage = Stage(tmp_path, workers=2)
    stage.manifest = a_manifest(stage.provider.base_url, tenants=("crowd", "quiet"))
    stage.add_provider("bounded", accounts["bounded"].raw.base_url, requests_at_once=_AT_ONCE)
    stage.add_provider("learned", accounts["learned"].raw.base_url)
    metered = Metered(60, 3.0)
    stage.add_provider("metered", metered.raw.base_url)
    try:
        stage.begin()
        yield Journey(stage, accounts, metered)
    finally:
        stage.close()
        for account in (*accounts.values(), metered):
            account.raw.stop()


@contextlib.contextmanager
def beside_a_crowd(
    journey: Journey, streams: int, model: str = "bounded", told: list[int] | None = None
) -> Iterator[None]:
    """Half of a crowd at each worker, always asking; `told` gets the status of each answer."""
    over = threading.Event()
    statuses = [] if told is None else told

    def ask(connection: http.client.HTTPConnection) -> None:
        with contextlib.closing(connection):
            while not over.is_set():
                statuses.append(journey.chat(connection, model, journey.crowd)[0])

    threads = [
        threading.Thread(target=ask, args=(journey.at(number % 2),)) for number in range(streams)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def asked_in_turn(journey: Journey, number: int) -> list[float]:
    """Seconds that each request of the quiet tenant takes, one after the other at one worker."""
    took = []
    with contextlib.closing(journey.at(0)) as connection:
        for _ in range(number):
            began = time.monotonic()
            assert journey.chat(connection, "bounded", journey.quiet)[0] == 200
            took.append(time.monotonic() - began)
    return took


def test_one_connection_beside_a_crowd_at_both_workers(journey, show):
    """It waits for about one turn of the account, not for those of the crowd before it; and both
    workers together never ask for more at a time than the account takes."""
    account = journey.accounts["bounded"]
    alone = median(asked_in_turn(journey, 10))
    with beside_a_crowd(journey, 24):
        time.sleep(0.5)
        beside = asked_in_turn(journey, 25)
    late = sorted(beside)[-2]
    show(
        f"alone {alone:.3f} s, beside a crowd {median(beside):.3f} s, {late:.3f} s at most but one"
    )
    assert account.most == _AT_ONCE
    # Behind a crowd of 24 it would wait for six rounds of the account.
    assert median(beside) <= alone + 3 * _TAKES_S
    assert late <= alone + 1.0


def test_a_complaint_to_one_worker_is_heeded_by_the_other(journey):
    """Within a second; nothing is sent there by any of them until the time it said."""
    account = journey.accounts["learned"]
    with contextlib.closing(journey.at(0)) as one, contextlib.closing(journey.at(1)) as other:
        assert journey.chat(other, "learned", journey.quiet)[0] == 200
        account.complains = True
        assert journey.chat(one, "learned", journey.quiet)[0] == 429
        time.sleep(0.5)
        asked = account.asked
        for connection in (other, one):
            status, headers = journey.chat(connection, "learned", journey.quiet)
            assert status == 429
            assert 20 <= int(headers["retry-after"]) <= 31  # by chance up to a second more
    assert account.asked == asked


def test_what_a_killed_worker_had_is_room_for_the_other(journey):
    """Within seconds: the other waits for it no longer than a request may wait for its turn."""
    account = journey.accounts["bounded"]
    account.takes_s = 15.0
    with contextlib.ExitStack() as stack:
        threads = []
        for _ in range(_AT_ONCE):
            connection = stack.enter_context(contextlib.closing(journey.at(0)))

            def ask(connection=connection):
                with contextlib.suppress(OSError, http.client.HTTPException):
                    journey.chat(connection, "bounded", journey.crowd)

            threads.append(threading.Thread(target=ask))
            threads[-1].start()
        wait_until(lambda: account.asked == _AT_ONCE)
        account.takes_s = 0.0
        other = stack.enter_context(contextlib.closing(journey.at(1)))
        status, headers = journey.chat(other, "bounded", journey.quiet)
        assert (status, account.asked) == (429, _AT_ONCE)
        assert headers["retry-after"]
        journey.stage.tree.kill_worker(0)
        assert journey.chat(other, "bounded", journey.quiet)[0] == 200
        for thread in threads:
            thread.join()


def test_an_account_is_asked_at_the_pace_that_it_tells(journey, show):
    """Its headers say how much it has left: both workers go on as fast as it gives back, so that
    nobody is refused, and nothing of it is left unused."""
    account, told = journey.metered, []
    with beside_a_crowd(journey, 24, "metered", told):
        time.sleep(3.0)  # what it takes at once is used up
        before, began = account.answered, time.monotonic()
        time.sleep(4.0)
        answered, took_s = account.answered - before, time.monotonic() - began
    part = answered / took_s / account.pace_s
    show(f"{part:.2f} of its pace, {account.refused} of {len(told)} refused by it")
    assert part >= 0.8
    assert account.refused <= 0.02 * len(told)
    assert set(told) <= {200, 429}
    assert told.count(429) <= 0.02 * len(told)
