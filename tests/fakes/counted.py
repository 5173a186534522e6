"""A provider's account that takes its time and counts how many requests it has at once."""

import socket
import threading
import time

from tests.fakes.raw_provider import RawProvider, RawRequest, answer

_REPLY = b"""{"id": "c", "object": "chat.completion", "created": 1, "model": "small", "choices": [
{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
"usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}}"""
_TOO_MANY = b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}'
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
