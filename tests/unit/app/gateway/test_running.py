"""What a drain waits for, and ends."""

import asyncio

from tollway.app.gateway.running import Running


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
