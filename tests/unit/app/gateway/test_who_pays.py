"""The payer table of docs/accounting.md, row by row: each ending has its rule, its source and its
outcome, and the counters of limits have what its row has, with nothing held.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.test_identity import names_in
from tests.fakes.pipeline import (
    DONE,
    REFUSED,
    RESET,
    FakeClient,
    Script,
    chunk,
    make_bench,
    reply,
    snapshot,
    streamed,
    whole,
)
from tests.fakes.quotas import places, quota
from tollway.app.pricing import PriceList, Pricing
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.price_book import Entry
from tollway.domain.quota import Metric, Precision, spent
from tollway.domain.receipt import Payer

PAGE = Path(__file__).parents[4] / "docs" / "accounting.md"
ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**ASK, "stream": True}
LATE = Failure(Phase.FIRST_EVENT, Cause.TIMEOUT, "Nothing came.")


def table():
    """Ending -> the cells after it."""
    lines = PAGE.read_text().partition("| ending |")[2].splitlines()[2:]
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        ending, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[ending] = cells
    return rows


class Prices:
    """A dollar for a million tokens in, two out, whatever answers."""

    def mark(self):
        return 1

    def read(self):
        return PriceList([Entry("prc_1", "*", 0, {"input": "1", "output": "2"})], {})


@dataclass
class Ending:
    """How it comes to it. `scripts` is given the bench's doings: (client, made)."""

    scripts: Any
    body: dict = field(default_factory=lambda: STREAM)
    targets: tuple = ("one",)
    rows: int = 1
    tokens: Any = None  # what is billed; None: something
    strict: bool = False


ENDINGS = {
    "refused by us (400, 401, 403, 404, 413, 429, 503)": Ending(
        lambda client, made: [], {**ASK, "api_base": "http://elsewhere"}, rows=0, tokens=0
    ),
    "connect, DNS or TLS failed": Ending(lambda client, made: [Script(failure=REFUSED)], tokens=0),
    "provider answered 4xx or 5xx, or an error before any content": Ending(
        lambda client, made: [Script(status=400, pieces=[b'{"error":{"message":"no"}}'])], tokens=0
    ),
    "nothing came in time": Ending(lambda client, made: [streamed(failure=LATE)], tokens=0),
    "any of these, and another target was asked": Ending(
        lambda client, made: [Script(failure=REFUSED), whole()],
        ASK,
        ("one", "two"),
        rows=2,
        tokens=7,
    ),
    "finished with usage": Ending(lambda client, made: [whole()], ASK, tokens=7),
    "finished without usage": Ending(lambda client, made: [whole(reply(usage=None))], ASK),
    "provider broke off mid-stream": Ending(
        lambda client, made: [streamed(chunk("a"), chunk("b"), failure=RESET)]
    ),
    "drain time over mid-stream": Ending(
        lambda client, made: [streamed(chunk("a"), made.gateway.running.stop_all, chunk("b"))]
    ),
    "client left before any content": Ending(
        lambda client, made: [streamed(client.leave, chunk("late"))], tokens=0
    ),
    "client left mid-stream": Ending(
        lambda client, made: [streamed(chunk("a"), client.leave, chunk("b"))]
    ),
    "cut because a strict limit has nothing left": Ending(
        lambda client, made: [streamed(*[chunk("x")] * 30, chunk(finish="stop"), DONE)],
        {**STREAM, "max_tokens": 10},
        strict=True,
    ),
}
_KILLED = ("tests/unit/adapters/journal/test_recovery.py", "test_what_a_killed_attempt_costs")
ELSEWHERE = {
    "key revoked or tenant deactivated mid-stream": (
        "tests/unit/app/gateway/test_running.py",
        "test_a_stream_ends_with_its_key",
    ),
    "made in the background, whoever left meanwhile": (
        "tests/unit/app/gateway/test_background.py",
        "test_a_client_that_leaves_ends_nothing",
    ),
    "made in the background, and its process died or drained": (
        "tests/unit/app/jobs/test_amend.py",
        "test_the_true_usage_is_booked_once",
    ),
    "process killed before the first event": _KILLED,
    "process killed after it": _KILLED,
    "sent again under its `Idempotency-Key`": (
        "tests/unit/app/gateway/test_claim.py",
        "test_sent_again_it_is_answered_again_and_billed_once",
    ),
    "cache hit (no cache yet)": (
        "tests/unit/app/gateway/test_serve.py",
        "test_the_same_request_is_answered_once_by_the_provider",
    ),
}


def test_every_ending_of_the_table_is_shown():
    """Here, or by a test that is there."""
    assert table().keys() == ENDINGS.keys() | ELSEWHERE.keys()
    for path, name in ELSEWHERE.values():
        assert name in names_in(path), (path, name)
    rules = set(re.findall(r"`(\w+)`", " ".join(cells[0] for cells in table().values())))
    assert rules == {payer.value for payer in Payer}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_the_row_and_the_counters(ending):
    """As the table says; and every counter has what its rows have."""
    how, (rule, _, source, outcome, _) = ENDINGS[ending], table()[ending]
    metrics = [Metric.REQUESTS, Metric.TOKENS, Metric.INPUT_TOKENS, Metric.COST]
    limits = [quota(10**12, metric) for metric in metrics]
    limits.append(quota(10, "concurrency", "none"))
    if how.strict:
        limits.append(quota(10, "output_tokens", precision=Precision.STRICT))
    made = make_bench(
        config=snapshot(targets=how.targets, quotas=places(*limits)), prices=Pricing(Prices())
    )
    client = FakeClient()
    made.upstream.scripts.extend(how.scripts(client, made))
    await made.ask(how.body, client=client)
    rows = made.journal.receipts
    assert len(rows) == how.rows
    if rows:
        row = rows[0]
        kept = ending == "any of these, and another target was asked"
        assert row.payer == rule.strip("`")
        if "the same" not in source and not kept:
            assert f"`{row.usage_source}`" in source
        if "the same" not in outcome:
            assert f"`{row.outcome}`" in outcome
    billed = [row for row in rows if row.payer != Payer.FAILED_OVER]
    total = sum(spent(row).tokens for row in billed)
    assert total == how.tokens if how.tokens is not None else total > 0
    (known,) = made.gateway.limits._asked.values() if rows else ([],)
    for one in known.rules if rows else ():
        used, held, _ = made.gateway.quotas.standing(one)
        sums = sum(spent(row)[one.metric] for row in billed)
        assert (used, held) == (sums, 0), one.quota.metric
