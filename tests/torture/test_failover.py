"""G-65: one of three providers hears everything and says nothing, under load; then all three."""

import itertools
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Show
from tests.fakes.load import Delivered
from tests.torture.processes import sized
from tests.torture.stage import require, unserved
from tests.torture.upstreams import NAMES, Upstreams, booked_wrong, cut, failed

pytestmark = pytest.mark.torture
_EJECTED_S = 10.0
_BACK_S = 60.0
_ERRORS = 0.001
_TRIALS_APART_S = 4.0  # the first ejection lasts 5 s, later ones longer
_RATE = 60.0  # a second: whole answers and streams


@pytest.mark.parametrize("strategy", ["failover", "round_robin"])
def test_one_of_three_is_silent(strategy: str, tmp_path: Path, show: Show) -> None:
    """It goes last within 10 s; probes ask it then, and no request; 0.1 % of the requests fail at
    most; it has its share again within 60 s of its return; and nothing is lost or doubled in the
    ledger. Once in `torture-ci`, 20 times in `torture`, where probes are up to 40 s apart."""
    share = 1.0 if strategy == "failover" else 1 / len(NAMES)
    with Upstreams(tmp_path, strategy) as stage:
        # Short streams: one that has begun cannot be taken over, and is an error by no fault.
        load = stage.load(rate=_RATE * 0.6, stream_rate=_RATE * 0.4, directives="tokens=3 gap_ms=3")
        time.sleep(7)
        silences = [_silence(stage, share) for _ in range(sized(ci=1, release=20))]
        log = load.stop()
        rows = stage.rows(log)
        require(booked_wrong(stage, log, rows))
    own = [row for row in rows if row["provider"] == "one"]
    answered = [row["at_s"] for row in own if row["outcome"] == "finished"]
    found = [_ejection([row["at_s"] for row in own], *silence) for silence in silences]
    ejected_s = max(one for one, _ in found)
    readmitted_s = max(min(at_s for at_s in answered if at_s > back) - back for _, back in silences)
    lost, middle = unserved(log), sum(len(cut(log, silent_s)) for silent_s, _ in silences)
    trials = sum(single for _, single in found)
    show(
        f"{strategy}: {len(log)} requests, ejected after {ejected_s:.1f} s, "
        f"{trials} trials, readmitted {readmitted_s:.1f} s after its "
        f"return, {len(lost)} failed ({middle} cut in their middle), {dict(failed(log))}"
    )
    assert ejected_s <= _EJECTED_S
    assert trials <= len(silences) // 10  # a probe is ahead of them, unless the worker is held up
    assert readmitted_s <= _BACK_S
    assert len(log) >= 1000
    assert len(lost) <= _ERRORS * len(log), lost[:8]


def test_long_streams_are_taken_over_too(tmp_path: Path, show: Show) -> None:
    """Streams that run for seconds: those that had begun are cut, each with one error event; of
    those that had not, none fails, though more run by a second attempt than may at first."""
    with Upstreams(tmp_path, "failover") as stage:
        load = stage.load(stream_rate=40, directives="tokens=40 gap_ms=75")
        time.sleep(4)
        stage.providers["one"].freeze()
        silent_s = time.time()
        time.sleep(sized(ci=10, release=120))
        stage.providers["one"].thaw()
        log = load.stop(20)
        rows = stage.rows(log)
        require(booked_wrong(stage, log, rows))
    middle = cut(log, silent_s)
    lost = [text for text in unserved(log) if text.partition(":")[0] not in middle]
    second = sum(row["attempt"] > 1 for row in rows)
    show(
        f"long streams: {len(log)}, {second} by a second attempt, {len(middle)} cut in their "
        f"middle, {len(lost)} others failed, {dict(failed(log))}"
    )
    assert all(_errors(log[nonce]) == 1 for nonce in middle)
    assert second > 12  # more than the attempts that a model has at first
    assert not lost, lost[:8]


def test_long_answers_are_taken_over_too(tmp_path: Path, show: Show) -> None:
    """Whole answers that take 2 s each, and 3 s until a silent target is given up: what asked it
    before it went last is answered by the next, all of it."""
    with Upstreams(tmp_path, "failover", headers_timeout_s=3.0) as stage:
        load = stage.load(rate=20, directives="tokens=3 delay_ms=2000")
        time.sleep(4)
        stage.providers["one"].freeze()
        silent_s = time.time()
        time.sleep(sized(ci=10, release=60))
        stage.providers["one"].thaw()
        log = load.stop(20)
        rows = stage.rows(log)
        require(booked_wrong(stage, log, rows))
    lost = unserved(log)
    second = {row["client_request_id"] for row in rows if row["attempt"] > 1}
    show(
        f"long answers: {len(log)}, {len(second)} by a second attempt, {len(lost)} failed, "
        f"{dict(failed(log))}"
    )
    assert len(second) > 30, "more than were let wait at a time for what they asked instead"
    assert min(log[nonce].began_s for nonce in second) < silent_s + 3.0
    assert not lost, lost[:8]


