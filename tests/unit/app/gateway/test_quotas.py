"""Quotas through the whole pipeline: what is held, what is booked, what a caller is told."""

import contextlib
import json
from dataclasses import replace

import pytest

from tests.fakes.pipeline import (
    CHAT,
    DONE,
    RECORD,
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
from tollway.adapters.prometheus.tally import Tally
from tollway.app.pricing import PriceList, Pricing
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.price_book import Entry
from tollway.domain.quota import Mode, Precision, Scope
from tollway.domain.refusal import BadRequest, QuotaExceeded
from tollway.web.gateway.problems import render_refusal

ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**ASK, "stream": True}
STRICT = Precision.STRICT


def bench(*scripts, quotas, targets=("one",), prices=None):
    """A pipeline under these quotas."""
    return make_bench(
        *scripts, config=snapshot(targets=targets, quotas=places(*quotas)), prices=prices
    )


def only_rule(made, *, attempt=False):
    """The one rule that was compiled."""
    known = made.gateway.limits._served_each if attempt else made.gateway.limits._asked
    (found,) = known.values()
    (rule,) = found.rules
    return rule


def used(made, *, attempt=False):
    """(used, held) of the one rule."""
    return made.gateway.quotas.standing(only_rule(made, attempt=attempt))[:2]


class Prices:
    """One price for all: a dollar for a million tokens in, two out."""

    def __init__(self, *models):
        self.models = models

    def mark(self):
        return 1

    def read(self):
        rates = {"input": "1", "output": "2"}
        return PriceList([Entry(f"prc_{name}", name, 0, rates) for name in self.models], {})


def priced(*models):
    """A book that was read."""
    pricing = Pricing(Prices(*models))
    pricing.renew()
    return pricing


async def test_requests_are_counted_and_the_next_is_refused():
    """Two a day: the third is told which limit, when it resets, and not to try again."""
    made = bench(whole(), whole(), quotas=[quota(2, name="trial")])
    assert (await made.ask(ASK))[1] is None
    client, verdict = await made.ask(ASK)
    assert verdict is None
    assert client.headers[b"x-ratelimit-limit-requests"] == b"2"
    assert client.headers[b"x-ratelimit-remaining-requests"] == b"0"
    assert client.headers[b"x-ratelimit-reset-requests"].endswith(b"s")
    _, verdict = await made.ask(ASK)
    assert isinstance(verdict, QuotaExceeded)
    assert verdict.exhausted
    assert "2 requests per day for your organisation ('trial')" in verdict.message
    assert "resets at 20" in verdict.message
    status, headers, body = render_refusal(verdict, "openai")
    assert status == 429
    assert (b"x-should-retry", b"false") in headers
    assert json.loads(body)["error"]["code"] == "insufficient_quota"
    assert used(made) == (2, 0)
    assert len(made.upstream.calls) == 2


async def test_a_rate_says_when_to_try_again():
    """A full minute is no budget: retry-after, and a client may retry by itself."""
    made = bench(whole(), quotas=[quota(1, period="minute")])
    await made.ask(ASK)
    _, verdict = await made.ask(ASK)
    assert isinstance(verdict, QuotaExceeded)
    assert not verdict.exhausted
    assert 1 <= verdict.retry_after_s <= 70
    headers = dict(render_refusal(verdict, "openai")[1])
    assert b"retry-after" in headers
    assert headers[b"x-ratelimit-remaining-requests"] == b"0"


async def test_the_provider_s_count_takes_the_place_of_the_estimate():
    """Held by guess, booked as the row says."""
    made = bench(whole(), quotas=[quota(1_000_000, "tokens")])
    await made.ask(ASK)
    assert used(made) == (7, 0)
    assert made.journal.receipts[0].input + made.journal.receipts[0].output == 7


async def test_a_failed_request_counts_as_a_request_without_tokens():
    """As roll-ups count it: it reached a provider."""
    failure = Failure(Phase.CONNECT, Cause.REFUSED, "no")
    for metric, expected in (("requests", 1), ("tokens", 0)):
        made = bench(Script(failure=failure), quotas=[quota(10_000, metric)])
        await made.ask(ASK)
        assert used(made) == (expected, 0)


