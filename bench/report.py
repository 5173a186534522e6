"""The figures as tables in Markdown: the same text goes to the terminal and, between two markers,
into the page docs/benchmarks.md. What stands outside the markers is written by people.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import ladder
from bench.bounds import Verdict
from bench.figures import Spread
from bench.machine import Machine
from bench.plan import Plan
from bench.subject import DIRECT, ENVOY, GATEWAY, NGINX
from bench.summary import Figures

PAGE = Path("docs/benchmarks.md")
BEGIN, END = "<!-- begin of what the benchmark writes -->", "<!-- end -->"
_TITLES = {GATEWAY: "Tollway", NGINX: "nginx", ENVOY: "Envoy", DIRECT: "direct"}
_BARE = f"{GATEWAY}-without-shipper"


@dataclass(frozen=True, slots=True)
class Run:
    """Everything one run found. Load averages before and after; `stolen` is the share of the
    machine's time that its host gave to others."""

    plan: Plan
    machine: Machine
    date: str
    load_before: float
    load_after: float
    stolen: float
    figures: Figures
    verdicts: Sequence[Verdict]
    notices: Sequence[str]


def render(run: Run) -> str:
    """The whole report."""
    sections = [
        _surroundings(run),
        "### Held to\n\n" + _verdicts(run.verdicts),
        *_whole_answers(run),
        *_streams(run),
        _memory(run),
        *_others(run),
        _ladder(run.figures),
        _notices(run.notices),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def write_page(text: str, page: Path = PAGE) -> None:
    """Put the report between the markers of the page."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{page} has lost the markers of its generated part")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", "utf-8")


def _surroundings(run: Run) -> str:
    machine = run.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return (
        f"Run of {run.date}, size `{run.plan.name}`, commit `{machine.commit}`.\n\n"
        f"- {machine.processor}, {machine.cores} cores, {machine.memory_mib / 1024:.0f} GiB, "
        f"{machine.kernel}, {machine.python}\n"
        f"- {versions}\n"
        f"- load average {run.load_before:.2f} before, {run.load_after:.2f} after; "
        f"{run.stolen:.1%} of the machine's time stolen by its host"
    )


def _verdicts(verdicts: Sequence[Verdict]) -> str:
    rows = []
    for verdict in verdicts:
        bound = verdict.bound
        found = "-" if verdict.found is None else f"{verdict.found:.2f}"
        word = {True: "yes", False: "**no**", None: "not measured"}[verdict.held]
        rows.append([bound.text, found, f"{bound.limit:g} {bound.unit}", word])
    return _table(["figure", "found", "at most", "held"], rows)


def _whole_answers(run: Run) -> list[str]:
    figures, sections = run.figures, []
    for rate in run.plan.rates:
        rows = [
            [
                _TITLES[name],
                _cell(figures.get(f"cpu/{rate}/{name}")),
                _ratio(figures, f"cpu/{rate}", name),
                _cell(figures.get(f"p50/{rate}/{name}"), 2),
                _cell(figures.get(f"p99/{rate}/{name}"), 2),
                _cell(figures.get(f"added_p99/{rate}/{name}"), 2),
                _cell(figures.get(f"rss/{rate}/{name}"), 0),
            ]
            for name in _named(figures, f"p50/{rate}")
        ]
        if not rows:
            continue
        if bare := figures.get(f"cpu/{rate}/{_BARE}"):
            rows.insert(1, ["Tollway, shipper not counted", _cell(bare), *[""] * 5])
        head = ["", "CPU us/request", "Tollway is", "p50 ms", "p99 ms", "added p99 ms", "RSS MiB"]
        sections.append(f"### {rate} whole answers a second\n\n" + _table(head, rows))
    return sections


def _streams(run: Run) -> list[str]:
    figures, sections, rows = run.figures, [], []
    for gap, words in (("0", "no gap"), ("2", "2 ms"), ("burst", "all in one write")):
        for name in _named(figures, f"chunk/{gap}"):
            chunk = figures[f"chunk/{gap}/{name}"]
            rows.append(
                [words, _TITLES[name], _cell(chunk, 2), _ratio(figures, f"chunk/{gap}", name)]
            )
    if rows:
        head = ["gap between chunks", "", "CPU us/chunk", "Tollway is"]
        sections.append("### Streams: cost of a chunk\n\n" + _table(head, rows))
    rows = []
    for chunks in run.plan.stream_chunks:
        for name in _named(figures, f"first_p50/{chunks}/2"):
            where = f"{chunks}/2/{name}"
            rows.append(
                [
                    str(chunks),
                    _TITLES[name],
                    _cell(figures.get(f"first_p50/{where}"), 2),
                    _cell(figures.get(f"first_p99/{where}"), 2),
                    _cell(figures.get(f"added_first_p50/{where}"), 2),
                    _cell(figures.get(f"stream_cpu/{where}"), 0),
                ]
            )
    if rows:
        head = ["chunks", "", "first byte p50 ms", "p99 ms", "added p50 ms", "CPU us/stream"]
        sections.append("### Streams: first byte, gaps of 2 ms\n\n" + _table(head, rows))
    return sections


def _memory(run: Run) -> str:
    figures = run.figures
    rows = [
        [
            _TITLES[name],
            _cell(figures.get(f"memory/rss/{name}"), 1),
            _cell(figures.get(f"memory/pss/{name}"), 1),
            _cell(figures.get(f"stream_rss/{name}"), 1),
            _cell(figures.get(f"stream_pss/{name}"), 1),
        ]
        for name in _named(figures, "stream_rss")
    ]
    head = ["", "RSS MiB", "PSS MiB", "RSS KiB/stream", "PSS KiB/stream"]
    title = f"### Memory: just started, and each of {run.plan.open_streams:,} open streams\n\n"
    return title + _table(head, rows) if rows else ""


def _others(run: Run) -> list[str]:
    figures, sections, rows = run.figures, [], []
    for kind, words in (("checksum", "wrong checksum"), ("unknown", "unknown key")):
        for name in _named(figures, f"refused/{kind}"):
            cost = _cell(figures[f"refused/{kind}/{name}"])
            rows.append([words, _TITLES[name], cost, _ratio(figures, f"refused/{kind}", name)])
    if rows:
        head = ["", "", "CPU us/request", "Tollway is"]
        sections.append("### Cost of a 401, at 2000/s\n\n" + _table(head, rows))
    rows = [
        [
            _TITLES[name],
            _cell(figures.get(f"closed_rate/{name}"), 0),
            _cell(figures.get(f"closed_cpu/{name}")),
            _ratio(figures, "closed_cpu", name),
        ]
        for name in _named(figures, "closed_rate")
    ]
    if rows:
        head = ["", "answers/s", "CPU us/request", "Tollway is"]
        sections.append(
            "### 32 clients that ask as fast as they are answered\n\n" + _table(head, rows)
        )
    return sections


def _ladder(figures: Figures) -> str:
    rows, below = [], 0.0
    for name, title in ladder.TITLES.items():
        found = figures.get(f"ladder/{name}")
        if found is not None:
            step = f"{found.median - below:+.1f}" if below and name != "stream" else ""
            rows.append([title, _cell(found), step])
            below = found.median
    head = ["rung", "CPU us/call", "step"]
    title = "### The ladder: the pipeline in one process, without sockets\n\n"
    return title + _table(head, rows) if rows else ""


def _notices(notices: Sequence[str]) -> str:
    if not notices:
        return ""
    lines = "\n".join(f"- {notice}" for notice in notices)
    return f"### Notices: {len(notices)}\n\n{lines}"


def _named(figures: Figures, stem: str) -> Iterable[str]:
    return [name for name in _TITLES if f"{stem}/{name}" in figures]


def _ratio(figures: Figures, stem: str, name: str) -> str:
    found = figures.get(f"ratio/{stem}/{name}")
    return "" if found is None else f"{found.median:.2f} x ({found.low:.2f}-{found.high:.2f})"


def _cell(found: Spread | None, digits: int = 1) -> str:
    if found is None:
        return ""
    text = f"{found.median:.{digits}f}"
    if found.rounds < 2:
        return text
    return f"{text} ({found.low:.{digits}f}-{found.high:.{digits}f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )
