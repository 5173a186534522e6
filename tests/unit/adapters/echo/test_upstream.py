"""The echo provider, as a sink sees it."""

import asyncio
import base64
import json
import struct
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tollway.adapters.echo.upstream import EchoOptions, EchoUpstream
from tollway.app.ports import Flow, Header, UpstreamCall
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.ids import ProviderId
from tollway.domain.provider import ProviderKind, ProviderRecord

GONE = Failure(Phase.BODY, Cause.CLIENT_GONE, "The client left.")


class FixedClock:
    def wall_ns(self) -> int:
        return 1_700_000_000_000_000_000

    def monotonic(self) -> float:
        return 0.0


class RecordingSink:
    """Keeps what it is given; `on_data` may use the flow."""

    def __init__(self, on_data: Callable[["RecordingSink"], None] | None = None) -> None:
        self.flow: Flow | None = None
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.pieces: list[bytes] = []
        self._on_data = on_data

    def attach(self, flow: Flow) -> None:
        self.flow = flow

    def head(self, status: int, headers: Sequence[Header]) -> None:
        assert self.flow is not None
        self.status, self.headers = status, dict(headers)

    def data(self, data: bytes) -> None:
        assert self.flow is not None
        self.pieces.append(data)
        self.flow.progress()
        if self._on_data is not None:
            self._on_data(self)

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        lines = self.body.split(b"\n\n")
        assert lines.pop() == b""
        assert all(line.startswith(b"data: ") for line in lines)
        return [line[6:] if line == b"data: [DONE]" else json.loads(line[6:]) for line in lines]

    @property
    def text(self) -> str:
        choices = [event["choices"] for event in self.events if isinstance(event, dict)]
        return "".join(one[0]["delta"].get("content", "") for one in choices if one)


def a_call(
    path: str = "/chat/completions", body: object = None, *, method: str = "POST", **limits: float
) -> UpstreamCall:
    provider = ProviderRecord(ProviderId("prv_1"), "echo", ProviderKind.ECHO, "", **limits)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return UpstreamCall(provider, None, method, path, [], data, stream=False)


def chat(
    prompt: object, *, limits: dict[str, float] | None = None, **fields: object
) -> UpstreamCall:
    body = {"model": "echo", "messages": [{"role": "user", "content": prompt}], **fields}
    return a_call(body=body, **(limits or {}))


async def run(
    call: UpstreamCall, sink: RecordingSink | None = None
) -> tuple[RecordingSink, Failure | None]:
    sink = sink or RecordingSink()
    upstream = EchoUpstream(FixedClock(), EchoOptions())
    return sink, await asyncio.wait_for(upstream.call(call, sink), 5)


async def test_a_chat_answers_with_the_words_of_the_last_user_message() -> None:
    """Same request, same answer; usage counts whitespace words."""
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "first question"},
        {"role": "assistant", "content": "answer"},
        {"role": "user", "content": [{"type": "text", "text": "the  last"}, {"type": "image_url"}]},
    ]
    sink, failure = await run(a_call(body={"model": "m", "messages": messages}))
    assert failure is None
    assert (sink.status, sink.headers[b"content-type"]) == (200, b"application/json")
    assert int(sink.headers[b"content-length"]) == len(sink.body)
    assert sink.json == {
        "id": "chatcmpl-echo1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "the last", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
    }


async def test_a_stream_is_one_event_for_each_token() -> None:
    """Role, tokens, finish reason and `[DONE]`; no usage unless asked for."""
    sink, failure = await run(chat('say "ü" now', stream=True))
    assert failure is None
    assert sink.headers[b"content-type"].startswith(b"text/event-stream")
    first, *tokens, last, done = sink.events
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [one["choices"][0]["delta"]["content"] for one in tokens] == ["say", ' "ü"', " now"]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert done == b"[DONE]"
    assert all("usage" not in one for one in (first, *tokens, last))
    assert len({one["id"] for one in (first, *tokens, last)}) == 1


