"""The echo provider behind the whole pipeline: what a client gets and what is billed."""

import json
from typing import Any

import pytest

from tests.fakes.pipeline import Bench, FakeClient, make_bench, provider, snapshot
from tollway.adapters.echo.upstream import EchoUpstream
from tollway.domain.provider import ProviderKind


def a_bench(**options: Any) -> Bench:
    bench = make_bench(**options)
    bench.gateway.upstreams.update(dict.fromkeys(ProviderKind, EchoUpstream(bench.clock)))
    return bench


def body(prompt: str, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": prompt}], **fields}


def text_of(client: FakeClient) -> str:
    events = [line[6:] for line in client.body.split(b"\n\n") if line[:7] == b"data: {"]
    deltas = [
        choice["delta"] for event in events for choice in json.loads(event).get("choices", ())
    ]
    return "".join(delta.get("content") or "" for delta in deltas)


async def test_a_whole_answer_is_billed_as_reported() -> None:
    """Words in, words out, the provider's own usage in the receipt."""
    bench = a_bench()
    client, _ = await bench.ask(body("three words here"))
    assert client.status == 200
    assert json.loads(client.body)["choices"][0]["message"]["content"] == "three words here"
    (receipt,) = bench.recorder.receipts
    assert (receipt.input, receipt.output, receipt.usage_source) == (3, 3, "provider")


async def test_a_stream_is_billed_as_reported_though_nobody_asked() -> None:
    """The usage chunk is for us: billed, not passed on."""
    bench = a_bench()
    client, _ = await bench.ask(body("one two", stream=True))
    assert (text_of(client), client.ended) == ("one two", "finished")
    assert client.body.endswith(b"data: [DONE]\n\n")
    assert b'"usage":{' not in client.body
    (receipt,) = bench.recorder.receipts
    assert (receipt.input, receipt.output, receipt.usage_source) == (2, 2, "provider")


@pytest.mark.parametrize("directive", ["cut=4", "stall=4", "error_event=4"])
async def test_a_broken_stream_ends_in_one_error_event(directive: str) -> None:
    """What was received is billed as an estimate; no `[DONE]`, and the connection is closed."""
    hurried = provider("one", idle_timeout_s=0.02)
    bench = a_bench(config=snapshot(providers={hurried.id: hurried}))
    client, _ = await bench.ask(body(f"abcd [[tokens=9 {directive}]]", stream=True))
    assert (client.status, client.ended) == (200, "aborted")
    assert client.body.count(b'data: {"error"') == 1
    assert b"[DONE]" not in client.body
    assert text_of(client).split() == ["abcd"] * 4
    (receipt,) = bench.recorder.receipts
    assert receipt.usage_source == "estimated"
    assert receipt.output >= 4


async def test_a_status_reaches_the_client() -> None:
    """An error answer passes with its status, and nothing is billed."""
    bench = a_bench()
    client, verdict = await bench.ask(body("x [[status=429 retry_after=3]]"))
    assert client.status is None
    assert (verdict.status, verdict.retry_after_s) == (429, 3.0)
    (receipt,) = bench.recorder.receipts
    assert not receipt.output


async def test_another_target_takes_over() -> None:
    """`on` fails one target only, so the next one answers."""
    bench = a_bench(config=snapshot(("one", "two")))
    client, _ = await bench.ask(body("hello [[status=503 on=one-model]]"))
    assert client.status == 200
    assert json.loads(client.body)["model"] in ("two-model", "m")
    assert [receipt.outcome for receipt in bench.recorder.receipts] == ["failed", "finished"]
