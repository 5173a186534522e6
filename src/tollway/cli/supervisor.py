"""The supervisor: holds the listening sockets and the ops port, keeps one keeper, N workers and the
admin process running, and ends them in order. It touches no request and no database, so there is
little in it that can fail.

A worker that ends, drains or is asked to leave is replaced at once on the same socket: what arrives
meanwhile waits in the socket's queue.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tollway.adapters.control.client import ControlError, ask
from tollway.adapters.control.lifeline import FINISH
from tollway.adapters.prometheus.exposition import Merged, merge, render
from tollway.cli.child import Child, Report
from tollway.config import Settings, SettingsError

_log = logging.getLogger(__name__)
_START_TIMEOUT_S = 60.0
_START_GRACE_S = 10.0  # for one that is still starting when all of it is to end
_RESTART_DELAYS_S = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
# What all processes share is read once; the rest again when asked to.
_FOR_LIFE = (
    "data_dir",
    "database_url",
    "role",
    "workers",
    "host",
    "gateway_port",
    "admin_port",
    "ops_port",
)
_STATE_AGAIN_S = 1.0
_STEADY_S = 2.0  # a process that lived this long is restarted without delay again

WORKER = "tollway.cli.worker"
KEEPER = "tollway.cli.keeper"
ADMIN = "tollway.cli.admin"


@dataclass(frozen=True, slots=True)
class Listeners:
    """The sockets it hands down: one for each worker, and the admin's. None of a kind, and those
    processes run elsewhere."""

    workers: Sequence[socket.socket] = ()
    admin: socket.socket | None = None


class StartError(Exception):
    """A process did not come up; its own log says why."""


class Supervisor:
    """One machine's processes. `start`, then `run` until a signal, then `stop`."""

    def __init__(
        self,
        settings: Settings,
        listeners: Listeners,
        facts: dict[str, Any],
        *,
        reread: Callable[[], Settings] | None = None,
    ) -> None:
        self._settings = settings
        self._reread = reread or (lambda: settings)
        self._listeners = listeners.workers
        self._admin_listener = listeners.admin
        self._facts = facts  # URLs, for state.json
        self._keeper: Child | None = None
        self._admin: Child | None = None
        self._workers: dict[int, Child] = {}  # listening socket -> its serving worker
        self._leaving: set[Child] = set()  # drain, or were replaced
        self._retired: dict[str, Merged] = {}  # metrics of workers that are gone
        self._failures: dict[str, int] = {}  # deaths in a row
        self._starting = asyncio.Lock()  # a process that starts is in our books when it is free
        self._stopping = False  # nothing is started any more
        self._state_is_late = False  # state.json could not be written, and will be
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Keeper first: it brings the schema up, and makes the snapshot that workers serve from."""
        self._watch_signals()
        if self._listeners:
            await self._start_keeper()
            await self._expect(self._keeper, "keeper")
        for index in range(len(self._listeners)):
            await self._start_worker(index)
        await self._start_admin()
        for worker in list(self._workers.values()):
            await self._expect(worker, "worker")
        if self._admin_listener is not None:
            await self._expect(self._admin, "admin process")
        self._write_state()

    async def _expect(self, child: Child | None, name: str) -> None:
        ready = child is not None and await child.wait_ready(_START_TIMEOUT_S)
        if not ready and not self._stop.is_set():
            reason = "" if child is None else child.reason
            raise StartError(reason or f"The {name} did not start; see the lines above.")

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. SIGHUP reads the settings again and replaces the workers, one
        after the other, then the admin process."""
        await self._stop.wait()

    async def stop(self) -> int:
        """Drain the workers, then let the keeper ship what is left. Returns the exit code."""
        self._stop.set()
        # Who has not looked at readyz yet is served as before.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), self._settings.drain_delay_s)
        async with self._starting:
            self._stopping = True
        workers = [*self._workers.values(), *self._leaving]
        if self._admin is not None:
            workers.append(self._admin)
        # One that is starting would die of the signal, and nobody would take its socket's queue.
        await asyncio.gather(*(worker.wait_ready(_START_GRACE_S) for worker in workers))
        for listener in self._listeners:
            listener.close()  # workers empty the queues: who comes later is refused, not left there
        if self._admin_listener is not None:
            self._admin_listener.close()
        for worker in workers:
            worker.signal(signal.SIGTERM)
        limit_s = self._settings.drain_timeout_s + 15.0
        clean = await self._await_end(workers, limit_s)
        if self._keeper is not None:
            await self._keeper.wait_ready(_START_GRACE_S)
            self._keeper.signal(FINISH)
            clean = await self._await_end([self._keeper], 60.0) and clean
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._state_path())
        return 0 if clean else 1

    def unready(self) -> list[str]:
        """Why requests are not welcome right now; empty when they are."""
        if self._stop.is_set():
            return ["draining"]
        serving = [worker for worker in self._workers.values() if worker.serving]
        return [] if len(serving) == len(self._listeners) else ["a worker is starting"]

    async def metrics(self) -> bytes:
        """The merged page of all workers."""
        live = [child for child in (*self._workers.values(), *self._leaving) if child.facts]
        collected = await asyncio.gather(*(self._collect(child) for child in live))
        merged: dict[str, Merged] = {
            table: {labels: list(cells) for labels, cells in rows.items()}
            for table, rows in self._retired.items()
        }
        merge(collected, merged)
        gauges = {
            "tollway_workers_ready": float(sum(w.serving for w in self._workers.values())),
            "tollway_draining": float(self._stop.is_set()),
        }
        for name, value in (pair for one in collected for pair in one.get("gauges", {}).items()):
            gauges[name] = gauges.get(name, 0.0) + value
        return render(merged, gauges)

    # Children.

    async def _start_keeper(self) -> None:
        async with self._starting:
            if not self._stopping:
                keeper = Child("keeper", KEEPER, self._on_report)
                await keeper.start(self._settings, [])
                self._keeper = keeper

    async def _start_admin(self) -> None:
        async with self._starting:
            if not self._stopping and self._admin_listener is not None:
                admin = Child("admin", ADMIN, self._on_report)
                fd = self._admin_listener.fileno()
                await admin.start(self._settings, [fd], listen_fd=fd)
                self._admin = admin

    async def _start_worker(self, index: int, *, after: Child | None = None) -> None:
        async with self._starting:
            if not self._stopping and self._workers.get(index) in (None, after):
                worker = Child(f"worker-{index}", WORKER, self._on_report)
                fd = self._listeners[index].fileno()
                succeeds = any(leaving.name == worker.name for leaving in self._leaving)
                await worker.start(
                    self._settings, [fd], listen_fd=fd, index=index, succeeds=succeeds
                )
                self._workers[index] = worker

    def _on_report(self, child: Child, report: Report) -> None:
        event = report.get("event")
        if event == "stopped" and "metrics" in report:
            merge([report["metrics"]], self._retired)
            child.facts = {}
        elif event == "draining":
            self._spawn(self._succeed(child))
        elif event == "ended":
            self._leaving.discard(child)
            if report["returncode"] != 0:
                _log.warning(
                    "process ended",
                    extra={
                        "name_": child.name,
                        "code": report["returncode"],
                        "reason": child.reason,
                    },
                )
            self._spawn(self._succeed(child))
        elif event == "ready":
            self._write_state()

    async def _succeed(self, child: Child) -> None:
        """Put a successor in the place of a child that left or is leaving."""
        if self._stopping:
            return
        if child is self._keeper:
            await asyncio.sleep(self._delay_s(child))
            await self._start_keeper()
            return
        if child is self._admin:
            await asyncio.sleep(self._delay_s(child))
            await self._start_admin()
            return
        for index, worker in list(self._workers.items()):
            if worker is child:
                if not child.ended.is_set():
                    self._leaving.add(child)
                    del self._workers[index]
                else:
                    await asyncio.sleep(self._delay_s(child))
                await self._start_worker(index, after=child)

    async def _replace_all(self) -> None:
        try:
            fresh = self._reread()
        except SettingsError as error:
            _log.error("the settings stay as they were", extra={"error": str(error)})
        else:
            kept = {name: getattr(self._settings, name) for name in _FOR_LIFE}
            self._settings = msgspec.structs.replace(fresh, **kept)
        await self._replace_workers()
        if self._admin is not None:
            self._admin.signal(signal.SIGTERM)

    async def _replace_workers(self) -> None:
        for index, worker in list(self._workers.items()):
            worker.signal(signal.SIGTERM)
            for _ in range(int(_START_TIMEOUT_S * 20)):
                await asyncio.sleep(0.05)
                successor = self._workers.get(index)
                if successor is not None and successor is not worker and successor.serving:
                    break

    def _delay_s(self, child: Child) -> float:
        """Restarts in a row come slower and slower, so that a broken set-up does not spin."""
        count = 0 if child.age_s() > _STEADY_S else self._failures.get(child.name, -1) + 1
        self._failures[child.name] = count
        return _RESTART_DELAYS_S[min(count, len(_RESTART_DELAYS_S) - 1)]

    async def _collect(self, child: Child) -> dict[str, Any]:
        path = os.path.join(self._settings.run_dir, f"{child.facts.get('slot')}.sock")
        try:
            return (await ask(path, "metrics", timeout_s=1.0))["metrics"]  # type: ignore[no-any-return]  # JSON
        except ControlError:
            return {}

    async def _await_end(self, children: Sequence[Child], timeout_s: float) -> bool:
        """Wait for children; after the time or a second signal, kill what is left."""
        ends = asyncio.create_task(_all_ended(children))
        hurry = asyncio.create_task(self._hurry.wait())
        both = {ends, hurry}
        await asyncio.wait(both, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        late = [child for child in children if not child.ended.is_set()]
        for child in late:
            child.signal(FINISH)
        if late:
            await asyncio.wait({ends}, timeout=10.0)
        for child in late:
            child.signal(signal.SIGKILL)
        for wait in both:
            wait.cancel()
        return all(child.ended_well for child in children)

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._spawn(self._replace_all()))

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # state.json

    def _state_path(self) -> str:
        return os.path.join(self._settings.run_dir, "state.json")

    def _write_state(self) -> None:
        state = {
            "pid": os.getpid(),
            **self._facts,
            "workers": [
                {"slot": worker.facts.get("slot"), "pid": worker.pid}
                for worker in self._workers.values()
                if worker.serving
            ],
            "keeper_pid": 0 if self._keeper is None else self._keeper.pid,
            "admin_pid": 0 if self._admin is None else self._admin.pid,
        }
        path = Path(self._state_path())
        fresh = path.with_suffix(".new")
        try:
            fresh.write_bytes(msgspec.json.encode(state))
            fresh.replace(path)
        except OSError as error:  # a disk that is full: commands miss us, nobody else
            if not self._state_is_late:
                _log.warning("state.json cannot be written", extra={"error": str(error)})
                self._state_is_late = True
                self._spawn(self._write_state_later())
        else:
            self._state_is_late = False

    async def _write_state_later(self) -> None:
        while self._state_is_late and not self._stopping:
            await asyncio.sleep(_STATE_AGAIN_S)
            self._write_state()


async def _all_ended(children: Sequence[Child]) -> None:
    for child in children:
        await child.ended.wait()
