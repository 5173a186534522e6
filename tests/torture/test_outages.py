"""G-07 at length: the server of shared counters is away for a while in each way it can, under load
on limits that may go on without it and on limits that may not.
"""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Show
from tests.fakes.load import Delivered, LoadPlan, LoadProcess
from tests.journeys.test_shared_outage import HARD, RIGHT_S, SOFT, WAYS, World
from tests.torture.processes import sized

pytestmark = pytest.mark.torture
_RATE = 30.0  # of each
_BREAKS_S = 2.0  # until nobody waits any more
_WAIT_MS = 100 + 25  # the deadline, and what a busy machine is late


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all ways. No limit is near, nor is a share of one."""
    made = World(tmp_path_factory.mktemp("outages"), 10**7)
    try:
        yield made
        assert "agrees with itself" in made.stage.tree.command("ledger", "verify")
    finally:
        made.close()


def waits_ms(log: list[Delivered], since_s: float, until_s: float) -> list[float]:
    """How long each request took that began then, in order."""
    took = [
        one.ended_s - one.began_s for one in log if one.ended_s and since_s <= one.began_s < until_s
    ]
    return sorted(1000 * wait_s for wait_s in took)


def p99(waits: list[float]) -> float:
    """Of an ordered list."""
    return waits[int(len(waits) * 0.99)]


@pytest.mark.parametrize("way", WAYS)
def test_away_for_long(world: World, way: str, tmp_path: Path, show: Show) -> None:
    """20 s in `torture-ci`, 30 min in `torture`: 99.9 % of what may go on is served, what may not
    is told so, nobody waits, and the counters are right 5 s after its return."""
    tree = world.stage.tree
    loads = {
        model: LoadProcess(
            LoadPlan(tree.url, tree.key, model, rate=_RATE, directives="tokens=2"),
            tmp_path / model,
        )
        for model in (SOFT, HARD)
    }
    time.sleep(4)
    begins_s = time.time()
    with WAYS[way](world):
        away_s = time.time()
        time.sleep(sized(ci=20, release=1800))
        back_s = time.time()
    back = time.monotonic()
    time.sleep(2)
    soft, hard = (list(loads[model].stop().values()) for model in (SOFT, HARD))
    world.right_within(RIGHT_S, back)

    asked = [one.outcome for one in soft if begins_s <= one.began_s < back_s]
    served = sum(one is not None and one.status == 200 for one in asked)
    assert served >= 0.999 * len(asked) > 100, f"{served} of {len(asked)}"
    told = {one.outcome and one.outcome.status for one in hard if away_s <= one.began_s < back_s}
    assert told == {503}
    assert any(one.outcome and one.outcome.status == 200 for one in hard if one.began_s > back_s)
    before = waits_ms(soft, 0, begins_s)
    first = waits_ms(soft, begins_s, away_s + _BREAKS_S)
    after = waits_ms(soft, away_s + _BREAKS_S, back_s)
    added = statistics.median(after) - statistics.median(before)
    show(
        f"{way}: {served} of {len(asked)} served, p99 {p99(before):.1f} ms before, "
        f"{p99(first):.1f} ms in the first 2 s, {p99(after):.1f} ms then ({added:+.1f} ms in the "
        f"median)"
    )
    assert p99(first) <= p99(before) + _WAIT_MS
    assert added <= 2
