"""What a provider has charged beside what the ledger has, per day or hour and model, and, where the
provider names requests, row by row. Pure: where lines and attempts come from is another's affair.

Figures are as a provider counts them: output with reasoning, input with audio and images. One that
the invoice does not have (None) is not compared.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple

FIGURES = (
    "requests",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "cost_nusd",
)
Figures = tuple[int | None, ...]
NOTHING: Figures = (None,) * len(FIGURES)
EVERY_MODEL = "*"  # the invoice does not tell models apart
_DATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")
_SHAPES = {"day": "%Y-%m-%d", "hour": "%Y-%m-%dT%H"}


class Charge(NamedTuple):
    """A line of the invoice (`line` is its number in the file), or an attempt of the ledger (0).
    Times in UTC seconds. `expected`: the provider will have charged for it."""

    at_s: int
    provider: str
    model: str
    figures: Figures
    request_id: str | None = None
    attempt: int | None = None
    line: int = 0
    expected: bool = True


class KnownProvider(NamedTuple):
    """A provider that lines of an invoice may be of."""

    id: str
    name: str
    kind: str
    tenant_id: str | None


class GroupLine(NamedTuple):
    """One bucket and model on both sides, and which figures differ."""

    bucket: str
    provider: str
    model: str
    invoice: Figures
    ledger: Figures
    differs: tuple[str, ...]


class RowLine(NamedTuple):
    """One request on which the two do not agree. `what`: differs, not_in_ledger, not_in_invoice;
    `fields`: name, what the invoice says, what the ledger says."""

    what: str
    request_id: str
    attempt: int | None
    line: int | None
    bucket: str
    model: str
    fields: tuple[tuple[str, object, object], ...]


@dataclass(slots=True)
class Terms:
    """How to compare: by `day` or `hour`, from a UTC second until before another, and the percent
    of the invoice's figure up to which a difference is none."""

    from_s: int
    until_s: int
    by: str = "day"
    tolerance: Decimal = Decimal(0)

    def bucket(self, at_s: int) -> str:
        """The name of a second's day or hour."""
        return datetime.fromtimestamp(at_s, UTC).strftime(_SHAPES[self.by])

    def covers(self, at_s: int) -> bool:
        """Whether it is in what is compared."""
        return self.from_s <= at_s < self.until_s


@dataclass(slots=True)
class Report:
    """`groups` are all, `rows` only those that do not agree."""

    groups: list[GroupLine] = field(default_factory=list)
    rows: list[RowLine] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.rows and not any(group.differs for group in self.groups)


def reconcile(lines: Sequence[Charge], attempts: Iterable[Charge], terms: Terms) -> Report:
    """Compare. Attempts come by request; those outside the terms' time are looked at only where an
    invoice's line names them."""
    whole = any(line.model == EVERY_MODEL for line in lines)
    named: dict[tuple[str, str], list[Charge]] = defaultdict(list)
    for line in lines:
        if line.request_id is not None:
            named[line.provider, line.request_id].append(line)
    by_request = bool(named)
    totals = _Totals(terms, whole)
    for line in lines:
        totals.add(line, 0)
    report = Report()
    for (provider, request_id), group in groupby(attempts, lambda at: (at.provider, at.request_id)):
        history = list(group)
        for attempt in history:
            if attempt.expected and terms.covers(attempt.at_s):
                totals.add(attempt, 1)
        if by_request and request_id is not None:
            report.rows += _requests(named.pop((provider, request_id), []), history, terms)
    for rest in named.values():
        report.rows += [_row("not_in_ledger", line, terms) for line in rest]
    report.groups = totals.lines()
    report.rows.sort(key=lambda row: (row.bucket, row.request_id, row.attempt or 0))
    return report


def same_model(one: str, other: str) -> bool:
    """Whether two names are one model: the same, or the same but for writing and a date that only
    one of them has (`gpt-4o` answers as `gpt-4o-2024-08-06`, `Claude Haiku 4.5` is a display)."""
    if one == other or EVERY_MODEL in (one, other):
        return True
    first, second = _plain(one), _plain(other)
    if first == second:
        return True
    dated = (_DATED.search(first) is not None, _DATED.search(second) is not None)
    return not all(dated) and _DATED.sub("", first) == _DATED.sub("", second)


def _plain(name: str) -> str:
    return re.sub(r"[ .]+", "-", name.strip().lower())


