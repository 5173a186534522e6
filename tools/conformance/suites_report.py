"""What the vendors' suites found, as tables in Markdown. Each difference between the two runs has
its reason here; one without a reason fails the target.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from tools.conformance.report import table
from tools.conformance.suites import Outcome, SuiteRun

# Text of a failure with the gateway in front -> why it is so.
REASONS = {
    r"kept at a provider cannot be referred to": "A conversation or a prompt that a provider keeps "
    "belongs to no tenant that the gateway could check, so none can be named: 400.",
    r"Previous response with id": "The suite's made-up id is none that the gateway gave: 404.",
}


def suites_section(runs: Sequence[SuiteRun], date: str) -> str:
    """Counts by endpoint, then what differs, then what fails without the gateway as well."""
    rows = [row for run in runs for row in _rows(run)]
    head = ["suite", "endpoint", "tests", "pass straight", "pass through the gateway"]
    head.append("with its values adjusted")
    tests = [test for run in runs for test in run.tests]
    return "\n\n".join(
        [
            f"Run of {date}.",
            table(head, rows),
            "Passed straight and failed through the gateway:",
            _differences([(test, test.through) for test in tests]),
            "Passed straight and failed through the gateway with the values adjusted:",
            _differences([(test, test.adjusted) for test in tests]),
            "Failed straight, most frequent first:",
            _straight(tests),
        ]
    ) + "\n"  # fmt: skip


def unexplained(runs: Sequence[SuiteRun]) -> list[str]:
    """Tests that the gateway makes fail for no reason that is known."""
    return [
        f"{test.suite} {test.name}: {why}"
        for run in runs
        for test in run.tests
        for why in dict.fromkeys((test.through, test.adjusted))
        if test.straight is None and why is not None and _reason(why) is None
    ]


def _rows(run: SuiteRun) -> list[list[str]]:
    endpoints = dict.fromkeys(test.endpoint for test in run.tests)
    told = [
        _row(run, name, [one for one in run.tests if one.endpoint == name]) for name in endpoints
    ]
    return [*told, _row(run, "**all**", run.tests)]


def _row(run: SuiteRun, endpoint: str, tests: Sequence[Outcome]) -> list[str]:
    straight = sum(test.straight is None for test in tests)
    through = sum(test.through is None for test in tests)
    adjusted = sum(test.adjusted is None for test in tests)
    name = f"{run.package} {run.version}"
    return [name, endpoint, *map(str, (len(tests), straight, through, adjusted))]


def _reason(why: str) -> str | None:
    for pattern, reason in REASONS.items():
        if re.search(pattern, why):
            return reason
    return None


def _differences(found: Iterable[tuple[Outcome, str | None]]) -> str:
    counted = Counter(
        (test.suite, test.endpoint, _reason(why) or f"**not explained**: {_short(why)}")
        for test, why in found
        if test.straight is None and why is not None
    )
    rows = [[suite, where, str(n), why] for (suite, where, why), n in counted.most_common()]
    return table(["suite", "endpoint", "tests", "why"], rows) if rows else "None."


def _straight(tests: Iterable[Outcome]) -> str:
    counted = Counter(
        (test.suite, test.endpoint, f"`{_short(test.straight)}`") for test in tests if test.straight
    )
    rows = [[suite, where, str(n), what] for (suite, where, what), n in counted.most_common(12)]
    return table(["suite", "endpoint", "tests", "failure"], rows) if rows else "None."


def _short(failure: str | None) -> str:
    """Enough to recognise it: the last field that a mock complains of, or the beginning."""
    text = (failure or "").replace("`", "")
    found = re.search(r"'path': '([^']+)', 'message': '([^']+)'", text)
    return f"{found[1]}: {found[2]}" if found else text[:110]
