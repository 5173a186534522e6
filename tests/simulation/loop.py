"""An event loop on virtual time: when nothing is ready it is at once the time of the next timer. It
has no sockets, so one seed gives one order of all callbacks. What belongs to a process (its context
says so) can be held back or dropped, as when that process stands still or is killed.
"""

import asyncio
from asyncio.events import Handle, TimerHandle
from contextvars import ContextVar
from heapq import heappop, heappush

PROCESS: ContextVar[object] = ContextVar("process", default=None)


_MOST_TURNS = 20_000  # of the loop at one instant


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
        self._made_timers = self._turns = 0
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

    async def end_tasks(self):
        """Cancel all there are, more than once if need be."""
        for process in list(self.halted):
            self.go_on(process)  # a task whose wake-up was dropped could not end
        me = asyncio.current_task()
        while rest := [task for task in self.tasks if task is not me]:
            for task in rest:
                task.cancel()
            for _ in range(5):
                await asyncio.sleep(0)

    def _made(self, loop, coroutine, **words):
        # Those of a killed process are referred to by nobody, and must not be collected: their
        # `finally` would run.
        task = asyncio.Task(coroutine, loop=loop, **words)
        self.tasks[task] = None
        task.add_done_callback(self._done)
        return task

    def _done(self, task):
        self.tasks.pop(task, None)

    # The loop's own ways without what only other loops need: most of a seed's time goes here.

    def call_soon(self, callback, *args, context=None):
        """At the end of what is ready."""
        handle = Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(self, when, callback, *args, context=None):
        """Of one instant in the order of the calls."""
        timer = TimerHandle(when, callback, args, self, context)
        self._made_timers += 1
        heappush(self._scheduled, (when, self._made_timers, timer))
        return timer

    def call_later(self, delay, callback, *args, context=None):
        """The same, from now."""
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def _run_once(self):
        ready, timers = self._ready, self._scheduled
        while timers and (timers[0][0] <= self.now_s or timers[0][2]._cancelled):
            timer = heappop(timers)[2]
            if not timer._cancelled:
                ready.append(timer)
        if not ready:
            if not timers:
                raise StuckError
            self.now_s, self._turns = timers[0][0], 0
            return
        self._turns += 1
        if self._turns > _MOST_TURNS:
            raise StuckError("somebody asks again and again, and no time passes")
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
        failures = list(loop.failures)
        loop.run_until_complete(loop.end_tasks())
        asyncio.set_event_loop(None)
        loop.close()
    for context in failures:
        raise context.get("exception") or AssertionError(context["message"])
