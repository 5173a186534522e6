"""Figures that a test has measured are printed at the end of the run, whatever is captured."""

import gc
from collections.abc import Callable, Iterator

import pytest

Show = Callable[[str], None]


@pytest.fixture
def show(record_property: Callable[[str, object], None]) -> Show:
    """Call with a line of figures."""
    return lambda line: record_property("figures", line)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Thousands of tests make millions of objects, and all of them stay: the collector does not
    look at them, neither while they are made nor between tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """After the tests, also those of other processes."""
    lines = [
        f"{report.nodeid.rpartition('/')[2]}: {line}"
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, line in report.user_properties
        if name == "figures"
    ]
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)