async def test_a_bug_of_ours_frees_what_was_held():
    """Whatever happens, nothing stays held."""
    made = bench(Script(raises=RuntimeError("bug")), quotas=[quota(10, "concurrency", "none")])
    with contextlib.suppress(RuntimeError):
        await made.ask(ASK)
    assert used(made) == (0, 0)


async def test_the_tenant_pays_once_when_another_target_answers():
    """The first provider's own limit counts both, the tenant's one."""
    broken = Script(failure=Failure(Phase.CONNECT, Cause.REFUSED, "no"))
    made = bench(broken, whole(), quotas=[quota(10)], targets=("one", "two"))
    await made.ask(ASK)
    assert used(made) == (1, 0)


async def test_a_provider_s_limit_sends_on_to_the_next_target():
    """One at its limit is passed over; when all are, the caller is told."""
    made = bench(
        whole(),
        whole(),
        quotas=[quota(1, scope="provider", scope_id="prv_one")],
        targets=("one", "two"),
    )
    for _ in range(2):
        assert (await made.ask(ASK))[1] is None
    assert [call.provider.name for call in made.upstream.calls] == ["one", "two"]
    alone = bench(whole(), quotas=[quota(1, scope="platform")])
    await alone.ask(ASK)
    assert isinstance((await alone.ask(ASK))[1], QuotaExceeded)
    assert used(alone, attempt=True) == (1, 0)


async def test_only_whom_it_is_for():
    """Another key's, another model's and another tenant's limits do not concern us."""
    made = bench(
        whole(),
        quotas=[
            quota(0, scope="key", scope_id="key_other"),
            quota(0, model_id="mdl_other"),
            quota(0, scope="model", scope_id="mdl_other"),
            quota(0, tenant_id="ten_b"),
            quota(0, scope="end_user", scope_id="eve"),
        ],
    )
    assert (await made.ask(ASK))[1] is None


async def test_each_end_user_has_a_counter():
    """`per`: one rule, a limit for each."""
    made = bench(whole(), whole(), quotas=[quota(1, per=Scope.END_USER)])
    assert (await made.ask({**ASK, "user": "ann"}))[1] is None
    assert (await made.ask({**ASK, "user": "bob"}))[1] is None
    assert isinstance((await made.ask({**ASK, "user": "ann"}))[1], QuotaExceeded)


async def test_shadow_never_refuses():
    """It counts what it would have refused."""
    rule = quota(0, mode=Mode.SHADOW)
    made = bench(whole(), quotas=[rule])
    client, verdict = await made.ask(ASK)
    assert verdict is None
    assert made.gateway.quotas.shadowed == {rule.id: 1}
    assert b"x-ratelimit-limit-requests" not in client.headers


