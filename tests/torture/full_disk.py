"""A disk that fills up under the journal, and is cleared again."""

import time
from collections import Counter
from collections.abc import Callable

from tests.fakes.gateway import wait_until
from tests.torture.stage import Stage, require, unserved

REFUSED = "usage_journal_unavailable"


def run_full_disk(stage: Stage, fill: Callable[[], None], clear: Callable[[], None]) -> str:
    """Running streams finish and are billed, new requests get 503, and when there is room again
    the same processes serve again and every row is there; the figures as text."""
    workers = stage.tree.worker_pids
    long = stage.load("tokens=200 gap_ms=40", streams=8, rate=0)
    wait_until(lambda: long.log.read_text().count("begin") == 8)
    time.sleep(0.5)
    short = stage.load("tokens=2", streams=0, rate=150)
    fill()
    began = time.monotonic()
    try:
        wait_until(lambda: REFUSED in short.log.read_text())
        full_s = time.monotonic() - began
        time.sleep(0.3)
    finally:
        clear()
    clear_s = time.time()
    time.sleep(2)
    asked, streamed = short.stop(), long.stop(20)
    wait_until(lambda: stage.tree.is_ready())
    first = {key: one for key, one in streamed.items() if int(key.partition("-")[2]) <= 8}
    require(unserved(first))
    ends = Counter((one.outcome.status, one.outcome.code) for one in asked.values() if one.outcome)
    assert set(ends) == {(200, None), (503, REFUSED)}, ends
    back_s = max(one.began_s for one in asked.values() if one.outcome and one.outcome.code)
    assert stage.tree.worker_pids == workers, "it recovered without a restart"
    require(stage.unequal_sums(), stage.verdict({**asked, **streamed}, "t"))
    assert {row["output"] for row in stage.rows("t") if row["client_request_id"] in first} == {200}
    return (
        f"full after {full_s:.1f} s, {ends[503, REFUSED]} refused, {ends[200, None]} served, "
        f"accepted again {max(back_s - clear_s, 0):.2f} s after there was room"
    )
