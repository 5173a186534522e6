"""A provider that makes answers in the background, as OpenAI does: each is made when the test says
so, whoever reads along. A script for `RawProvider`.
"""

import socket
import threading
from typing import Any

from tests.fakes.provider_kept import USAGE, Account, Keeper, events_of, response_of, tell
from tests.fakes.raw_provider import EVENTS_HEAD


class Job:
    """One answer. `end` it once."""

    def __init__(self, whole: dict[str, Any], said: str) -> None:
        self.said = said
        self.state: dict[str, Any] = {**whole, "status": "queued", "output": [], "usage": None}
        self.ended = threading.Event()
        self._whole = whole

    def end(self, status: str = "completed") -> None:
        """The answer is made, or will not be; what it has used is known."""
        output = self._whole["output"] if status == "completed" else []
        self.state = {**self._whole, "status": status, "output": output, "usage": USAGE}
        self.ended.set()


class Maker(Keeper):
    """`jobs` by the input that they are for. `streams`: else what was begun is told as JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, Job] = {}
        self.streams = True

    def _make(self, connection: socket.socket, account: Account, asked: dict[str, Any]) -> None:
        if not asked.get("background"):
            super()._make(connection, account, asked)
            return
        assert asked["stream"], "the gateway always asks for a stream"
        number, said = next(self._numbers), asked["input"]
        whole = response_of(f"resp_{number:048x}", number, asked, said)
        job = self.jobs[said] = Job(whole, said)
        account.responses[whole["id"]] = job.state
        account.items[whole["id"]] = []
        if not self.streams:
            tell(connection, job.state)
            return
        events = events_of(whole, said, number)
        begun = events.index(b"event: response.completed")
        # Not delimited: a stream that is cancelled ends without its last event.
        connection.sendall(EVENTS_HEAD + b"connection: close\r\n\r\n")
        connection.sendall(events[:begun])
        job.ended.wait(60)
        if job.state["status"] == "completed":
            connection.sendall(events[begun:])
        connection.shutdown(socket.SHUT_RDWR)

    def _find(self, account: Account, name: str) -> dict[str, Any] | None:
        job = self._job(name)
        return super()._find(account, name) if job is None else job.state

    def _tell_again(self, connection: socket.socket, kept: dict[str, Any], query: str) -> None:
        fields = dict(field.split("=") for field in query.split("&") if field)
        job = self._job(kept["id"])
        if job is None or fields.get("stream") != "true":
            super()._tell_again(connection, kept, query)
            return
        job.ended.wait(60)
        after = int(fields.get("starting_after", -1))
        events = events_of(job.state, job.said, 0).split(b"\n\n")[after + 1 :]
        body = b"\n\n".join(events)
        connection.sendall(EVENTS_HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)

    def _cancel(self, connection: socket.socket, name: str) -> None:
        job = self._job(name)
        if job is None:
            super()._cancel(connection, name)
            return
        if not job.ended.is_set():
            job.end("cancelled")
        tell(connection, job.state)

    def _job(self, name: str) -> Job | None:
        return next((job for job in self.jobs.values() if job.state["id"] == name), None)

    def of(self, said: str) -> list[str]:
        """What was asked about the answer for this input, after it was begun."""
        name = self.jobs[said].state["id"]
        return [one.replace(name, "ID") for one in self.asked if name in one]
