"""What machines have to say of the providers' accounts they share: a field for each in one hash."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from tollway.adapters.redis.lines import REGISTRY
from tollway.adapters.redis.link import Way
from tollway.app.ports_sharing import ReportsError

# Another number whenever reports look otherwise: old and new machines overlap.
_KEY = f"{REGISTRY.prefix}accounts1".encode()
_FORGOTTEN_MS = 60_000
_FORGOTTEN_S = _FORGOTTEN_MS / 1000


class AccountReports:
    """One machine's; `name` is no other's."""

    def __init__(self, way: Way, name: str) -> None:
        self._way = way
        self._name = name
        self._same: dict[str, tuple[bytes, float]] = {}  # as it was first seen, and when

    async def swap(self, report: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Leave ours (None: there is none any more) and get everybody's. Raises ReportsError."""
        way = self._way
        if report is None:
            asked = [way.command(b"HDEL", _KEY, self._name)]
        else:
            asked = [way.command(b"HSET", _KEY, self._name, json.dumps(report))]
        asked += [
            way.command(b"PEXPIRE", _KEY, _FORGOTTEN_MS),
            way.command(b"HGETALL", _KEY),
        ]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        found = answers[-1]
        if isinstance(found, BaseException):
            raise ReportsError(str(found)) from found
        pairs = zip(found[::2], found[1::2], strict=True)
        return {
            name: json.loads(text)
            for name, text in ((key.decode(), text) for key, text in pairs)
            if self._is_kept(name, text)
        }

    def _is_kept(self, name: str, text: bytes) -> bool:
        """Whether it is worth reading; what a machine left that is gone is cleared away."""
        now_s = asyncio.get_running_loop().time()
        before, since_s = self._same.get(name, (b"", now_s))
        if text != before:
            self._same[name] = text, now_s
        elif now_s - since_s > _FORGOTTEN_S:
            del self._same[name]
            self._way.command(b"HDEL", _KEY, name).add_done_callback(_seen)
            return False
        return True


def _seen(answer: "asyncio.Future[Any]") -> None:
    if not answer.cancelled():
        answer.exception()
