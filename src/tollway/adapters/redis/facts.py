"""What every gateway says of its journal with each beat, and when the ledger therefore has all that
was posted before a moment: each journal's gateway has said again how far it had written, and the
ledger has counted as far.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

Place = tuple[int, int]
_BELIEVED_MS = 45_000


class Fact(NamedTuple):
    """Of one journal: the number and time of its gateway's last beat, whether that was its last
    one, when the oldest request under way was admitted, and the end of the journal."""

    beat: int
    at_ms: int
    left: bool
    oldest_s: int | None
    place: Place


class Facts:
    """All of them. `source` is our own journal, `written` its end, `running_since_s` when the
    oldest request under way was admitted."""

    def __init__(
        self,
        source: str,
        *,
        written: Callable[[], Place],
        running_since_s: Callable[[], float | None],
    ) -> None:
        self.source = source
        self.beats = 0  # how many there had been when we asked last
        self.asked_at = 0.0
        self.shipped: Place | None = None  # so far is the ledger known to have counted our journal
        self.closed: frozenset[str] = (
            frozenset()
        )  # journals that nobody goes on with, in the ledger
        self._written = written
        self._running_since_s = running_since_s
        self._now_ms = 0
        self._known: dict[str, Fact] = {}

    def words(self) -> list[str | int]:
        """Ours: source, oldest, segment, offset; then the sources that nobody goes on with. What
        came before our start is not known to have been shipped until the ledger was asked: till
        then the journal has no end. What was closed is said once: later somebody may go on."""
        oldest_s = self._running_since_s()
        place = (1 << 53, 0) if self.shipped is None else max(self.shipped, self._written())
        closed, self.closed = self.closed, frozenset()
        return [
            self.source,
            "-" if oldest_s is None else int(oldest_s),
            *place,
            " ".join(sorted(closed)),
        ]

    def hear(self, reply: Sequence[Any], now_ms: int, asked_at: float) -> None:
        """How many beats there were, then each source and its words."""
        self.beats, self.asked_at, self._now_ms = int(reply[0]), asked_at, now_ms
        self._known = {
            source.decode(): _read(text.decode())
            for source, text in zip(reply[1::2], reply[2::2], strict=True)
        }

    def is_settled(self, beats: int, counted: Mapping[str, Place], closed: Collection[str]) -> bool:
        """Whether everything that was posted before that many beats is in what was counted.
        `closed`: journals that nobody writes, counted to their end."""
        return all(
            source in closed
            or (fact.place <= counted.get(source, (0, 0)) and (fact.left or fact.beat > beats))
            for source, fact in self._known.items()
        )

    def oldest_s(self) -> float | None:
        """When the oldest request that still runs anywhere was admitted."""
        running = [
            fact.oldest_s
            for fact in self._known.values()
            if fact.oldest_s is not None and self._now_ms - fact.at_ms < _BELIEVED_MS
        ]
        ours = self._running_since_s()
        return min([*running, *([] if ours is None else [ours])], default=None)


def _read(text: str) -> Fact:
    beat, at_ms, left, oldest, segment, offset = text.split(" ")
    oldest_s = None if oldest == "-" else int(oldest)
    return Fact(int(beat), int(at_ms), left == "1", oldest_s, (int(segment), int(offset)))
