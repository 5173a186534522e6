"""What a drain waits for, and ends."""

import asyncio
from dataclasses import replace

import pytest

from tests.fakes.pipeline import RECORD, snapshot
from tollway.app.gateway.running import Running
from tollway.domain.access import find_principal


class Relay:
    def __init__(self):
        self.stopped = None

    def stop(self, failure):
        self.stopped = failure


async def test_nothing_running_is_idle_at_once():
    """No waiting where there is nothing to wait for."""
    assert await Running().wait_idle(0) is True


async def test_a_drain_waits_for_the_last_one():
    """Idle when the last relay is settled, not before."""
    running, first, second = Running(), Relay(), Relay()
    running.add(first)
    running.add(second)
    waiting = asyncio.ensure_future(running.wait_idle(5))
    await asyncio.sleep(0)
    running.discard(first)
    await asyncio.sleep(0)
    assert not waiting.done()
    running.discard(second)
    assert await waiting is True


async def test_after_the_time_the_rest_is_ended():
    """What is still running is told to stop; each settles itself."""
    running, relay = Running(), Relay()
    running.add(relay)
    assert await running.wait_idle(0.01) is False
    assert running.stop_all() == 1
    assert relay.stopped.cause == "drained"
    assert len(running) == 1


class Stream(Relay):
    """A relay of this key's."""

    def __init__(self, principal, *, streams=True):
        super().__init__()
        self.principal, self.streams = principal, streams


@pytest.mark.parametrize(
    ("change", "goes_on"),
    [
        ({}, True),
        ({"revoked_s": 1.0}, False),
        ({"digest": b"another"}, False),
        ({"expires_s": 5.0}, False),
        ({"expires_s": 50.0}, True),
        (None, False),
    ],
)
async def test_a_stream_ends_with_its_key(change, goes_on):
    """Revoked, replaced, gone, or given an end that is over: cut. Whole answers are let finish."""
    before = snapshot()
    principal = find_principal(before, RECORD)
    stream, answer = Stream(principal), Stream(principal, streams=False)
    running = Running()
    running.add(stream)
    running.add(answer)
    keys = {} if change is None else {RECORD.id: replace(RECORD, **change)}
    assert await running.cut_revoked(snapshot(keys=keys), 10.0) == (not goes_on)
    assert answer.stopped is None
    assert (stream.stopped is None) == goes_on
    if not goes_on:
        assert stream.stopped.cause == "revoked"


async def test_a_key_that_came_to_its_end_lets_finish():
    """The end was known when the stream began."""
    key = replace(RECORD, expires_s=5.0)
    published = snapshot(keys={RECORD.id: key})
    stream, running = Stream(find_principal(published, key)), Running()
    running.add(stream)
    assert await running.cut_revoked(published, 10.0) == 0


async def test_a_deactivated_tenants_streams_end():
    """All of them, and others run between the looks."""
    before = snapshot()
    principal = find_principal(before, RECORD)
    running = Running()
    for _ in range(450):
        running.add(Stream(principal))
    tenants = {RECORD.tenant_id: replace(principal.tenant, active=False)}
    assert await running.cut_revoked(snapshot(tenants=tenants), 10.0) == 450