def _requests(lines: list[Charge], history: list[Charge], terms: Terms) -> list[RowLine]:
    """One request at one provider. A line that numbers no attempt stands for all of them."""
    rows: list[RowLine] = []
    open_attempts = {attempt.attempt: attempt for attempt in history}
    for line in sorted(lines, key=lambda line: line.attempt is None):
        if line.attempt is None:
            found = _united(list(open_attempts.values()), line)
            open_attempts.clear()
        else:
            found = open_attempts.pop(line.attempt, None)
        if found is None:
            rows.append(_row("not_in_ledger", line, terms))
        elif fields := _differences(line, found, terms):
            row = _row("differs", line, terms)
            rows.append(row._replace(attempt=line.attempt or found.attempt, fields=fields))
    rows += [
        _row("not_in_invoice", attempt, terms)
        for attempt in open_attempts.values()
        if attempt.expected and terms.covers(attempt.at_s)
    ]
    return rows


def _united(attempts: list[Charge], line: Charge) -> Charge | None:
    """What the line stands for: the attempts' sum, under the name and time of the likeliest."""
    if not attempts:
        return None
    likely = [attempt for attempt in attempts if same_model(line.model, attempt.model)]
    return (likely or attempts)[-1]._replace(figures=_sum([one.figures for one in attempts]))


def _differences(
    line: Charge, found: Charge, terms: Terms
) -> tuple[tuple[str, object, object], ...]:
    fields: list[tuple[str, object, object]] = []
    if terms.bucket(line.at_s) != terms.bucket(found.at_s):
        fields.append((terms.by, terms.bucket(line.at_s), terms.bucket(found.at_s)))
    if not same_model(line.model, found.model):
        fields.append(("model", line.model, found.model))
    charged = (None, *line.figures[1:])  # how many attempts a request took is not the row's affair
    for name in _differing(charged, found.figures, terms.tolerance):
        place = FIGURES.index(name)
        fields.append((name, line.figures[place], found.figures[place] or 0))
    return tuple(fields)


def _differing(charged: Figures, known: Figures, tolerance: Decimal) -> tuple[str, ...]:
    return tuple(
        name
        for name, there, here in zip(FIGURES, charged, known, strict=True)
        if there is not None and abs(there - (here or 0)) * 100 > tolerance * there
    )


def _row(what: str, charge: Charge, terms: Terms) -> RowLine:
    fields = tuple(
        (name, number, None) if what == "not_in_ledger" else (name, None, number)
        for name, number in zip(FIGURES[1:], charge.figures[1:], strict=True)
        if number
    )
    return RowLine(
        what,
        charge.request_id or "",
        charge.attempt,
        charge.line or None,
        terms.bucket(charge.at_s),
        charge.model,
        fields,
    )


def _sum(parts: Iterable[Figures]) -> Figures:
    return tuple(
        sum(known) if (known := [number for number in column if number is not None]) else None
        for column in zip(*parts, strict=True)
    )


class _Totals:
    """Both sides by bucket, provider and model."""

    def __init__(self, terms: Terms, whole: bool) -> None:
        self._terms = terms
        self._whole = whole
        self._sides: tuple[dict[tuple[str, str, str], Figures], ...] = ({}, {})

    def add(self, charge: Charge, side: int) -> None:
        """To the invoice's side (0) or the ledger's (1)."""
        model = EVERY_MODEL if self._whole else charge.model
        key = (self._terms.bucket(charge.at_s), charge.provider, model)
        known = self._sides[side].get(key, NOTHING)
        self._sides[side][key] = _sum([known, charge.figures])

    def lines(self) -> list[GroupLine]:
        """All of them, each model under the ledger's name for it where it has one."""
        invoice, ledger = self._sides
        names = sorted({model for _, _, model in ledger})
        charged: dict[tuple[str, str, str], Figures] = {}
        for (bucket, provider, model), figures in invoice.items():
            key = (bucket, provider, _known_as(model, names))
            charged[key] = _sum([charged.get(key, NOTHING), figures])
        told = _sum([*charged.values(), NOTHING])  # a figure that no line has is not compared
        return [
            GroupLine(
                *key,
                there := _filled(charged.get(key, NOTHING), told),
                here := _filled(ledger.get(key, NOTHING), (0,) * len(FIGURES)),
                _differing(there, here, self._terms.tolerance),
            )
            for key in sorted(charged.keys() | ledger.keys())
        ]


def _known_as(model: str, names: Sequence[str]) -> str:
    if model in names:
        return model
    found = [name for name in names if same_model(model, name)]
    return found[0] if len(found) == 1 else model


def _filled(figures: Figures, told: Figures) -> Figures:
    """Nothing charged is 0 of what the invoice tells of at all."""
    return tuple(
        0 if number is None and other is not None else number
        for number, other in zip(figures, told, strict=True)
    )
