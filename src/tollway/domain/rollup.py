"""Roll-ups: sums over ledger rows, per quarter of an hour and per UTC day. Pure, so that the store,
the memory twin and `ledger verify` add up the same way (invariant I5).

A quarter serves calendar days of every time zone: all offsets from UTC are multiples of 15 minutes.

Measures. Counts are taken from usage rows only, never from corrections. `requests` leaves out
attempts that were failed over, so a request with a fallback counts once. A token class is the sum
of what is known and stays None while nothing is; so does `cost_nusd`, and `unpriced` counts the
billed attempts that the cost leaves out. The payer is part of the group: tokens of attempts that
lost to another target are kept apart, they are not the tenant's.
"""

from collections.abc import Callable, Iterable
from operator import itemgetter
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
ERRORS = frozenset({"failed", "broken", "killed"})
_LOST = Payer.FAILED_OVER.value
UNBILLED = frozenset({Payer.FAILED.value, _LOST})


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
    payer: str
    end_user: str


Group = tuple[str | int, ...]  # the values of a RollupKey, or of some of its fields


_fields: Callable[[Receipt], tuple[str | None, ...]] = itemgetter(
    *[Receipt._fields.index(name) for name in RollupKey._fields[2:]]
)


class Sums(NamedTuple):
    """One group's sums: `counts` in the order of COUNTS, `numbers` in that of NUMBERS."""

    counts: list[int]
    numbers: list[int | None]


def fold(rows: Iterable[tuple[str, Receipt]]) -> dict[Group, Sums]:
    """Sums of `(day, receipt)` rows by the fields of `RollupKey`.

    Raises ValueError for a number no attempt can have, TypeError for one that is no integer.
    """
    grouped: dict[tuple[str, int, tuple[str | None, ...]], list[Receipt]] = {}
    for day, row in rows:
        key = (day, row.started_ns // _QUARTER_NS, _fields(row))
        members = grouped.get(key)
        if members is None:
            grouped[key] = [row]
        else:
            members.append(row)
    groups: dict[Group, list[Sums]] = {}
    for (day, quarter, fields), members in grouped.items():
        group: Group = (day, quarter * QUARTER_S, *[field or "" for field in fields])
        groups.setdefault(group, []).append(_summed(members))
    return {group: united(parts) for group, parts in groups.items()}


def merge(groups: dict[Group, Sums], places: tuple[int, ...]) -> dict[Group, Sums]:
    """The same sums by fewer fields: `places` are positions in `RollupKey`."""
    merged: dict[Group, list[Sums]] = {}
    pick = itemgetter(*places)
    for group, sums in groups.items():
        merged.setdefault(pick(group), []).append(sums)
    return {group: united(parts) for group, parts in merged.items()}


def united(parts: list[Sums]) -> Sums:
    """The sum of sums."""
    if len(parts) == 1:
        return parts[0]
    return Sums(
        [sum(column) for column in zip(*[part.counts for part in parts], strict=True)],
        [_known_sum(column) for column in zip(*[part.numbers for part in parts], strict=True)],
    )


def _known_sum(column: tuple[int | None, ...]) -> int | None:
    known = [number for number in column if number is not None]
    return sum(known) if known else None


def _summed(rows: list[Receipt]) -> Sums:
    """The sums of one group's rows, column by column: a row at a time costs twice as much."""
    usage = [row for row in rows if row.kind == USAGE]
    payer = rows[0].payer
    counts = [
        0 if payer == _LOST else len(usage),
        len(usage),
        0 if payer == _LOST else sum([row.outcome in ERRORS for row in usage]),
        sum([row.usage_source == "estimated" for row in usage]),
        0 if payer in UNBILLED else sum([row.cost_nusd is None for row in usage]),
    ]
    signed = len(usage) < len(rows)  # corrections are differences
    columns = zip(*[numbers_of(row) for row in rows], strict=True)
    numbers = [_total(name, column, signed) for name, column in zip(NUMBERS, columns, strict=True)]
    return Sums(counts, numbers)


def _total(name: str, column: tuple[int | None, ...], signed: bool) -> int | None:
    known = [number for number in column if number is not None]
    if not known:
        return None
    limit = MAX_COST_NUSD if name == "cost_nusd" else MAX_TOKENS
    low, high = min(known), max(known)
    if not (-limit if signed else 0) <= low <= high <= limit:
        raise ValueError(f"{name} cannot be {low if low < 0 else high}")
    total = sum(known)
    if type(total) is not int:
        raise TypeError(f"{name} must be whole")
    return total
