"""How counters stood when the server last spoke of them: for what callers are told, and for an
extension that must be judged before the server can be asked. Never for letting a request in.
"""

from collections.abc import Sequence

from tollway.adapters.redis.lines import Line
from tollway.domain.hold import Stand
from tollway.domain.window import BUCKET_S, BUCKETS

_MOST = 100_000


class Stands:
    """By counter."""

    def __init__(self) -> None:
        self._known: dict[bytes, Stand] = {}

    def take(self, lines: Sequence[Line], reply: Sequence[int]) -> None:
        """What the server says of each line of a hold that it has just let in: five numbers, used
        and held by others among them."""
        for line, at in zip(lines, range(0, len(reply), 5), strict=True):
            used, held, frees_s, bucket_s, _ = reply[at : at + 5]
            line.bucket_s = bucket_s
            if line.books:
                self.put(line, used, held + line.held, frees_s=frees_s)

    def put(self, line: Line, used: int, held: int, *, frees_s: int) -> Stand:
        """Note how the line's counter stands."""
        place, known = line.place, self._known
        if place.kind != "m":
            frees_s = place.stop_s
        elif not frees_s:
            frees_s = line.bucket_s + BUCKETS * BUCKET_S
        if place.key not in known and len(known) >= _MOST:
            del known[next(iter(known))]
        stand = known[place.key] = Stand(used, held, frees_s)
        return stand

    def book(self, line: Line, used: int, held: int) -> None:
        """So much more was used and held through us, since the server spoke."""
        stand = self._known.get(line.place.key)
        if stand is not None:
            now = Stand(stand.used + used, max(0, stand.held + held), stand.frees_s)
            self._known[line.place.key] = now

    def get(self, key: bytes) -> Stand | None:
        """None: never heard of."""
        return self._known.get(key)

    def left(self, line: Line) -> int | None:
        """What was left of the line's limit."""
        stand = self._known.get(line.place.key)
        if stand is None:
            return None
        return max(0, line.limit - stand.used - stand.held)
