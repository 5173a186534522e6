"""The keeper: the one process of a machine that speaks SQL for the data plane. It brings the schema
up, publishes the configuration as a file, and ships every journal of the machine into the ledger.
Workers serve on without it; what it has not shipped yet waits in the journals.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from tollway.adapters.control.counting import read_counters
from tollway.adapters.control.lifeline import FINISH, ChildLifeline, heed_no_more
from tollway.adapters.control.server import Ask, ControlServer, Declined
from tollway.adapters.control.snapshot_writer import SnapshotWriter
from tollway.app.jobs.alert import pause_s
from tollway.app.ports import StoreUnavailableError
from tollway.cli.logs import configure_logs
from tollway.cli.publishing import Publisher
from tollway.config import Settings, SettingsError, from_values
from tollway.domain.gateways import BEAT_S
from tollway.wiring.keeper import Keeper

_log = logging.getLogger(__name__)
_POLL_S = 0.25
_REOPEN_S = 1.0
_RECOVER_S = 5.0
_AMEND_S = 2.0
_PRICES_S = 1.0
_TIDY_S = 3600.0
_RETAIN_S = 3600.0
_AUDIT_HEAD_S = 60.0
_TELL_S = 1.0
# Shipping comes in bursts, and on a busy core a request must never wait for one; what is published
# must not wait either. Not further back: where all is busy, 15 leaves a thread one per cent of a
# core, and then a worker that asks what a counter has is not answered in time.
_NICE = 5
SOCKET_NAME = "keeper.sock"


async def run(lifeline: ChildLifeline, settings: Settings) -> None:
    """Publish and ship until told to leave; then ship what is left. Raises SettingsError, and
    StoreUnavailableError when there is nothing to serve from either."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(FINISH, stop.set)
    # These two are the supervisor's to handle: we stay until the workers have written their last.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: None)
    lifeline.watch(loop, stop.set)
    left = asyncio.create_task(stop.wait())
    behind = ThreadPoolExecutor(4, "behind", initializer=_step_back)
    opening = asyncio.create_task(_opened(lifeline, settings, behind))
    await asyncio.wait([left, opening], return_when=asyncio.FIRST_COMPLETED)
    if not opening.done():
        opening.cancel()  # what the journals hold stays there
        return
    keeper, publisher = opening.result()
    control = ControlServer(
        os.path.join(settings.run_dir, SOCKET_NAME), _actions(keeper, publisher)
    )
    await control.start()
    lifeline.report("ready", version=publisher.version)
    try:
        await _work(keeper, publisher, settings, behind=behind, left=left)
    finally:
        await publisher.close()
        await asyncio.to_thread(keeper.ship_all)
        with suppress(StoreUnavailableError):
            await asyncio.to_thread(keeper.leave)
        await control.close()
        behind.shutdown(wait=False)
        heed_no_more(loop, FINISH, signal.SIGTERM)


async def _opened(
    lifeline: ChildLifeline, settings: Settings, behind: Executor
) -> tuple[Keeper, Publisher]:
    """The parts, with a first publication. While the database is away, the snapshot that a
    predecessor left is served: what is known already goes on to work."""
    waiting = False
    while True:
        try:
            keeper = await asyncio.to_thread(Keeper, settings)
            await asyncio.to_thread(keeper.beat)
            if keeper.counting_problem is not None:
                await asyncio.to_thread(keeper.leave)
                raise SettingsError(keeper.counting_problem)
            publisher = Publisher(keeper.snapshots, settings.run_dir, behind=behind)
            await publisher.begin()
        except StoreUnavailableError as error:
            if not waiting:
                last = SnapshotWriter(settings.run_dir)
                if not await asyncio.to_thread(last.adopt):
                    raise
                _log.error(
                    "the database is away; the last configuration is served until it is back",
                    extra={"error": str(error), "version": last.version},
                )
                lifeline.report("ready", version=last.version)
            waiting = True
            await asyncio.sleep(_REOPEN_S)
        else:
            return keeper, publisher


