"""Kills under load, judged by three witnesses: the provider's truth log, the client's log, the
ledger. For every request: delivered <= billed <= emitted, one outcome for each attempt, a row for
whatever reached the provider; and the roll-ups that `tollway usage` shows equal the sum of rows.
With limits, their counters are the ledger too, and nothing stays held.

One tree of processes lives through a whole campaign. The next trial begins when everything of the
last one was shipped and judged.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.gateway import ended, wait_until
from tests.fakes.limits import crowd, set_quotas
from tests.fakes.load import Delivered
from tests.torture.counters import RIGHT_S, limits_of, unequal_counters
from tests.torture.stage import STREAMS, Stage, require
from tollway.domain.quota import QuotaRecord

WORKER, SUPERVISOR, ALL = "worker", "supervisor", "all"


@dataclass(slots=True)
class Figures:
    """What a campaign did."""

    kills: int = 0
    requests: int = 0
    cut: int = 0  # had been sent when a process died
    refused: int = 0  # came while no gateway ran
    recovered: int = 0  # rows that a recovery wrote for a dead worker
    longest_wait_s: float = 0.0  # of a new connection after the death of a worker
    counted_s: list[float] = field(default_factory=list)  # until counters were right, nothing held
    began_s: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        counted, looks = "", self.counted_s
        if looks:
            counted = f"; counters right after {max(looks):.1f} s at most, {len(looks)} looks"
        return (
            f"{self.kills} kills, {self.requests} requests: {self.cut} cut, {self.refused} refused "
            f"while nothing ran, {self.recovered} settled by recovery; longest wait for a new "
            f"worker {self.longest_wait_s:.2f} s; {time.monotonic() - self.began_s:.0f} s"
            f"{counted}"
        )


def run_campaign(
    folder: Path,
    victims: Sequence[str],
    *,
    workers: int,
    seed: int,
    counted_every: int = 0,
    **settings: object,
) -> Figures:
    """One trial for each victim. Raises AssertionError with all that is known. With
    `counted_every` there are limits, whose counters are looked at after so many trials."""
    figures, chance = Figures(), random.Random(seed)
    with Stage(folder, workers=workers, **settings) as stage:
        limits = limits_of(stage) if counted_every else []
        if limits:
            set_quotas(str(stage.tree.data_dir / "tollway.db"), *limits)
            time.sleep(1)  # published within a second, as journeys prove
        for trial, victim in enumerate(victims):
            log, dead_s = _kill_under_load(stage, victim, chance)
            found = stage.unequal_sums() + stage.verdict(log)
            if victim == WORKER:
                found += _turned_away(log, dead_s, figures)
            _count(figures, log, stage)
            if limits and trial % counted_every == counted_every - 1:
                found += _uncounted(stage, limits, figures)
            if found:
                found.insert(0, f"seed {seed}, trial {trial}, {workers} workers, killed: {victim}")
            require(found)
    return figures


def _kill_under_load(
    stage: Stage, victim: str, chance: random.Random
) -> tuple[dict[str, Delivered], float]:
    """Kill at a random moment, go on under load; the client's log, and when the victim was dead."""
    tree, load = stage.tree, stage.load()
    try:
        time.sleep(chance.uniform(0.4, 1.6))
        if victim == ALL:
            tree.kill_all()
        elif victim == SUPERVISOR:
            tree.kill_supervisor()
        else:
            pid = chance.choice(tree.worker_pids)
            os.kill(pid, signal.SIGKILL)
            assert ended(pid)
        dead_s = time.time()
        if victim != WORKER:
            tree.start()
        time.sleep(0.3)
        wait_until(tree.is_ready)
    finally:
        log = load.stop()
        load.log.unlink()
    return log, dead_s


def _turned_away(log: dict[str, Delivered], dead_s: float, figures: Figures) -> list[str]:
    """The death of one worker cuts the connections that it had, and no others: who connects
    after it waits in the queue of the socket, which the supervisor holds."""
    found = []
    for nonce, one in log.items():
        outcome = one.outcome
        assert outcome is not None
        if outcome.broken == "refused":
            found.append(f"{nonce}: refused although one worker's death must refuse nobody")
        if one.began_s > dead_s and not outcome.reused:
            if outcome.broken or outcome.status != 200:
                found.append(f"{nonce}: connected after the worker's death, not served: {one}")
            if not one.stream and one.ended_s:
                waited_s = one.ended_s - one.began_s
                figures.longest_wait_s = max(figures.longest_wait_s, waited_s)
    return found


def _uncounted(stage: Stage, limits: list[QuotaRecord], figures: Figures) -> list[str]:
    """What the counters have that the ledger has not, and what is held, after a lease."""
    ended_s = time.monotonic()
    # Counters that nobody asked for since are none: one request asks for all.
    assert crowd(stage.tree.url, stage.tree.key, requests=1, at_once=1) == {200: 1}
    stage.emitted()
    while (wrong := unequal_counters(stage, limits)) and time.monotonic() - ended_s < RIGHT_S:
        time.sleep(0.3)
    figures.counted_s.append(time.monotonic() - ended_s)
    return wrong


def _count(figures: Figures, log: dict[str, Delivered], stage: Stage) -> None:
    assert len(log) >= STREAMS, "there was no load"
    breaks = Counter(one.outcome.broken for one in log.values() if one.outcome)
    figures.kills += 1
    figures.requests += len(log)
    figures.refused += breaks["refused"]
    figures.cut += breaks["reset"] + breaks["eof"]
    figures.recovered += sum(1 for row in stage.rows() if row["outcome"] == "killed")
