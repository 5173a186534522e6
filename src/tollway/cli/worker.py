"""A gateway worker: one loop that serves requests, and nothing else. Started by the supervisor with
a listening socket; when the supervisor dies or asks, it stops accepting, finishes what runs,
settles all of it and leaves.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

import uvloop

from tollway.adapters.control.lifeline import FINISH, ChildLifeline, heed_no_more
from tollway.adapters.control.server import Ask, ControlServer
from tollway.app.gateway.explain import explain
from tollway.app.gateway.health import ejected
from tollway.app.gateway.standing import look_at
from tollway.app.ports import SecretError
from tollway.cli.logs import configure_logs
from tollway.config import Settings, SettingsError, from_values
from tollway.domain.ids import QuotaId
from tollway.web.gateway.explained import asked_of, explanation_values
from tollway.wiring.gateway import Worker

_log = logging.getLogger(__name__)
_REFRESH_S = 0.5
# Requests leave few cycles behind; looking for them every 700 objects costs more than they weigh.
_GC_THRESHOLD = 20_000
_LAST_SETTLE_S = 5.0


async def run(lifeline: ChildLifeline, settings: Settings, given: dict[str, Any]) -> None:
    """Serve until told to leave or left alone."""
    worker = Worker(settings, given["index"], succeeds=given["succeeds"])
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    hurry = asyncio.Event()

    def finish() -> None:
        hurry.set()
        stop.set()

    loop.add_signal_handler(FINISH, finish)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C is the supervisor's to handle
    lifeline.watch(loop, stop.set)
    await worker.open()
    await worker.server.start(socket.socket(fileno=given["listen_fd"]), worker.tls)
    control = ControlServer(
        os.path.join(settings.run_dir, f"{worker.slot}.sock"), _actions(worker, stop.set)
    )
    await control.start()
    refresh = asyncio.create_task(_refresh(worker))
    exact = asyncio.create_task(worker.keep_exact())
    accounts = asyncio.create_task(worker.keep_accounts())
    probing = asyncio.create_task(worker.keep_probing())
    following = asyncio.create_task(worker.keep_following())
    # What start-up made lives as long as the process: the collector need never look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD, 20, 50)
    lifeline.report("ready", slot=worker.slot, version=worker.source.current.version)
    await stop.wait()
    lifeline.report("draining")
    worker.leave()
    probing.cancel()
    following.cancel()
    await _drain(worker, settings, hurry)
    refresh.cancel()
    exact.cancel()
    accounts.cancel()
    await control.close()
    await worker.close()
    lifeline.report("stopped", metrics=worker.metrics())
    heed_no_more(loop, FINISH, signal.SIGTERM)


async def _drain(worker: Worker, settings: Settings, hurry: asyncio.Event) -> None:
    """Finish what runs within the drain time; then end the rest, each settled by its own task."""
    draining = asyncio.create_task(_finish(worker, settings.drain_timeout_s))
    waiting = asyncio.create_task(hurry.wait())
    await asyncio.wait([draining, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    worker.gateway.running.stop_all()
    await worker.gateway.running.wait_idle(_LAST_SETTLE_S)
    draining.cancel()
    with suppress(asyncio.CancelledError):
        await draining
    await worker.server.close()


async def _finish(worker: Worker, timeout_s: float) -> None:
    """Until clients have their answers, and those are made that nobody waits for."""
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_s
    await worker.server.drain(timeout_s)
    await worker.gateway.running.wait_idle(max(0.0, until - loop.time()))


async def _refresh(worker: Worker) -> None:
    """Serve a newer configuration soon even if no nudge comes. One that cannot be read must end
    neither the looking nor the serving; it is said once."""
    failing = False
    while True:
        await asyncio.sleep(_REFRESH_S)
        worker.renew_prices()
        if not worker.source.changed():
            continue
        try:
            await worker.refresh()
            failing = False
        except (SecretError, OSError) as error:
            if not failing:
                _log.error("a newer configuration cannot be used", extra={"error": str(error)})
            failing = True


def _actions(worker: Worker, leave: Any) -> dict[str, Any]:
    async def metrics(_: Ask) -> Ask:
        return {"metrics": {**worker.metrics(), "gauges": worker.gauges()}}

    async def version(_: Ask) -> Ask:
        await worker.refresh()
        return {"version": worker.source.current.version}

    async def environment(ask: Ask) -> Ask:
        return {"present": [name for name in ask.get("names", ()) if os.environ.get(name)]}

    async def counters(_: Ask) -> Ask:
        return {
            "running": len(worker.gateway.running),
            "connections": worker.server.open_connections,
        }

    async def hand_over(ask: Ask) -> Ask:
        keys = [(str(rule), int(start_s)) for rule, start_s in ask["counters"]]
        return {"held": worker.hand_over(keys)}

    async def reopen(_: Ask) -> Ask:
        return {"done": await worker.reopen()}

    async def count_again(_: Ask) -> Ask:
        worker.gateway.quotas.count_again()
        return {}

    async def ejected_now(_: Ask) -> Ask:
        return {"targets": ejected(worker.gateway)}

    async def drain(_: Ask) -> Ask:
        leave()
        return {}

    return {
        "metrics": metrics,
        "version": version,
        "environment": environment,
        "counters": counters,
        "hand_over": hand_over,
        "reopen": reopen,
        "ejected": ejected_now,
        "count_again": count_again,
        "drain": drain,
        **_looks(worker),
    }


def _looks(worker: Worker) -> dict[str, Any]:
    """Asks that change nothing."""

    async def stand(ask: Ask) -> Ask:
        member = None if ask["member"] is None else str(ask["member"])
        quota_id = QuotaId(str(ask["quota"]))
        found = await look_at(worker.gateway, str(ask["place"]), quota_id=quota_id, member=member)
        return {"stand": found}

    async def explained(ask: Ask) -> Ask:
        asked = asked_of(ask)
        if asked is None:
            return {"explanation": {}}
        return {"explanation": explanation_values(await explain(worker.gateway, asked))}

    return {"stand": stand, "explain": explained}


def main() -> None:
    """The process. Its one argument is the lifeline's descriptor."""
    lifeline = ChildLifeline(int(sys.argv[1]))
    given = lifeline.settings()
    settings = from_values(given["settings"])
    configure_logs(f"worker-{given['index']}", settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(run(lifeline, settings, given))
        except SettingsError as error:
            lifeline.report("refused", reason=str(error))
            sys.exit(1)


if __name__ == "__main__":
    main()