class TestStrict:
    """The most a request can use is held, and capped."""

    async def test_the_cap_goes_upstream(self):
        """Nothing was asked for: the answer is capped, and the cap is held."""
        made = bench(whole(), quotas=[quota(100_000, "output_tokens", precision=STRICT)])
        await made.ask(ASK)
        sent = json.loads(made.upstream.calls[0].body)
        assert sent["max_completion_tokens"] == 4096

    async def test_a_limit_of_none_holds_as_if_it_were_not_there(self):
        """Some servers take 0 for no limit: the cap is held, and 1 is sent."""
        for limit in ("max_tokens", "max_completion_tokens"):
            asked = {**ASK, limit: 0}
            made = bench(whole(), quotas=[quota(4095, "output_tokens", precision=STRICT)])
            assert isinstance((await made.ask(asked))[1], QuotaExceeded)
            made = bench(whole(), quotas=[quota(4096, "output_tokens", precision=STRICT)])
            assert (await made.ask(asked))[1] is None
            assert json.loads(made.upstream.calls[0].body)[limit] == 1
            made = bench(whole(), quotas=[])
            assert (await made.ask(asked))[1] is None
            assert json.loads(made.upstream.calls[0].body)[limit] == 0

    async def test_what_does_not_fit_is_refused_before_it_is_sent(self):
        """A thousand wanted, 999 left."""
        made = bench(whole(), quotas=[quota(999, "output_tokens", precision=STRICT)])
        _, verdict = await made.ask({**ASK, "max_tokens": 1000})
        assert isinstance(verdict, QuotaExceeded)
        assert "whole limit" in verdict.message
        assert made.upstream.calls == []

    async def test_every_choice_counts(self):
        """`n` multiplies what is written."""
        made = bench(whole(), quotas=[quota(1000, "output_tokens", precision=STRICT)])
        _, verdict = await made.ask({**ASK, "max_tokens": 600, "n": 2})
        assert isinstance(verdict, QuotaExceeded)

    async def test_input_without_a_ceiling_is_refused(self):
        """An image's tokens are not bounded by what was sent."""
        part = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
        made = bench(whole(), quotas=[quota(10**9, "tokens", precision=STRICT)])
        _, verdict = await made.ask({**ASK, "messages": [{"role": "user", "content": [part]}]})
        assert isinstance(verdict, BadRequest)
        assert verdict.code == "unbounded_input"

    async def test_a_provider_that_ignores_its_cap_is_cut(self):
        """Content beyond what is held and left: an error event, no `[DONE]`, billed as received."""
        pieces = [chunk("x") for _ in range(20)]
        made = bench(
            streamed(*pieces, chunk(finish="stop"), DONE),
            quotas=[quota(10, "output_tokens", precision=STRICT)],
        )
        client, _ = await made.ask({**STREAM, "max_tokens": 10})
        assert b"insufficient" in client.body or b"is reached" in client.body
        assert b"[DONE]" not in client.body
        assert client.ended == "aborted"
        receipt = made.journal.receipts[0]
        assert (receipt.payer, receipt.error) == ("cut", "body:quota")
        assert receipt.output == client.body.count(b'"x"') == 11
        assert used(made) == (11, 0)


class TestBounded:
    """What such requests use as a rule is held; more while an answer runs."""

    async def test_what_is_expected_is_learned(self):
        """Ten short answers: the next one holds little."""
        made = bench(
            *[whole(reply(usage=(5, 3))) for _ in range(10)], quotas=[quota(10**9, "output_tokens")]
        )
        for _ in range(10):
            await made.ask(ASK)
        assert made.gateway.outputs["mdl_m"].expected < 8

    async def test_a_long_stream_holds_more_as_it_runs(self):
        """Others see what it has written before it ends."""
        seen = []
        made = None

        def look(*_):
            seen.append(used(made))

        pieces = [chunk("x") for _ in range(700)]
        made = bench(
            streamed(*pieces, look, chunk(finish="stop"), chunk(usage=(5, 700), choices=[]), DONE),
            quotas=[quota(100, "output_tokens")],
        )
        made.gateway.outputs.clear()
        client, verdict = await made.ask({**STREAM, "max_tokens": 90})
        assert verdict is None
        assert client.ended == "finished"
        assert seen[0][1] >= 700
        assert used(made) == (700, 0)
        assert isinstance((await made.ask(ASK))[1], QuotaExceeded)


class TestMoney:
    """Limits on cost, in nano-USD."""

    async def test_the_row_and_the_counter_have_the_same_cost(self):
        """Priced where it was counted, so they cannot differ."""
        made = bench(whole(), quotas=[quota(10**9, "cost")], prices=priced("one-model"))
        await made.ask(ASK)
        receipt = made.journal.receipts[0]
        assert receipt.cost_nusd == 5 * 1000 + 2 * 2000
        assert receipt.price_version == "prc_one-model"
        assert used(made) == (9000, 0)

    async def test_what_has_no_price_is_not_served(self):
        """Unknown is not free."""
        for prices in (None, priced("other")):
            made = bench(whole(), quotas=[quota(10**9, "cost")], prices=prices)
            _, verdict = await made.ask(ASK)
            assert isinstance(verdict, BadRequest)
            assert verdict.code == "model_not_priced"

    async def test_the_dearest_target_is_held(self):
        """Whichever answers, it is covered; free models hold nothing."""
        made = bench(
            whole(), quotas=[quota(1, "cost", precision=STRICT)], prices=priced("one-model")
        )
        assert isinstance((await made.ask(ASK))[1], QuotaExceeded)

    async def test_embeddings_hold_money_too(self):
        """No output, but input costs."""
        made = bench(
            whole(), quotas=[quota(1, "cost", precision=STRICT)], prices=priced("one-model")
        )
        _, verdict = await made.ask(
            {"model": "m", "input": "hello"}, endpoint=ENDPOINTS[b"/v1/embeddings"]
        )
        assert isinstance(verdict, QuotaExceeded)


