"""What the supervisor does when a process dies, without processes."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tollway.cli import supervisor as module
from tollway.cli.supervisor import Listeners, Supervisor
from tollway.config import Settings


class FakeChild:
    """A process that is whatever the test says."""

    started: ClassVar[list["FakeChild"]] = []

    def __init__(self, name: str, _module: str, on_report: Any) -> None:
        self.name = name
        self.on_report = on_report
        self.ended = asyncio.Event()
        self.serving = False
        self.lived_s = 0.0
        self.pid = 1
        self.facts: dict[str, Any] = {}
        self.reason = ""

    async def start(self, _settings: Settings, _fds: list[int], **_extra: Any) -> None:
        await asyncio.sleep(0)  # as a real start, it lets others run meanwhile
        self.started.append(self)

    def age_s(self) -> float:
        return self.lived_s

    def die(self, code: int = -9) -> None:
        self.serving = False
        self.ended.set()
        self.on_report(self, {"event": "ended", "returncode": code})


@dataclass
class FakeListener:
    """A socket as far as it is handed down."""

    def fileno(self) -> int:
        return 7


@pytest.fixture
async def supervisor(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Supervisor:
    monkeypatch.setattr(module, "Child", FakeChild)
    monkeypatch.setattr(FakeChild, "started", [])
    made = Supervisor(Settings(data_dir=str(tmp_path)), Listeners([FakeListener()]), {})  # type: ignore[list-item]  # a fake
    await made._start_worker(0)
    FakeChild.started[0].serving = True
    return made


async def ticks() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_dead_worker_is_not_ready(supervisor: Supervisor) -> None:
    """From its death until its successor reports, readyz says why not."""
    assert supervisor.unready() == []
    FakeChild.started[0].die()
    assert supervisor.unready() == ["a worker is starting"]
    await ticks()
    assert supervisor.unready() == ["a worker is starting"]
    FakeChild.started[1].serving = True
    assert supervisor.unready() == []


async def test_one_death_makes_one_successor(supervisor: Supervisor) -> None:
    """Also when a worker says that it drains and dies before that was heeded."""
    first = FakeChild.started[0]
    first.lived_s = 60
    first.on_report(first, {"event": "draining"})
    first.die()
    await ticks()
    assert len(FakeChild.started) == 2


async def test_only_what_dies_young_is_restarted_slowly(supervisor: Supervisor) -> None:
    """A process that had served is replaced at once, however many did before; one that dies again
    and again at its start, later and later."""
    child = FakeChild.started[0]
    child.lived_s = 60
    assert [supervisor._delay_s(child) for _ in range(3)] == [0, 0, 0]
    child.lived_s = 0.2
    delays = [supervisor._delay_s(child) for _ in range(8)]
    assert delays == sorted(delays)
    assert delays[-1] == 5


async def test_a_full_disk_stops_nobody(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be written about a child that reports is written when it can be."""
    monkeypatch.setattr(module, "_STATE_AGAIN_S", 0.01)
    run = tmp_path / "run"
    (run / "state.new").mkdir(parents=True)  # as unwritable as on a full disk
    child = FakeChild.started[0]
    for _ in range(2):
        child.on_report(child, {"event": "ready"})
    assert not (run / "state.json").exists()
    (run / "state.new").rmdir()
    async with asyncio.timeout(60):
        while not (run / "state.json").exists():
            await asyncio.sleep(0.01)
