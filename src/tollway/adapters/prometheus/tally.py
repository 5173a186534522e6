"""A worker's counts, as an `Observer`: a receipt is kept, and counted with many others at once (a
loop over them costs a third of as many single calls). What leaves the process is plain numbers
(`collect`); the supervisor merges and renders them.

Labels come from closed sets (endpoint, status class, token class) and from configuration (model,
provider); never from what a caller writes.
"""

from bisect import bisect_left
from typing import Any

from tollway.domain.receipt import ABOVE_CEILING, BELOW_SEEN, Payer, Receipt, usage_of
from tollway.domain.usage import USAGE_CLASSES

# Seconds. Wide enough for reasoning models, fine enough for a cache hit.
DURATION_BUCKETS_S = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
)
_BATCH = 256


class Tally:
    """Counts since the process began."""

    __slots__ = ("_doubted", "_durations", "_first_bytes", "_held", "_requests", "_tokens")

    def __init__(self) -> None:
        self._held: list[Receipt] = []
        self._requests: dict[tuple[str, str, str, int, str], int] = {}
        self._tokens: dict[tuple[str, str, str], int] = {}
        self._doubted: dict[tuple[str, str, str], int] = {}
        self._durations: dict[str, list[float]] = {}
        self._first_bytes: dict[str, list[float]] = {}

    def observe(self, receipt: Receipt) -> None:
        """Keep one receipt until there are enough to count."""
        self._held.append(receipt)
        if len(self._held) >= _BATCH:
            self._count_held()

    def _count_held(self) -> None:
        held, self._held = self._held, []
        for receipt in held:
            self._count(receipt)

    def _count(self, receipt: Receipt) -> None:
        """A failed-over attempt is no request of its own."""
        model, provider = receipt.model or "", receipt.provider_id or ""
        if receipt.payer != Payer.FAILED_OVER:
            key = (receipt.endpoint, model, provider, receipt.status, receipt.outcome)
            requests = self._requests
            requests[key] = requests.get(key, 0) + 1
            elapsed_s = (receipt.ended_ns - receipt.started_ns) / 1e9
            _add(self._durations, receipt.endpoint, elapsed_s)
            if receipt.first_byte_ns is not None:
                waited_s = (receipt.first_byte_ns - receipt.started_ns) / 1e9
                _add(self._first_bytes, receipt.endpoint, waited_s)
        if receipt.error in (ABOVE_CEILING, BELOW_SEEN):
            place = (receipt.error, model, provider)
            self._doubted[place] = self._doubted.get(place, 0) + 1
        tokens = self._tokens
        for name, count in zip(USAGE_CLASSES, usage_of(receipt), strict=True):
            if count:
                kind = (model, provider, name)
                tokens[kind] = tokens.get(kind, 0) + count

    def collect(self) -> dict[str, Any]:
        """The counts as lists of rows: what `exposition.render` merges."""
        self._count_held()
        return {
            "requests": [[*key, count] for key, count in self._requests.items()],
            "tokens": [[*key, count] for key, count in self._tokens.items()],
            "above_ceiling": self._doubted_as(ABOVE_CEILING),
            "below_seen": self._doubted_as(BELOW_SEEN),
            "durations": [[key, *cells] for key, cells in self._durations.items()],
            "first_bytes": [[key, *cells] for key, cells in self._first_bytes.items()],
        }

    def _doubted_as(self, flaw: str) -> list[list[Any]]:
        return [[*key[1:], count] for key, count in self._doubted.items() if key[0] == flaw]


def _add(histograms: dict[str, list[float]], key: str, seconds: float) -> None:
    """One observation: a cell for each bucket and one above, then the sum."""
    cells = histograms.get(key)
    if cells is None:
        cells = histograms[key] = [0.0] * (len(DURATION_BUCKETS_S) + 2)
    cells[bisect_left(DURATION_BUCKETS_S, seconds)] += 1
    cells[-1] += seconds
