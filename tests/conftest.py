"""Figures that a test has measured are printed at the end of the run, whatever is captured."""

import gc
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]  # it has no types

from tests.fakes.promptly import uncounted

Show = Callable[[str], None]


@pytest.fixture
def show(record_property: Callable[[str, object], None]) -> Show:
    """Call with a line of figures."""
    return lambda line: record_property("figures", line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """To count a line takes longer than most lines do: not in tests that do the same again and
    again. Other tests take the same branches."""
    with uncounted() if item.get_closest_marker("uncounted") else nullcontext():
        return (yield)


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


class JourneysWhole(LoadFileScheduling):  # type: ignore[misc]  # for the same reason
    """A file of journeys runs in one process, with the gateway that its tests share, and begins
    before other tests. All others are dealt out one by one, so that no process waits at the end."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if "journeys/" in file else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> JourneysWhole | None:
    """With `--dist loadfile`."""
    return JourneysWhole(config, log) if config.getvalue("dist") == "loadfile" else None


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
