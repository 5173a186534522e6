"""What must hold of the ledger and of what is derived from it (I2, I5, I6): one outcome for each
attempt, corrections in order, costs that follow from their price, roll-ups that are the rows' sums.
Pure: whoever reads rows, from wherever, is told what is wrong with them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from tollway.domain.ids import day_of
from tollway.domain.ledger import CORRECTION, NUMBERS, USAGE, numbers_of
from tollway.domain.pricing import Price, cost_nusd
from tollway.domain.receipt import Payer, Receipt
from tollway.domain.rollup import COUNTS, MEASURES, Group, Sums
from tollway.domain.usage import USAGE_CLASSES, Usage

# Which endings and sources of usage each payer goes with (docs/accounting.md).
_ALLOWED: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    Payer.REPORTED: (frozenset({"finished"}), frozenset({"provider"})),
    Payer.ESTIMATED: (frozenset({"finished"}), frozenset({"estimated"})),
    Payer.CUT: (frozenset({"broken"}), frozenset({"provider", "estimated"})),
    Payer.CLIENT_GONE: (
        frozenset({"client_gone"}),
        frozenset({"provider", "estimated", "none"}),
    ),
    Payer.KILLED: (frozenset({"killed"}), frozenset({"provider", "estimated", "none"})),
    Payer.FAILED: (frozenset({"failed", "broken"}), frozenset({"provider", "none"})),
    Payer.FAILED_OVER: (frozenset({"failed", "broken"}), frozenset({"provider", "none"})),
}
PriceOf = Callable[[str], Price | None]


class Finding(NamedTuple):
    """One thing that is not as it must be. `check` names the rule, `place` the row or group."""

    check: str
    place: str
    words: str


def check_attempts(day: str, rows: Iterable[Receipt], price_of: PriceOf) -> Iterator[Finding]:
    """Every attempt of a day. Rows come by request and attempt, the usage row first, then its
    corrections."""
    for (request_id, attempt), group in groupby(
        rows, key=lambda row: (row.request_id, row.attempt)
    ):
        history = list(group)
        place = f"{request_id} attempt {attempt}"
        yield from _check_once(day, place, history)
        if history[0].kind == USAGE:
            yield from _check_payer(place, history[-1])
            yield from _check_cost(place, history, price_of)


def compare(table: str, expected: dict[Group, Sums], found: dict[Group, Sums]) -> Iterator[Finding]:
    """Where a roll-up is not the sum of its rows: each group and measure."""
    for group in sorted(expected.keys() | found.keys(), key=repr):
        want, have = expected.get(group), found.get(group)
        if want == have:
            continue
        place = "/".join(str(part) or "-" for part in group)
        if want is None or have is None:
            words = "has no rows in the ledger" if want is None else "is missing"
            yield Finding(table, place, words)
            continue
        for name, wanted, there in zip(MEASURES, _measures(want), _measures(have), strict=True):
            if wanted != there:
                yield Finding(table, place, f"{name}: the ledger says {wanted}, it says {there}")


def _measures(sums: Sums) -> tuple[int | None, ...]:
    assert len(sums.counts) == len(COUNTS)
    return (*sums.counts, *sums.numbers)


def _check_once(day: str, place: str, history: Sequence[Receipt]) -> Iterator[Finding]:
    first, *later = history
    if first.kind != USAGE or first.seq != 0:
        yield Finding("outcomes", place, "has no first outcome")
    for number, row in enumerate(later, 1):
        if row.kind != CORRECTION or row.seq != number:
            yield Finding("outcomes", place, f"{row.kind} {row.seq} stands where {number} belongs")
    try:
        named = day_of(first.request_id)
    except ValueError as error:
        yield Finding("days", place, str(error))
        return
    if named != day:
        yield Finding("days", place, f"stands in {day}, and was admitted on {named}")


def _check_payer(place: str, row: Receipt) -> Iterator[Finding]:
    allowed = _ALLOWED.get(row.payer)
    if allowed is None:
        yield Finding("payers", place, f"there is no payer {row.payer!r}")
        return
    outcomes, sources = allowed
    if row.outcome not in outcomes or row.usage_source not in sources:
        words = f"{row.payer} does not go with {row.outcome} and usage from {row.usage_source}"
        yield Finding("payers", place, words)


def _check_cost(place: str, history: Sequence[Receipt], price_of: PriceOf) -> Iterator[Finding]:
    """The attempt's cost is its usage at the price that its last row names."""
    last = history[-1]
    totals = [_total(column) for column in zip(*map(numbers_of, history), strict=True)]
    cost = totals[NUMBERS.index("cost_nusd")]
    if last.price_version is None:
        if cost not in (None, 0):
            yield Finding("costs", place, f"costs {cost} nano-USD by no price")
        return
    price = price_of(last.price_version)
    if price is None:
        yield Finding("costs", place, f"the price {last.price_version} is not in the book")
        return
    wanted = cost_nusd(price, Usage(*totals[: len(USAGE_CLASSES)]))
    if wanted != cost:
        words = f"costs {cost} nano-USD; its usage at {price.id} costs {wanted}"
        yield Finding("costs", place, words)


def _total(column: Sequence[int | None]) -> int | None:
    known = [number for number in column if number is not None]
    return sum(known) if known else None
