"""Whole answers in this process, least recently used out first. Bounded in bytes; keyed by a hash
of scope and exact body, so nothing a caller writes can name another scope's entry.
"""

from collections import OrderedDict
from hashlib import sha256

from tollway.app.ports import CacheScope


class MemoryResponseCache:
    """The embedded `ResponseCache`; `size_bytes` 0 turns it off."""

    __slots__ = ("_answers", "_held_bytes", "_size_bytes", "enabled")

    def __init__(self, size_bytes: int = 0) -> None:
        self._answers: OrderedDict[bytes, bytes] = OrderedDict()
        self._size_bytes = size_bytes
        self._held_bytes = 0
        self.enabled = size_bytes > 0

    def look_up(self, scope: CacheScope, body: bytes) -> bytes | None:
        """The answer kept for exactly this scope and body."""
        key = _key(scope, body)
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def store(self, scope: CacheScope, body: bytes, answer: bytes) -> None:
        """Keep an answer, at the cost of the ones unused for longest."""
        if not self.enabled or len(answer) > self._size_bytes:
            return
        key = _key(scope, body)
        self._held_bytes += len(answer) - len(self._answers.pop(key, b""))
        self._answers[key] = answer
        while self._held_bytes > self._size_bytes:
            _, dropped = self._answers.popitem(last=False)
            self._held_bytes -= len(dropped)


def _key(scope: CacheScope, body: bytes) -> bytes:
    # Lengths first: no two different (scope, body) pairs give the same text.
    head = "|".join(f"{len(str(part))}:{part}" for part in scope)
    return sha256(head.encode() + b"\n" + body).digest()