async def test_usage_in_a_stream_comes_when_asked_for() -> None:
    """`stream_options.include_usage` brings one chunk with no choices before `[DONE]`."""
    sink, _ = await run(chat("a b", stream=True, stream_options={"include_usage": True}))
    usage, done = sink.events[-2:]
    assert usage["choices"] == []
    assert usage["usage"] == {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}
    assert done == b"[DONE]"


async def test_usage_can_be_withheld() -> None:
    """`usage=none` leaves it out of streams and whole answers."""
    sink, _ = await run(
        chat("a [[usage=none]]", stream=True, stream_options={"include_usage": True})
    )
    assert b'"usage"' not in sink.body
    sink, _ = await run(chat("a [[usage=none]]"))
    assert "usage" not in sink.json


async def test_tokens_are_repeated_and_limited() -> None:
    """`tokens` cycles through the words; the client's limit cuts with reason `length`."""
    sink, _ = await run(chat("a b [[tokens=5]]"))
    assert sink.json["choices"][0]["message"]["content"] == "a b a b a"
    sink, _ = await run(chat("a b [[tokens=5]]", max_tokens=3, stream=True))
    assert sink.text == "a b a"
    assert sink.events[-2]["choices"][0]["finish_reason"] == "length"
    sink, _ = await run(chat("[[tokens=0]]"))
    assert sink.json["usage"]["completion_tokens"] == 0


async def test_a_plain_completion() -> None:
    """`/completions` answers in its own shape, streamed and not."""
    sink, _ = await run(a_call("/completions", {"model": "m", "prompt": ["one two", "x"]}))
    assert (sink.json["object"], sink.json["choices"][0]["text"]) == ("text_completion", "one two")
    sink, _ = await run(a_call("/completions", {"model": "m", "prompt": "one two", "stream": True}))
    texts = [one["choices"][0]["text"] for one in sink.events[:-1]]
    assert texts == ["one", " two", ""]
    sink, _ = await run(a_call("/completions", {"model": "m", "prompt": [1, 2, 3]}))
    assert sink.json["choices"][0]["text"] == "1 2 3"


async def test_embeddings_are_unit_vectors_that_follow_the_words() -> None:
    """Equal texts have equal vectors, shared words make them near; base64 holds the same floats."""
    body = {"model": "m", "input": ["red car", "red car", "blue sky", "red sky"], "dimensions": 64}
    sink, _ = await run(a_call("/embeddings", body))
    one, same, other, near = (item["embedding"] for item in sink.json["data"])

    def cosine(left: list[float], right: list[float]) -> float:
        return sum(a * b for a, b in zip(left, right, strict=True))

    assert one == same
    assert cosine(one, one) == pytest.approx(1)
    assert cosine(one, near) > cosine(one, other)
    assert sink.json["usage"] == {"prompt_tokens": 8, "total_tokens": 8}
    sink, _ = await run(a_call("/embeddings", {**body, "encoding_format": "base64"}))
    packed = base64.b64decode(sink.json["data"][0]["embedding"])
    assert list(struct.unpack("<64f", packed)) == pytest.approx(one, rel=1e-6)


