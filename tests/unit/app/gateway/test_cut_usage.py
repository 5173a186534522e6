"""What is billed of a stream that ends before its end, where the provider had counted a part of it:
by each dialect, passed on and translated."""

import json
from typing import Any

import pytest

from tests.fakes.hostile import CLIENTS, PAIRS, SIDES, TEXT, ask, at, event, typed
from tests.fakes.pipeline import (
    EVENT_STREAM,
    RESET,
    FakeClient,
    Script,
    make_bench,
    provider,
    snapshot,
)
from tollway.dialects.stream import StreamReader
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.ids import ModelId, ProviderId
from tollway.domain.model import ModelRecord, Target
from tollway.domain.provider import ProviderKind

MORE = "word " * 800  # 4,000 bytes: 1,000 tokens by our estimate
STARTED = {"id": "m1", "type": "message", "role": "assistant", "content": []}


def counted(side: str, written: int | None) -> bytes:
    """The beginning, which says some words and what was counted by then."""
    if side == "messages":
        usage = {"input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 1}
        return typed("message_start", message={**STARTED, "usage": usage})
    if side == "gemini":
        usage: dict[str, Any] = {"promptTokenCount": 8, "cachedContentTokenCount": 3}
        if written is not None:
            usage["candidatesTokenCount"] = written
        parts = [{"text": TEXT}]
        return event({"candidates": [{"content": {"parts": parts}}], "usageMetadata": usage})
    usage = {"prompt_tokens": 8, "prompt_tokens_details": {"cached_tokens": 3}}
    if written is not None:
        usage["completion_tokens"] = written
    return event({"choices": [{"index": 0, "delta": {"content": TEXT}}], "usage": usage})


COUNTING = [pair for pair in PAIRS if pair[1] in ("chat", "messages", "gemini")]
# A connection that is reset before any progress was told of.
EARLY = Failure(Phase.FIRST_EVENT, Cause.RESET, "The connection was reset.")
ENDINGS = {"cut": "broken", "client_gone": "client_gone", "failed": "failed"}


async def ended(client: str, side: str, pieces: list[bytes], payer: str) -> Any:
    """The row of a stream that came so far."""
    by = FakeClient()
    last: list[Any] = [by.leave] if payer == "client_gone" else []
    failure = None if last else RESET
    made = at(side, SIDES[side].streamed(*pieces, *last, failure=failure))
    await ask(made, client, stream=True, by=by)
    [row] = made.journal.receipts
    assert (row.payer, row.outcome) == (payer, ENDINGS[payer])
    return row


@pytest.mark.parametrize("payer", ["cut", "client_gone"])
@pytest.mark.parametrize(("client", "side"), COUNTING)
async def test_what_came_after_the_last_count_is_estimated(
    client: str, side: str, payer: str
) -> None:
    """The input is the provider's, and of the output what it counted, and what came since: never
    less than was delivered. Read at once or one by one."""
    begun, words = counted(side, 7), SIDES[side].words(MORE)
    for pieces in ([begun, words], [begun + words]):
        row = await ended(client, side, pieces, payer)
        before = 0 if side == "messages" else 7
        assert (row.input, row.cached_input, row.output) == (5, 3, before + 1000)
        assert row.usage_source == "estimated"


@pytest.mark.parametrize("payer", ["cut", "client_gone"])
@pytest.mark.parametrize(("client", "side"), COUNTING)
async def test_a_count_of_all_that_came_stands(client: str, side: str, payer: str) -> None:
    """Nothing came since: the provider's figures are those of what was received."""
    if payer == "cut" and (client, side) == ("ollama", "messages"):
        payer = "failed"  # it has no line that says no more than that an answer begins
    row = await ended(client, side, [counted(side, 7)], payer)
    if side == "messages":
        assert (row.input, row.cached_input, row.output) == (5, 3, 0)
    else:
        assert (row.input, row.cached_input, row.output) == (5, 3, 7)
        assert row.usage_source == "provider"


@pytest.mark.parametrize("payer", ["cut", "client_gone"])
@pytest.mark.parametrize(("client", "side"), [one for one in COUNTING if one[1] != "messages"])
async def test_a_count_of_the_input_alone(client: str, side: str, payer: str) -> None:
    """The output is estimated from all that came."""
    row = await ended(client, side, [counted(side, None), SIDES[side].words(MORE)], payer)
    assert (row.input, row.cached_input, row.output) == (5, 3, 1002)
    assert row.usage_source == "estimated"


@pytest.mark.parametrize("payer", ["cut", "client_gone"])
@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_nothing_was_counted(client: str, side: str, payer: str) -> None:
    """Input and output are estimated."""
    row = await ended(client, side, [SIDES[side].start, SIDES[side].words(MORE)], payer)
    assert row.input > 0
    assert (row.output, row.usage_source) == (1000, "estimated")


def lines(*texts: str) -> list[bytes]:
    """Ollama's."""
    said = [{"message": {"role": "assistant", "content": text}, "done": False} for text in texts]
    return [json.dumps(one).encode() + b"\n" for one in said]


@pytest.mark.parametrize("payer", ["cut", "client_gone"])
@pytest.mark.parametrize("kind", [ProviderKind.OLLAMA, ProviderKind.VERTEX])
@pytest.mark.parametrize("client", CLIENTS)
async def test_ollama_and_vertex(client: str, kind: ProviderKind, payer: str) -> None:
    """Ollama counts at its end alone, Vertex as Gemini does."""
    by, vertex = FakeClient(), kind is ProviderKind.VERTEX
    pieces: list[Any] = [counted("gemini", 7), SIDES["gemini"].words(MORE)]
    head = EVENT_STREAM if vertex else [(b"content-type", b"application/x-ndjson")]
    if not vertex:
        pieces = lines(TEXT, MORE)
    pieces += [by.leave] if payer == "client_gone" else []
    script = Script(headers=head, pieces=pieces, failure=None if payer == "client_gone" else RESET)
    served = {ProviderId("prv_one"): provider("one", kind=kind)}
    target = Target(ProviderId("prv_one"), "gemini-2.5-flash")
    models = {(None, "m"): ModelRecord(ModelId("mdl_m"), "m", (target,))}
    made = make_bench(script, config=snapshot(providers=served, models=models))
    await ask(made, client, stream=True, by=by)
    [row] = made.journal.receipts
    assert (row.payer, row.usage_source) == (payer, "estimated")
    assert row.output == (1007 if vertex else 1002)
    assert row.input == 5 if vertex else row.input > 0


NOTHING: dict[str, list[bytes]] = {
    "chat": [
        event({}),
        event({"choices": []}),
        event({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}),
        event({"id": "x", "object": "chat.completion.chunk", "choices": None}),
    ],
    "gemini": [event({}), event({"candidates": []}), event({"responseId": "x"})],
}
SPEAKING = [pair for pair in PAIRS if pair[1] in NOTHING]


@pytest.mark.parametrize(("client", "side"), SPEAKING)
async def test_a_first_event_that_says_nothing_ends_no_failover(client: str, side: str) -> None:
    """The next target is asked as long as the client has nothing; where bytes pass, it then has the
    winner's alone."""
    spoken = SIDES[side]
    for nothing in NOTHING[side]:
        broken = spoken.streamed(nothing, failure=EARLY)
        ended_early = spoken.streamed(nothing)
        for script in (broken, ended_early):
            made = at(side, script, spoken.streamed(*spoken.sound), names=("one", "two"))
            by, verdict = await ask(made, client, stream=True)
            assert (verdict, by.ended) == (None, "finished")
            assert by.headers[b"x-tollway-provider"] == b"two"
            assert [row.payer for row in made.journal.receipts] == ["failed_over", "reported"]
            assert nothing not in by.body


@pytest.mark.parametrize("together", [False, True])
async def test_it_goes_out_with_the_first_that_does(together: bool) -> None:
    """Bytes are unchanged, whichever way they were read."""
    spoken = SIDES["chat"]
    pieces = [*NOTHING["chat"], *spoken.sound]
    script = spoken.streamed(*([b"".join(pieces)] if together else pieces))
    by, verdict = await ask(at("chat", script), "chat", stream=True)
    assert verdict is None
    assert by.body == b"".join(pieces)


def test_not_without_bound() -> None:
    """What is kept back is bounded: then it passes, and is the stream's beginning."""
    reader, nothing = StreamReader(forward_usage=False), event({"x": "y" * 1000})
    passed = b""
    for _ in range(100):
        passed += reader.feed(nothing)
        assert len(reader._preface) < 70_000
    assert reader.began
    assert passed == nothing * 100
    reader = StreamReader(forward_usage=False)
    large = event({"x": "y" * 100_000})
    assert reader.feed(large + event({"error": {"message": "no"}})) == b""
    assert reader.error is not None
    reader = StreamReader(forward_usage=False)
    assert reader.feed(large) == large