async def _work(
    keeper: Keeper,
    publisher: Publisher,
    settings: Settings,
    *,
    behind: Executor,
    left: "asyncio.Task[Any]",
) -> None:
    """The jobs, side by side, until it is time to leave."""
    listening = ThreadPoolExecutor(1, "listener")  # it waits: no other job's thread is for that
    loop = asyncio.get_running_loop()

    def every(interval_s: float, job: Callable[[], Any]) -> "asyncio.Task[None]":
        again = _again(lambda: loop.run_in_executor(behind, job), lambda: asyncio.sleep(interval_s))
        return asyncio.create_task(again)

    took_s = 0.0

    async def alert() -> None:
        nonlocal took_s
        began = loop.time()
        await loop.run_in_executor(behind, keeper.alert)
        took_s = loop.time() - began

    async def rest() -> None:
        await asyncio.sleep(pause_s(took_s))

    jobs = [
        asyncio.create_task(
            _again(publisher.publish, lambda: loop.run_in_executor(listening, keeper.hear, _POLL_S))
        ),
        every(settings.ship_interval_s, keeper.ship),
        every(_RECOVER_S, keeper.recover),
        every(_AMEND_S, keeper.amend),
        every(_PRICES_S, keeper.publish_prices),
        every(BEAT_S, keeper.beat),
        every(_TIDY_S, keeper.tidy),
        every(_RETAIN_S, keeper.retain),
        every(_AUDIT_HEAD_S, keeper.export_audit_head),
        asyncio.create_task(_again(alert, rest)),
        every(_TELL_S, keeper.tell),
    ]
    # A job ends by a bug alone: then the process ends too, and starts afresh.
    await asyncio.wait([left, *jobs], return_when=asyncio.FIRST_COMPLETED)
    for task in (left, *jobs):
        task.cancel()
    ends = await asyncio.gather(*jobs, return_exceptions=True)
    listening.shutdown(wait=False)
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _again(job: Callable[[], Awaitable[Any]], pause: Callable[[], Awaitable[Any]]) -> None:
    """Run a job again after each pause; a database that is away, or a full disk, is said once."""
    failing = False
    while True:
        try:
            await job()
            failing = False
        except (StoreUnavailableError, OSError) as error:
            if not failing:
                _log.warning("trying again until it works", extra={"error": str(error)})
            failing = True
        await pause()


def _step_back() -> None:
    """This thread goes after others. Linux knows niceness by thread; elsewhere nothing happens."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def _actions(keeper: Keeper, publisher: Publisher) -> dict[str, Any]:
    async def publish(_: Ask) -> Ask:
        try:
            return {"version": await publisher.publish()}
        except (StoreUnavailableError, OSError) as error:  # a disk may be full
            raise Declined(str(error)) from error

    async def ship(_: Ask) -> Ask:
        await asyncio.to_thread(keeper.ship_all)
        return {}

    async def count(ask: Ask) -> Ask:
        if keeper.counting_problem is not None:
            raise Declined(keeper.counting_problem)
        refs = read_counters(ask["counters"])
        # Who shares counters with others holds on in them; else a successor counts on.
        held: list[list[int]] = []
        if not ask["shared"]:
            held = await publisher.hand_over(refs, but=int(ask["slot"]))
        try:
            used, shipped, closed = await asyncio.to_thread(keeper.count, refs)
        except StoreUnavailableError as error:
            raise Declined(str(error)) from error
        return {
            "used": [list(one.items()) for one in used],
            "foreign": [sum(column) for column in zip(*held, strict=True)] or [0] * len(refs),
            "upto": shipped.get(str(ask["source"]), (0, 0)),
            "others": [(source, *place) for source, place in shipped.items()],
            "closed": closed,
            "settling": bool(held),
        }

    return {"publish": publish, "ship": ship, "count": count}


def main() -> None:
    """The process. Its one argument is the lifeline's descriptor."""
    lifeline = ChildLifeline(int(sys.argv[1]))
    settings = from_values(lifeline.settings()["settings"])
    configure_logs("keeper", settings.log_level)
    try:
        asyncio.run(run(lifeline, settings))
    except SettingsError as error:
        lifeline.report("refused", reason=str(error))
        sys.exit(1)
    except StoreUnavailableError as error:
        lifeline.report("refused", reason=f"The database cannot be used right now: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
