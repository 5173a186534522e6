"""Providers' accounts that count: one how many requests it has at once, one how many a second."""

import socket
import threading
import time

from tests.fakes.raw_provider import JSON_HEAD, RawProvider, RawRequest, answer

_REPLY = b"""{"id": "c", "object": "chat.completion", "created": 1, "model": "small", "choices": [
{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
"usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}}"""
_TOO_MANY = b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}'
_BUSY = b"HTTP/1.1 429 Too Many\r\ncontent-type: application/json\r\n"
_COMPLAINT = b"HTTP/1.1 429 Too Many\r\ncontent-type: application/json\r\nretry-after: 30\r\n"


class Counted:
    """Listens until `raw` is stopped. `takes_s`: how long an answer takes; `complains`: it says
    429, and not to be asked for 30 s."""

    def __init__(self, takes_s: float = 0.08) -> None:
        self.raw = RawProvider()
        self.raw.script = self._script
        self.takes_s = takes_s
        self.complains = False
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    @property
    def asked(self) -> int:
        """How many requests have come."""
        return len(self.raw.requests)

    def _script(self, connection: socket.socket, _: RawRequest) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            time.sleep(self.takes_s)
        finally:
            with self._lock:
                self._now -= 1
        if self.complains:
            answer(connection, _TOO_MANY, _COMPLAINT)
        else:
            answer(connection, _REPLY)


class Metered:
    """Takes `limit` requests in `window_s` and gives back evenly what was used, as OpenAI's do. It
    says how it stands with every answer, and 429 when nothing is left. Listens until `raw` is
    stopped."""

    def __init__(self, limit: int, window_s: float) -> None:
        self.raw = RawProvider()
        self.raw.script = self._script
        self.pace_s = limit / window_s
        self.answered = self.refused = 0
        self._limit = limit
        self._used = 0.0
        self._since_s = time.monotonic()
        self._lock = threading.Lock()

    def _script(self, connection: socket.socket, _: RawRequest) -> None:
        with self._lock:
            now_s = time.monotonic()
            self._used = max(0.0, self._used - (now_s - self._since_s) * self.pace_s)
            self._since_s = now_s
            taken = self._used <= self._limit - 1
            self._used += taken
            self.answered += taken
            self.refused += not taken
            said = (
                f"x-ratelimit-limit-requests: {self._limit}\r\n"
                f"x-ratelimit-remaining-requests: {int(self._limit - self._used)}\r\n"
                f"x-ratelimit-reset-requests: {int(self._used / self.pace_s * 1000)}ms\r\n"
            ).encode()
        if taken:
            answer(connection, _REPLY, JSON_HEAD + said)
        else:
            answer(connection, _TOO_MANY, _BUSY + said)
