"""The clients' section of docs/conformance.md after a run of some of them: their rows anew, those
of the others as they were.
"""

import re
from collections import Counter
from collections.abc import Sequence

from tools.conformance.report import table

_HEAD = "| library |"
_BOOKED = "| outcome | usage | rows |"
_DATE = re.compile(r"Run of (.*)\. Passed: .*")
_Rows = list[list[str]]


def with_rows_of(new: str, before: str, date: str) -> str | None:
    """The section with the rows of a new one in it; None where something failed in that, since the
    notes on what fails are numbered through all of them."""
    fresh = _rows(new, _HEAD)
    if any("**no**" in cell for row in fresh for cell in row):
        return None
    head, *old = _rows(before, _HEAD, headed=True)
    names = {_library(row) for row in fresh}
    known = [number for number, row in enumerate(old) if _library(row) in names]
    place = known[0] if known else len(old)
    kept = [row for row in old if _library(row) not in names]
    rows = [*kept[:place], *fresh, *kept[place:]]
    text = before.replace(table(head, old), table(head, rows))
    if not known:  # what an earlier run of theirs left in the ledger is not told apart
        booked = _sum(_rows(before, _BOOKED), _rows(new, _BOOKED))
        text = text.replace(
            table(["outcome", "usage", "rows"], _rows(before, _BOOKED)),
            table(["outcome", "usage", "rows"], booked),
        )
    found = _DATE.search(before)
    dates = found[1] if found else date
    if date not in dates:
        dates += f", of {', '.join(sorted(names))} of {date}"
    return _DATE.sub(f"Run of {dates}. {_counts(head, rows)}", text, count=1)


def _rows(text: str, begin: str, *, headed: bool = False) -> _Rows:
    """The cells of the table that begins so."""
    lines = text[text.index(begin) :].partition("\n\n")[0].strip().splitlines()
    rows = [line.strip("|").split(" | ") for line in lines]
    cells = [[cell.strip() for cell in row] for row in rows]
    return [cells[0], *cells[2:]] if headed else cells[2:]


def _library(row: Sequence[str]) -> str:
    return row[0].rpartition(" ")[0]


def _sum(*tables: _Rows) -> _Rows:
    counts: Counter[tuple[str, str]] = Counter()
    for outcome, source, count in (row for rows in tables for row in rows):
        counts[outcome, source] += int(count)
    return [[*names, str(count)] for names, count in counts.most_common()]


def _counts(head: Sequence[str], rows: _Rows) -> str:
    told = []
    for place in range(3, len(head)):
        cells = [row[place] for row in rows if row[place] != "-"]
        told.append(f"{head[place]} {cells.count('yes')} of {len(cells)}")
    return "Passed: " + "; ".join(told) + "."