class TestAboveTheCeiling:
    """A provider counts more than the request could have."""

    @pytest.mark.parametrize(
        ("body", "usage", "flagged"),
        [
            ({"max_tokens": 100}, (5, 101), True),
            ({"max_tokens": 100}, (5, 100), False),
            ({"max_tokens": 100, "n": 2}, (5, 200), False),
            ({"max_tokens": 100, "n": 2}, (5, 201), True),
            ({}, (5, 10**6), False),
        ],
    )
    async def test_it_is_billed_flagged_and_counted_whole(self, caplog, body, usage, flagged):
        """The row has what the provider says, and says that it cannot be; so has the counter."""
        made = bench(*[whole(reply(usage=usage))] * 2, quotas=[quota(10**9, "tokens")])
        for _ in range(2):
            await made.ask({**ASK, **body})
        row = made.journal.receipts[0]
        assert (row.input, row.output, row.outcome) == (*usage, "finished")
        assert row.error == ("usage:above_ceiling" if flagged else None)
        assert used(made) == (2 * sum(usage), 0)
        said = [one for one in caplog.records if "more than the request could" in one.message]
        assert len(said) == flagged  # once in a while, not for each
        tally = Tally()
        for one in made.journal.receipts:
            tally.observe(one)
        assert tally.collect()["above_ceiling"] == ([["m", row.provider_id, 2]] if flagged else [])

    async def test_less_than_was_sent_is_told_too(self, caplog):
        """Once in a while for each model, and each way on its own."""
        long = reply("x" * 20_000, usage=(5, 1))
        made = bench(*[whole(long)] * 2, whole(reply(usage=(5, 200))), quotas=[quota(10**9)])
        for _ in range(3):
            await made.ask({**ASK, "max_tokens": 100})
        errors = [row.error for row in made.journal.receipts]
        assert errors == ["usage:below_seen"] * 2 + ["usage:above_ceiling"]
        said = [one.message for one in caplog.records if "a provider counts" in one.message]
        assert said == [
            "a provider counts less than it sends",
            "a provider counts more than the request could have",
        ]

    async def test_more_input_than_bytes_under_a_strict_limit(self):
        """A text of so many bytes has not more tokens than that."""
        made = bench(
            whole(reply(usage=(5000, 1))),
            quotas=[quota(10**9, "tokens", precision=STRICT)],
        )
        await made.ask(ASK)
        assert made.journal.receipts[0].error == "usage:above_ceiling"
        assert used(made) == (5001, 0)


async def test_a_limit_changes_while_it_counts():
    """E-72: lowered below what is used, the next is refused and nothing is negative; raised, it
    passes; gone, nothing is counted."""
    rule = quota(5)
    made = bench(*[whole() for _ in range(6)], quotas=[rule])
    for _ in range(3):
        await made.ask(ASK)

    def serve_from(*quotas):
        made.gateway.source.current = snapshot(quotas=places(*quotas))

    serve_from(replace(rule, limit=2))
    client, verdict = await made.ask(ASK)
    assert isinstance(verdict, QuotaExceeded)
    assert verdict.allowances[0].remaining == 0
    serve_from(replace(rule, limit=4))
    assert (await made.ask(ASK))[1] is None
    assert isinstance((await made.ask(ASK))[1], QuotaExceeded)
    serve_from()
    assert (await made.ask(ASK))[1] is None
    assert client.status is None


async def test_a_client_that_left_is_not_counted():
    """Gone before anything was sent: the hold is void."""
    made = bench(quotas=[quota(10)])
    client = FakeClient()
    client.gone = True
    await made.ask(ASK, client=client, endpoint=CHAT)
    assert used(made) == (0, 0)
    assert RECORD.id
