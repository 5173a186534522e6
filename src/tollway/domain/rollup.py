"""Roll-ups: sums over ledger rows, per quarter of an hour and per UTC day. Pure, so that the store,
the memory twin and `ledger verify` add up the same way (invariant I5).

A quarter serves calendar days of every time zone: all offsets from UTC are multiples of 15 minutes.

Measures. Counts are taken from usage rows only, never from corrections. `requests` leaves out
attempts that were failed over, so a request with a fallback counts once. A token class is the sum
of what is known and stays None while nothing is; so does `cost_nusd`, and `unpriced` counts the
billed attempts that the cost leaves out.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tollway.domain.ledger import NUMBERS, USAGE, numbers_of
from tollway.domain.receipt import Payer, Receipt

QUARTER_S = 900
_QUARTER_NS = QUARTER_S * 1_000_000_000
# No attempt has a trillion tokens or costs a million dollars: beyond, a number is damage, and a sum
# of them could leave 64 bits.
MAX_TOKENS = 10**12
MAX_COST_NUSD = 10**15

COUNTS = ("requests", "attempts", "errors", "estimated", "unpriced")
MEASURES = COUNTS + NUMBERS
_ERRORS = frozenset({"failed", "broken", "killed"})
_COST = NUMBERS.index("cost_nusd")
_UNBILLED = frozenset({Payer.FAILED.value, Payer.FAILED_OVER.value})


class RollupKey(NamedTuple):
    """One group at the finest grain. What a receipt lacks is the empty string: key columns cannot
    be NULL."""

    day: str
    quarter_s: int
    tenant_id: str
    project_id: str
    account_id: str
    key_id: str
    model: str
    provider_id: str
    endpoint: str
    end_user: str


Group = tuple[str | int, ...]  # the values of a RollupKey, or of some of its fields


class Sums(NamedTuple):
    """One group's sums: `counts` in the order of COUNTS, `numbers` in that of NUMBERS."""

    counts: list[int]
    numbers: list[int | None]


def fold(rows: Iterable[tuple[str, Receipt]]) -> dict[Group, Sums]:
    """Sums of `(day, receipt)` rows by the fields of `RollupKey`.

    Raises ValueError for a number no attempt can have, TypeError for one that is no number.
    """
    groups: dict[Group, Sums] = {}
    for day, row in rows:
        key = (
            day,
            row.started_ns // _QUARTER_NS * QUARTER_S,
            row.tenant_id or "",
            row.project_id or "",
            row.account_id or "",
            row.key_id or "",
            row.model or "",
            row.provider_id or "",
            row.endpoint,
            row.end_user or "",
        )
        sums = groups.get(key)
        if sums is None:
            sums = groups[key] = Sums([0] * len(COUNTS), [None] * len(NUMBERS))
        least = -1
        if row.kind == USAGE:
            _count(sums.counts, row)
            least = 0
        _add(sums.numbers, row, least)
    return groups


def merge(groups: dict[Group, Sums], places: tuple[int, ...]) -> dict[Group, Sums]:
    """The same sums by fewer fields: `places` are positions in `RollupKey`."""
    merged: dict[Group, Sums] = {}
    for key, sums in groups.items():
        coarse = tuple([key[place] for place in places])
        into = merged.get(coarse)
        if into is None:
            merged[coarse] = Sums(list(sums.counts), list(sums.numbers))
            continue
        for place, count in enumerate(sums.counts):
            into.counts[place] += count
        for place, number in enumerate(sums.numbers):
            if number is not None:
                into.numbers[place] = (into.numbers[place] or 0) + number
    return merged


def _count(counts: list[int], row: Receipt) -> None:
    counts[1] += 1
    if row.payer != "failed_over":
        counts[0] += 1
        if row.outcome in _ERRORS:
            counts[2] += 1
    if row.usage_source == "estimated":
        counts[3] += 1
    if row.cost_nusd is None and row.payer not in _UNBILLED:
        counts[4] += 1


def _add(numbers: list[int | None], row: Receipt, least: int) -> None:
    """Add a row's numbers; `least` is 0 for usage, -1 for corrections: theirs have a sign."""
    limit = MAX_TOKENS
    for place, number in enumerate(numbers_of(row)):
        if number is not None:
            if place == _COST:
                limit = MAX_COST_NUSD
            if not least * limit <= number <= limit:
                raise ValueError(f"{NUMBERS[place]} cannot be {number}")
            numbers[place] = (numbers[place] or 0) + number
