"""What was found as tables in Markdown, between the markers of docs/conformance.md. What stands
outside the markers is written by people.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from tools.conformance.clients import AS_CHAT, AS_MESSAGES, STRAIGHT, WAYS, Check, ClientsRun

PAGE = Path("docs/conformance.md")
_TITLES = {
    STRAIGHT: "without the gateway",
    AS_CHAT: f"gateway, provider `{AS_CHAT}`",
    AS_MESSAGES: f"gateway, provider `{AS_MESSAGES}`",
}


def read_section(name: str, page: Path = PAGE) -> str:
    """What stands between the markers of its name."""
    _, _, rest = page.read_text("utf-8").partition(f"<!-- begin of {name} -->\n\n")
    return rest.partition(f"\n<!-- end of {name} -->")[0]


def write_section(name: str, text: str, page: Path = PAGE) -> None:
    """Put a report between the markers of its name."""
    begin, end = f"<!-- begin of {name} -->", f"<!-- end of {name} -->"
    before, _, rest = page.read_text("utf-8").partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{page} has lost the markers of {name}")
    page.write_text(f"{before}{begin}\n\n{text}\n{end}{after}", "utf-8")


def clients_section(run: ClientsRun, date: str) -> str:
    """Libraries down, ways across; failures below."""
    notes: list[str] = []
    rows = []
    by_check = sorted(enumerate(run.checks), key=lambda one: (_label(one[1]), one[0]))
    order = {label: number for number, label in enumerate(_labels(run.checks))}
    grouped = {label: [one for _, one in group] for label, group in groupby(by_check, _of_pair)}
    for label in sorted(grouped, key=order.__getitem__):
        package, version, api, what = label
        cells = {check.way: _cell(check, notes) for check in grouped[label]}
        rows.append([f"{package} {version}", api, what, *(cells.get(way, "-") for way in WAYS)])
    head = ["library", "API", "what", *(_TITLES[way] for way in WAYS)]
    parts = [
        f"Run of {date}. {_counts(run.checks)}",
        table(head, rows),
        "\n".join(f"{number}. {note}" for number, note in enumerate(notes, 1)),
        _booked(run),
    ]
    if run.not_run:
        parts.append(f"Not installed, so not run: {', '.join(run.not_run)}.")
    return "\n\n".join(part for part in parts if part) + "\n"


def worse(run: ClientsRun) -> list[str]:
    """What works without the gateway and not with it."""
    straight = {_label(one): one.ok for one in run.checks if one.way == STRAIGHT}
    return [
        f"{' '.join(_label(one))} at {one.way}: {one.note}"
        for one in run.checks
        if not one.ok and straight.get(_label(one), True)
    ]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _label(check: Check) -> tuple[str, str, str, str]:
    language = "Python" if check.script.endswith(".py") else "JavaScript"
    name = f"{check.package} ({language})" if check.package == "openai" else check.package
    return name, check.version, check.api, check.what


def _of_pair(pair: tuple[int, Check]) -> tuple[str, str, str, str]:
    return _label(pair[1])


def _labels(checks: Iterable[Check]) -> list[tuple[str, str, str, str]]:
    return list(dict.fromkeys(map(_label, checks)))


def _cell(check: Check, notes: list[str]) -> str:
    if check.ok:
        return "yes"
    note = f"`{check.note.replace('`', '')}`"
    if note not in notes:
        notes.append(note)
    return f"**no** ({notes.index(note) + 1})"


def _counts(checks: Sequence[Check]) -> str:
    told = []
    for way in WAYS:
        here = [one.ok for one in checks if one.way == way]
        told.append(f"{_TITLES[way]} {sum(here)} of {len(here)}")
    return "Passed: " + "; ".join(told) + "."


def _booked(run: ClientsRun) -> str:
    rows = [
        [outcome, source, str(count)]
        for (outcome, source), count in sorted(run.booked.items(), key=lambda one: -one[1])
    ]
    return "What the ledger has of these requests:\n\n" + table(["outcome", "usage", "rows"], rows)