async def test_nothing_is_ever_flagged() -> None:
    """One verdict for each text or picture, and the last may direct the answer."""
    sink, _ = await run(a_call("/moderations", {"input": "bad [[id=7]]"}))
    assert [one["flagged"] for one in sink.json["results"]] == [False]
    assert sink.json["id"] == "modr-7"
    parts = [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    sink, _ = await run(a_call("/moderations", {"model": "m", "input": parts}))
    assert (len(sink.json["results"]), sink.json["id"]) == (2, "modr-echo")
    sink, _ = await run(a_call("/moderations", {"input": "x [[status=503]]"}))
    assert sink.status == 503


@pytest.mark.parametrize(
    ("script", "usage"), [("", {"total_tokens": 9}), (" [[usage=none]]", None)]
)
async def test_rankings_follow_the_words(script: str, usage: dict[str, int] | None) -> None:
    """Documents that share words with the query come first."""
    documents = ["blue sky", {"text": "a red car"}, "Red sky"]
    body = {"model": "m", "query": f"red{script}", "documents": documents}
    sink, _ = await run(a_call("/rerank", {**body, "documents": [*documents, "x"]}))
    assert [one["index"] for one in sink.json["results"]] == [1, 2, 0, 3]
    assert sink.json.get("usage") == usage
    sink, _ = await run(a_call("/rerank", {**body, "top_n": 1}))
    assert sink.json["results"] == [{"index": 1, "relevance_score": 1.0}]


async def test_it_lists_its_model() -> None:
    """`GET /models` names one model."""
    sink, _ = await run(a_call("/models", b"", method="GET"))
    assert [model["id"] for model in sink.json["data"]] == ["echo"]


async def test_a_status_is_an_error_body() -> None:
    """`status` and `retry_after` make an OpenAI error, and the call itself is complete."""
    sink, failure = await run(chat("x [[status=429 retry_after=3]]", stream=True))
    assert failure is None
    assert (sink.status, sink.headers[b"retry-after"]) == (429, b"3")
    assert sink.json["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (a_call("/audio/speech", {}), 404),
        (a_call("/models", {}), 404),
        (a_call(body=b"{"), 400),
        (a_call(body=b'{"messages":"\xff"}'), 400),
        (a_call(body={"messages": []}), 400),
        (a_call(body={"messages": "text"}), 400),
        (a_call("/completions", {}), 400),
        (a_call("/embeddings", {"input": []}), 400),
        (a_call("/embeddings", {"input": ["a", 3]}), 400),
        (a_call("/embeddings", {"input": [{}]}), 400),
        (a_call("/embeddings", {"input": "x", "dimensions": 0}), 400),
        (a_call("/moderations", {"input": []}), 400),
        (a_call("/rerank", {"query": 5}), 400),
        (chat("x [[tokens=many]]"), 400),
    ],
)
async def test_what_cannot_be_answered_is_refused(call: UpstreamCall, status: int) -> None:
    """Bad paths, bodies and directives are error answers, never exceptions."""
    sink, failure = await run(call)
    assert (failure, sink.status) == (None, status)
    assert sink.json["error"]["message"]


async def test_a_cut_stream_ends_after_its_tokens() -> None:
    """`cut` is a reset in phase BODY once the sink passed something on."""
    sink, failure = await run(chat("a [[tokens=9 cut=4]]", stream=True))
    assert failure is not None
    assert (failure.phase, failure.cause) == (Phase.BODY, Cause.RESET)
    assert (sink.text, b"[DONE]" in sink.body) == ("a a a a", False)


async def test_a_cut_whole_answer_is_half() -> None:
    """Without a stream `cut` leaves the body incomplete."""
    sink, failure = await run(chat("a [[cut=1]]"))
    assert failure is not None and failure.cause is Cause.RESET
    assert len(sink.body) == int(sink.headers[b"content-length"]) // 2


async def test_an_error_event_ends_the_stream() -> None:
    """After `error_event` tokens comes one error and nothing else."""
    sink, failure = await run(chat("a [[tokens=9 error_event=2]]", stream=True))
    assert failure is None
    assert sink.events[-1]["error"]["code"] == "echo_error"
    assert len(sink.events) == 4


@pytest.mark.parametrize(
    ("prompt", "limits", "phase"),
    [
        ("a [[delay_ms=60000]]", {"headers_timeout_s": 0.02}, Phase.HEADERS),
        ("a [[gap_ms=60000]]", {"idle_timeout_s": 0.02}, Phase.BODY),
        ("a b [[stall=1]]", {"idle_timeout_s": 0.02}, Phase.BODY),
        ("a b [[stall=1]]", {"total_timeout_s": 0.02}, Phase.BODY),
    ],
)
async def test_waiting_too_long_is_a_timeout(
    prompt: str, limits: dict[str, float], phase: Phase
) -> None:
    """Each limit of the provider's record ends the call in its phase."""
    _, failure = await run(chat(prompt + " [[tokens=3]]", stream=True, limits=limits))
    assert failure is not None
    assert (failure.phase, failure.cause) == (phase, Cause.TIMEOUT)


