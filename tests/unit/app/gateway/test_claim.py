"""`Idempotency-Key` through the pipeline: one upstream call, one row, one answer (E-69)."""

import asyncio

import pytest

from tests.fakes.pipeline import (
    CHAT,
    DONE,
    KEY,
    FakeClient,
    Script,
    chunk,
    make_bench,
    reply,
    streamed,
    whole,
)
from tollway.adapters.disk.answers import DiskAnswers
from tollway.adapters.system.secrets import AesGcmBox
from tollway.app.gateway.exchange import Inbound
from tollway.app.gateway.serve import serve
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.refusal import BadRequest, Conflict

ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def answers(tmp_path):
    return DiskAnswers(tmp_path / "answers", AesGcmBox(bytes(32)))


def headers(key=b"order-7"):
    """With this Idempotency-Key."""
    return [(b"authorization", b"Bearer " + KEY.encode()), (b"idempotency-key", key)]


async def test_sent_again_it_is_answered_again_and_billed_once(answers):
    """The same bytes; the provider and the ledger see one request."""
    made = make_bench(whole(reply("first")), answers=answers)
    first, _ = await made.ask(ASK, headers=headers())
    second, verdict = await made.ask(ASK, headers=headers())
    assert verdict is None
    assert second.body == first.body
    assert second.headers[b"idempotent-replayed"] == b"true"
    assert second.headers[b"x-request-id"] != first.headers[b"x-request-id"]
    assert len(made.upstream.calls) == len(made.journal.receipts) == 1


async def test_another_body_under_the_same_key_is_refused(answers):
    """400, and nothing is sent."""
    made = make_bench(whole(), answers=answers)
    await made.ask(ASK, headers=headers())
    _, verdict = await made.ask({**ASK, "temperature": 1}, headers=headers())
    assert isinstance(verdict, BadRequest)
    assert verdict.code == "idempotency_key_reused"
    assert len(made.upstream.calls) == 1


async def test_a_storm_of_retries_makes_one_request(answers):
    """Fifty at once: one is served, the others are told to wait."""
    made = make_bench(whole(), answers=answers)
    inner = made.upstream.call

    async def slow(call, sink):
        await asyncio.sleep(0.05)
        return await inner(call, sink)

    made.upstream.call = slow
    body = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
    results = await asyncio.gather(
        *(
            serve(made.gateway, Inbound(CHAT, headers(), body, "::1"), FakeClient())
            for _ in range(50)
        )
    )
    verdicts = [verdict for _, verdict in results]
    assert verdicts.count(None) == 1
    waiting = [verdict for verdict in verdicts if verdict is not None]
    assert all(isinstance(one, Conflict) and one.retry_after_s for one in waiting)
    assert len(made.upstream.calls) == len(made.journal.receipts) == 1


async def test_what_failed_or_was_refused_may_be_tried_again(answers):
    """There was no answer to remember."""
    broken = Script(failure=Failure(Phase.CONNECT, Cause.REFUSED, "no"))
    limited = whole(b'{"error": {"message": "slow down"}}', status=429)
    made = make_bench(broken, limited, whole(), answers=answers)
    assert (await made.ask({**ASK, "model": "none"}, headers=headers()))[1] is not None
    for _ in range(2):
        assert isinstance((await made.ask(ASK, headers=headers()))[1], Failure)
    assert (await made.ask(ASK, headers=headers()))[1] is None
    assert len(made.upstream.calls) == 3


async def test_a_stream_is_not_repeated(answers):
    """The key keeps it from being made twice; what it said is gone."""
    made = make_bench(streamed(chunk("x"), chunk(finish="stop"), DONE), whole(), answers=answers)
    asked = {**ASK, "stream": True}
    client, _ = await made.ask(asked, headers=headers())
    assert client.ended == "finished"
    _, verdict = await made.ask(asked, headers=headers())
    assert isinstance(verdict, Conflict)
    assert verdict.code == "stream_not_replayable"
    assert verdict.retry_after_s is None
    assert len(made.upstream.calls) == 1


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"a\x00b", b"\x7f"])
async def test_a_key_that_is_none(answers, key):
    """1 to 255 printable characters."""
    made = make_bench(answers=answers)
    _, verdict = await made.ask(ASK, headers=headers(key))
    assert isinstance(verdict, BadRequest)
    assert verdict.code == "invalid_idempotency_key"


async def test_without_a_key_nothing_is_remembered(answers, tmp_path):
    """Nor touched on disk."""
    made = make_bench(whole(), whole(), answers=answers)
    for _ in range(2):
        await made.ask(ASK)
    assert len(made.upstream.calls) == 2
    assert not (tmp_path / "answers").exists()
