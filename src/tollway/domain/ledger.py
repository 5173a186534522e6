"""How an outcome is amended. The first outcome of an attempt stands; a later one that differs is
posted beside it as the difference, so that the sum over an attempt's rows is the latest truth.

An outcome equal to any earlier state of its attempt is a re-delivery and changes nothing: that
makes shipping a batch again harmless, in whatever order its outcomes come.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tollway.domain.receipt import Payer, Receipt

USAGE, CORRECTION = "usage", "correction"
# What is added up over the rows of an attempt; everything else is replaced by the later row's.
NUMBERS = (
    "input",
    "cached_input",
    "cache_write",
    "output",
    "reasoning",
    "audio",
    "image",
    "cost_nusd",
)
# Whose usage it is. A correction must never move tokens from one of these to another.
IDENTITY = (
    "endpoint",
    "tenant_id",
    "project_id",
    "account_id",
    "key_id",
    "model",
    "provider_id",
    "end_user",
)
_IDENTITY_PLACES = tuple((name, Receipt._fields.index(name)) for name in IDENTITY)


@dataclass(frozen=True, slots=True)
class ForeignOutcome:
    """The outcome names another owner than the attempt's first row: booking it would bill the
    wrong one."""

    field: str


def numbers_of(row: Receipt) -> tuple[int | None, ...]:
    """The fields named by `NUMBERS`."""
    return (
        row.input,
        row.cached_input,
        row.cache_write,
        row.output,
        row.reasoning,
        row.audio,
        row.image,
        row.cost_nusd,
    )


def amendment(history: Sequence[Receipt], later: Receipt) -> Receipt | ForeignOutcome | None:
    """The correction that makes an attempt's rows add up to `later`.

    `history` holds the attempt's rows, the usage row first, then its corrections by seq. None when
    the outcome is already part of it. Absent numbers count as 0 here: "not reported" and 0 bill
    the same.
    """
    first = history[0]
    for name, place in _IDENTITY_PLACES:
        if first[place] != later[place]:
            return ForeignOutcome(name)
    if (first.payer == Payer.FAILED_OVER) != (later.payer == Payer.FAILED_OVER):
        return ForeignOutcome("payer")  # what lost to another target never becomes the tenant's
    wanted, facts = [number or 0 for number in numbers_of(later)], _facts(later)
    totals = [0] * len(NUMBERS)
    for row in history:
        totals = [
            total + (number or 0) for total, number in zip(totals, numbers_of(row), strict=True)
        ]
        if totals == wanted and facts == _facts(row):
            return None
    differences = [want - total for want, total in zip(wanted, totals, strict=True)]
    priced = later.cost_nusd is not None or differences[-1] != 0
    return later._replace(
        kind=CORRECTION,
        seq=len(history),
        started_ns=first.started_ns,
        input=differences[0],
        cached_input=differences[1],
        cache_write=differences[2],
        output=differences[3],
        reasoning=differences[4],
        audio=differences[5],
        image=differences[6],
        cost_nusd=differences[7] if priced else None,
    )


def _facts(row: Receipt) -> tuple[object, ...]:
    return (
        row.usage_source,
        row.payer,
        row.price_version,
        row.status,
        row.upstream_status,
        row.outcome,
    )