async def test_no_token_in_time_is_a_timeout_before_the_first_event() -> None:
    """A sink that saw nothing worth passing on keeps the call in phase FIRST_EVENT."""

    class Unmoved(RecordingSink):
        def data(self, data: bytes) -> None:
            self.pieces.append(data)

    call = chat("a [[stall=0]]", stream=True, limits={"first_token_timeout_s": 0.02})
    _, failure = await run(call, Unmoved())
    assert failure is not None
    assert (failure.phase, failure.cause) == (Phase.FIRST_EVENT, Cause.TIMEOUT)


async def test_a_sink_that_cancels_gets_nothing_more() -> None:
    """The failure given to `cancel` is what the call returns."""

    def leave(sink: RecordingSink) -> None:
        assert sink.flow is not None
        sink.flow.cancel(GONE)

    sink = RecordingSink(leave)
    _, failure = await run(chat("a [[tokens=9 gap_ms=1]]", stream=True), sink)
    assert failure is GONE
    assert len(sink.pieces) == 1


async def test_cancelling_before_the_head_ends_the_call() -> None:
    """A sink that is already stopped when it is attached sees no head."""

    class Stopped(RecordingSink):
        def attach(self, flow: Flow) -> None:
            super().attach(flow)
            flow.cancel(GONE)

    for call in (chat("a"), a_call(body=b"{")):
        sink, failure = await run(call, Stopped())
        assert (failure, sink.status) == (GONE, 0)


async def test_cancelling_ends_a_wait_at_once() -> None:
    """A cancel from outside does not wait for the delay to pass."""
    sink = RecordingSink()
    upstream = EchoUpstream(FixedClock())
    running = asyncio.ensure_future(upstream.call(chat("a [[delay_ms=20000]]"), sink))
    await asyncio.sleep(0)
    assert sink.flow is not None
    sink.flow.cancel(GONE)
    assert await asyncio.wait_for(running, 1) is GONE


async def test_a_paused_sink_gets_nothing_until_it_resumes() -> None:
    """Backpressure holds the stream; resuming completes it."""

    def pause_once(sink: RecordingSink) -> None:
        assert sink.flow is not None
        if len(sink.pieces) == 1:
            sink.flow.pause()

    sink = RecordingSink(pause_once)
    upstream = EchoUpstream(FixedClock())
    running = asyncio.ensure_future(upstream.call(chat("a b [[tokens=2000]]", stream=True), sink))
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(sink.pieces) == 1
    assert sink.flow is not None
    sink.flow.resume()
    assert await asyncio.wait_for(running, 5) is None
    assert len(sink.events) == 2003


async def test_a_pause_is_bounded_by_the_total_time() -> None:
    """A sink that never resumes does not hold the call for ever."""
    sink = RecordingSink(lambda one: one.flow.pause() if one.flow else None)
    call = chat("a [[tokens=2000]]", stream=True, limits={"total_timeout_s": 0.05})
    _, failure = await run(call, sink)
    assert failure is not None and failure.cause is Cause.TIMEOUT


async def test_a_satisfied_sink_ends_the_call() -> None:
    """`satisfied` is a complete call, even where the script would go on."""

    def enough(sink: RecordingSink) -> None:
        assert sink.flow is not None
        sink.flow.satisfied()

    sink = RecordingSink(enough)
    _, failure = await run(chat("a [[tokens=9 gap_ms=1]]", stream=True), sink)
    assert failure is None
    assert len(sink.pieces) == 1
