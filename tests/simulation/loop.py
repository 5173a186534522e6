"""An event loop on virtual time: when nothing is ready it is at once the time of the next timer. It
has no sockets, so one seed gives one order of all callbacks. What belongs to a process (its context
says so) can be held back or dropped, as when that process stands still or is killed.
"""

import asyncio
from contextvars import ContextVar
from heapq import heappop

PROCESS: ContextVar[object] = ContextVar("process", default=None)


class StuckError(RuntimeError):
    """Everybody waits, and no timer runs."""


class VirtualLoop(asyncio.BaseEventLoop):
    """`now_s` is its time; nothing but its own timers moves it. `halted`: processes with what they
    would have run."""

    def __init__(self, now_s=1000.0):
        super().__init__()
        self.now_s = now_s
        self.failures = []
        self.halted = {}
        self.tasks = {}
        self.set_exception_handler(lambda _, context: self.failures.append(context))
        self.set_task_factory(self._made)

    def time(self):
        """Virtual seconds."""
        return self.now_s

    def halt(self, process):
        """From now on nothing of it runs."""
        self.halted[process] = []

    def go_on(self, process):
        """All that was due meanwhile runs now."""
        self._ready.extend(self.halted.pop(process))

    def _made(self, loop, coroutine, **words):
        # Those of a killed process are referred to by nobody, and must not be collected: their
        # `finally` would run.
        task = asyncio.Task(coroutine, loop=loop, **words)
        self.tasks[task] = None
        task.add_done_callback(self._done)
        return task

    def _done(self, task):
        self.tasks.pop(task, None)

    def _run_once(self):
        ready, timers = self._ready, self._scheduled
        while timers and (timers[0]._cancelled or timers[0]._when <= self.now_s):
            timer = heappop(timers)
            timer._scheduled = False
            if not timer._cancelled:
                ready.append(timer)
        if not ready:
            if not timers:
                raise StuckError
            self.now_s = timers[0]._when
            return
        halted = self.halted
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            if halted and (kept := halted.get(handle._context.get(PROCESS))) is not None:
                kept.append(handle)
            else:
                handle._run()

    def _timer_handle_cancelled(self, handle):
        pass

    def _write_to_self(self):
        pass


def run(main, loop):
    """To its end. What failed unheard fails the run."""
    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(main)
    finally:
        loop.halted.clear()
        rest = list(loop.tasks)
        for task in rest:
            task.cancel()
        while any(not task.done() for task in rest):
            loop._run_once() if loop._ready else loop.call_soon(int)
        asyncio.set_event_loop(None)
        loop.close()
    for context in loop.failures:
        raise context.get("exception") or AssertionError(context["message"])