def test_all_three_are_silent(tmp_path: Path, show: Show) -> None:
    """G-64: 1.2 attempts a request at most, over a thousand requests; once all three are ejected
    nearly all hear at once that nobody answers; and all are served within 60 s of the return."""
    with Upstreams(tmp_path, "failover") as stage:
        load = stage.load(rate=_RATE, directives="tokens=3")
        time.sleep(2)
        for provider in stage.providers.values():
            provider.freeze()
        silent_s = time.time()
        time.sleep(sized(ci=20, release=600))
        back_s = time.time()
        for provider in stage.providers.values():
            provider.thaw()
        time.sleep(3)
        log = load.stop()
        rows = stage.rows(log)
        require(booked_wrong(stage, log, rows))
    down = {nonce for nonce, one in log.items() if silent_s <= one.began_s < back_s - 2.0}
    attempts = sum(row["client_request_id"] in down for row in rows)
    waits = sorted(_took_s(log[nonce]) for nonce in down)
    refused = sorted(_took_s(log[nonce]) for nonce in down if _status(log[nonce]) == 503)
    open_s = min(log[nonce].began_s for nonce in down if _status(log[nonce]) == 503)
    later = {nonce for nonce in down if log[nonce].began_s >= open_s}
    scouts = sum(_status(log[nonce]) != 503 for nonce in later)
    served = [one for one in log.values() if one.began_s > back_s and _status(one) == 200]
    again_s = min(one.began_s for one in served) - back_s
    show(
        f"all down: {attempts} attempts for {len(down)} requests ({attempts / len(down):.3f}), "
        f"answered after {statistics.median(waits):.2f} s, p99 {waits[int(len(waits) * 0.99)]:.2f} "
        f"s, all ejected after {open_s - silent_s:.1f} s, {len(refused)} refused from then on in "
        f"{refused[len(refused) // 2] * 1000:.1f} ms, p99 "
        f"{refused[int(len(refused) * 0.99)] * 1000:.1f} ms, {scouts} let through, "
        f"served {again_s:.1f} s after the return, {dict(failed(log))}"
    )
    assert len(down) >= 1000
    assert {_status(log[nonce]) for nonce in down} <= {502, 503, 504}
    assert open_s - silent_s <= _EJECTED_S
    assert scouts <= 0.1 * len(later)
    assert len(refused) >= 0.5 * len(down)
    assert attempts <= 1.2 * len(down)
    assert again_s <= _BACK_S


def _silence(stage: Upstreams, share: float) -> tuple[float, float]:
    """Freeze one for a while, and wait until it has its share again: from when until when."""
    stage.providers["one"].freeze()
    silent_s = time.time()
    time.sleep(sized(ci=9, release=50))
    back_s = time.time()
    stage.providers["one"].thaw()
    while not _has_share(stage, back_s, share):
        assert time.time() - back_s <= _BACK_S, "it has not its share again"
        time.sleep(0.25)
    time.sleep(1)
    return silent_s, back_s


def _has_share(stage: Upstreams, back_s: float, share: float) -> bool:
    """Whether the last whole second brought it what is its own."""
    since_s = time.time() - 1
    return since_s > back_s + 0.5 and stage.arrived("one", since_s) >= 0.7 * share * _RATE


def _ejection(asked: list[float], silent_s: float, back_s: float) -> tuple[float, int]:
    """When the last of the first crowd asked it, and how many single trials came after."""
    during = [at_s - silent_s for at_s in asked if silent_s <= at_s < back_s]
    assert during, "nobody asked it"
    ejected_s, trials = during[0], 0
    for before_s, at_s in itertools.pairwise(during):
        if at_s - before_s >= _TRIALS_APART_S:
            trials += 1
        else:
            assert not trials, f"asked {during}: more than a trial"
            ejected_s = at_s
    return ejected_s, trials


def _took_s(one: Delivered) -> float:
    assert one.ended_s is not None
    return one.ended_s - one.began_s


def _status(one: Delivered) -> int:
    return 0 if one.outcome is None else one.outcome.status


def _errors(one: Delivered) -> Any:
    return None if one.outcome is None else one.outcome.errors
