"""The keeper: the one process of a machine that speaks SQL for the data plane. It brings the schema
up, publishes the configuration as a file, and ships every journal of the machine into the ledger.
Workers serve on without it; what it has not shipped yet waits in the journals.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from tollway.adapters.control.lifeline import FINISH, ChildLifeline
from tollway.adapters.control.server import Ask, ControlServer
from tollway.app.ports import StoreUnavailableError
from tollway.cli.logs import configure_logs
from tollway.cli.publishing import Publisher
from tollway.config import Settings, from_values
from tollway.wiring.keeper import Keeper

_log = logging.getLogger(__name__)
_POLL_S = 0.25
_RECOVER_S = 5.0
_TIDY_S = 3600.0
_AUDIT_HEAD_S = 60.0
_NICE = 15  # shipping comes in bursts; on a busy core a request must never wait for one
SOCKET_NAME = "keeper.sock"


async def run(lifeline: ChildLifeline, settings: Settings) -> None:
    """Publish and ship until told to leave; then ship what is left."""
    keeper = await asyncio.to_thread(Keeper, settings)
    publisher = Publisher(keeper.snapshots, settings.run_dir)
    await publisher.begin()
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(FINISH, stop.set)
    # These two are the supervisor's to handle: we stay until the workers have written their last.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: None)
    lifeline.watch(loop, stop.set)
    control = ControlServer(
        os.path.join(settings.run_dir, SOCKET_NAME), _actions(keeper, publisher)
    )
    await control.start()
    lifeline.report("ready", version=publisher.version)
    jobs = [
        asyncio.create_task(_every(_POLL_S, publisher.publish)),
        asyncio.create_task(_every(settings.ship_interval_s, _in_thread(keeper.ship))),
        asyncio.create_task(_every(_RECOVER_S, _in_thread(keeper.recover))),
        asyncio.create_task(_every(_TIDY_S, _in_thread(keeper.seed_prices))),
        asyncio.create_task(_every(_TIDY_S, _in_thread(keeper.tidy))),
        asyncio.create_task(_every(_AUDIT_HEAD_S, _in_thread(keeper.export_audit_head))),
    ]
    left = asyncio.create_task(stop.wait())
    # A job ends by a bug alone: then the process ends too, and starts afresh.
    await asyncio.wait([left, *jobs], return_when=asyncio.FIRST_COMPLETED)
    for task in (left, *jobs):
        task.cancel()
    ends = await asyncio.gather(*jobs, return_exceptions=True)
    await publisher.close()
    await asyncio.to_thread(keeper.ship_all)
    await control.close()
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _every(interval_s: float, job: Callable[[], Any]) -> None:
    """Run a job again and again; a database that is away, or a full disk, is said once."""
    failing = False
    while True:
        try:
            await job()
            failing = False
        except (StoreUnavailableError, OSError) as error:
            if not failing:
                _log.warning("trying again until it works", extra={"error": str(error)})
            failing = True
        await asyncio.sleep(interval_s)


def _in_thread(job: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: asyncio.to_thread(job)


def _actions(keeper: Keeper, publisher: Publisher) -> dict[str, Any]:
    async def publish(_: Ask) -> Ask:
        return {"version": await publisher.publish()}

    async def ship(_: Ask) -> Ask:
        await asyncio.to_thread(keeper.ship_all)
        return {}

    return {"publish": publish, "ship": ship}


def main() -> None:
    """The process. Its one argument is the lifeline's descriptor."""
    lifeline = ChildLifeline(int(sys.argv[1]))
    settings = from_values(lifeline.settings()["settings"])
    configure_logs("keeper", settings.log_level)
    os.nice(_NICE)
    asyncio.run(run(lifeline, settings))


if __name__ == "__main__":
    main()
