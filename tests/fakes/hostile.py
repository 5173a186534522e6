"""How a provider of each kind speaks, in pieces that a test can spoil, and who asks it: clients of
the same dialect (its answer passes) and of others (it is translated).
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.fakes import amazon
from tests.fakes.pipeline import (
    DONE,
    EVENT_STREAM,
    Bench,
    FakeClient,
    Script,
    chunk,
    make_bench,
    provider,
    snapshot,
)
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.ids import ProviderId
from tollway.domain.provider import ProviderKind

AWS = [(b"content-type", b"application/vnd.amazon.eventstream")]
LINES = [(b"content-type", b"application/x-ndjson")]
TEXT, USED = "hello", (5, 2)  # what every sound answer says, and what it counts
LOOK = {"at": 1}


def event(value: Any) -> bytes:
    """One server-sent event; bytes stand in it as they are."""
    payload = value if isinstance(value, bytes) else json.dumps(value).encode()
    return b"data: %b\n\n" % payload


def typed(kind: str, **fields: Any) -> bytes:
    """One with a type, said twice."""
    return b"event: %b\n" % kind.encode() + event({"type": kind, **fields})


class Side(NamedTuple):
    """A provider's dialect. A stream is `start`, words and calls, `stopped` (why it ended, and its
    usage) and `last`; `whole` is the same at once, around these usage numbers."""

    kind: ProviderKind
    start: bytes
    words: Callable[[str], bytes]
    call: Callable[[Any, str, str, str], bytes]  # place, id, name, arguments as they are streamed
    stopped: Callable[[Any], bytes]
    last: bytes
    whole: Callable[[Any], bytes]
    error: Callable[[str], bytes]
    head: list[tuple[bytes, bytes]] = EVENT_STREAM

    @property
    def sound(self) -> list[bytes]:
        """A whole stream, in pieces."""
        used = USAGES[self.name]
        return [self.start, self.words(TEXT), self.stopped(used), *([self.last] * bool(self.last))]

    @property
    def name(self) -> str:
        """By which tests name it."""
        return next(name for name, side in SIDES.items() if side is self)

    def streamed(self, *pieces: Any, **changes: Any) -> Script:
        """These pieces under its own type."""
        return Script(**{"headers": self.head, "pieces": list(pieces), **changes})


def _chat_call(place: Any, id_: str, name: str, arguments: str) -> bytes:
    function = {"name": name, "arguments": arguments}
    call = {"index": place, "id": id_, "type": "function", "function": function}
    return chunk(choices=[{"index": 0, "delta": {"tool_calls": [call]}}])


def _chat_whole(usage: Any) -> bytes:
    message = {"role": "assistant", "content": TEXT}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return _with({"id": "c1", "object": "chat.completion", "choices": choices}, "usage", usage)


def _chat_stopped(usage: Any) -> bytes:
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return event(_with(last, "usage", usage))


def _with(value: dict[str, Any], name: str, usage: Any) -> bytes:
    """Usage may be bytes that no encoder would write."""
    told = usage if isinstance(usage, bytes) else json.dumps(usage).encode()
    return json.dumps(value).encode()[:-1] + b', "%b": %b}' % (name.encode(), told)


def _block(place: Any, block: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    said = [typed("content_block_start", index=place, content_block=block)]
    said += [typed("content_block_delta", index=place, delta=delta) for delta in deltas]
    return b"".join([*said, typed("content_block_stop", index=place)])


def _messages_words(text: str) -> bytes:
    return _block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": text})


def _messages_call(place: Any, id_: str, name: str, arguments: str) -> bytes:
    block = {"type": "tool_use", "id": id_, "name": name, "input": {}}
    return _block(place, block, {"type": "input_json_delta", "partial_json": arguments})


def _messages_stopped(usage: Any) -> bytes:
    value = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    return b"event: message_delta\n" + event(_with(value, "usage", usage))


def _messages_whole(usage: Any) -> bytes:
    said = {"role": "assistant", "content": [{"type": "text", "text": TEXT}]}
    value = {"id": "m1", "type": "message", **said, "stop_reason": "end_turn"}
    return _with(value, "usage", usage)


def _gemini(*parts: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts)}, "finishReason": reason}]}


def _gemini_call(place: Any, id_: str, name: str, arguments: str) -> bytes:
    call = {"id": id_, "name": name, "args": _object(arguments)}
    return event(_gemini({"functionCall": call}))


def _object(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _gemini_stopped(usage: Any) -> bytes:
    return event(_with(_gemini(reason="STOP"), "usageMetadata", usage))


def _gemini_whole(usage: Any) -> bytes:
    return _with(_gemini({"text": TEXT}, reason="STOP"), "usageMetadata", usage)


def _bedrock_words(text: str) -> bytes:
    return amazon.delta(0, text=text) + amazon.block_end(0)


def _bedrock_call(place: Any, id_: str, name: str, arguments: str) -> bytes:
    said = amazon.delta(place, toolUse={"input": arguments})
    return amazon.called(place, id_, name) + said + amazon.block_end(place)


def _frame(name: str, payload: bytes) -> bytes:
    headers = amazon.header(":event-type", name) + amazon.header(":message-type", "event")
    return amazon.frame(headers, payload)


def _bedrock_stopped(usage: Any) -> bytes:
    return amazon.stop("end_turn") + _frame("metadata", _with({"x": 1}, "usage", usage))


def _bedrock_whole(usage: Any) -> bytes:
    message = {"role": "assistant", "content": [{"text": TEXT}]}
    return _with({"output": {"message": message}, "stopReason": "end_turn"}, "usage", usage)


def _responses_call(place: Any, id_: str, name: str, arguments: str) -> bytes:
    item = {"type": "function_call", "call_id": id_, "name": name, "arguments": ""}
    said = {"output_index": place, "delta": arguments}
    return typed("response.output_item.added", output_index=place, item=item) + typed(
        "response.function_call_arguments.delta", **said
    )


def _responses_whole(usage: Any) -> bytes:
    content = [{"type": "output_text", "text": TEXT, "annotations": []}]
    output = [{"type": "message", "role": "assistant", "content": content}]
    value = {"id": "r1", "object": "response", "status": "completed", "output": output}
    return _with(value, "usage", usage)


def _responses_stopped(usage: Any) -> bytes:
    value = b'{"type": "response.completed", "response": %b}' % _responses_whole(usage)
    return b"event: response.completed\n" + event(value)


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "server_error", "code": "broken"}}


STARTED = {"id": "m1", "type": "message", "role": "assistant", "content": [], "usage": {}}


def _ollama_line(text: str, **more: Any) -> bytes:
    message = {"role": "assistant", "content": text}
    said = {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": False}
    return json.dumps({**said, **more}, separators=(",", ":")).encode() + b"\n"


def _ollama_call(place: Any, id_: str, name: str, arguments: str) -> bytes:
    call = {"id": id_, "function": {"name": name, "arguments": _object(arguments)}}
    return _ollama_line("", message={"role": "assistant", "content": "", "tool_calls": [call]})


def _ollama_stopped(usage: Any) -> bytes:
    return _ollama_last("", usage) + b"\n"


def _ollama_whole(usage: Any) -> bytes:
    return _ollama_last(TEXT, usage)


def _ollama_last(text: str, usage: Any) -> bytes:
    """Counts stand beside the rest; bytes may be what no encoder would write."""
    last = _ollama_line(text, done=True, done_reason="stop").rstrip()[:-1]
    counts = usage if isinstance(usage, bytes) else json.dumps(usage).encode()
    return last + (b", " if counts != b"{}" else b"") + counts[1:]


SIDES = {
    "chat": Side(
        ProviderKind.ECHO,
        chunk(""),
        chunk,
        _chat_call,
        _chat_stopped,
        DONE,
        _chat_whole,
        lambda message: event(_error(message)),
    ),
    "messages": Side(
        ProviderKind.ANTHROPIC,
        typed("message_start", message=STARTED),
        _messages_words,
        _messages_call,
        _messages_stopped,
        typed("message_stop"),
        _messages_whole,
        lambda message: typed("error", **_error(message)),
    ),
    "gemini": Side(
        ProviderKind.GEMINI,
        event(_gemini()),
        lambda text: event(_gemini({"text": text})),
        _gemini_call,
        _gemini_stopped,
        b"",
        _gemini_whole,
        lambda message: event(_error(message)),
    ),
    "bedrock": Side(
        ProviderKind.BEDROCK,
        amazon.START,
        _bedrock_words,
        _bedrock_call,
        _bedrock_stopped,
        b"",
        _bedrock_whole,
        lambda message: amazon.exception("internalServerException", message),
        AWS,
    ),
    "responses": Side(
        ProviderKind.OPENAI,
        typed("response.created", response={"id": "r1", "status": "in_progress"}),
        lambda text: typed("response.output_text.delta", output_index=0, delta=text),
        _responses_call,
        _responses_stopped,
        b"",
        _responses_whole,
        lambda message: typed("error", message=message, code="broken"),
    ),
    "ollama": Side(
        ProviderKind.OLLAMA,
        _ollama_line(""),
        _ollama_line,
        _ollama_call,
        _ollama_stopped,
        b"",
        _ollama_whole,
        lambda message: json.dumps({"error": message}).encode() + b"\n",
        LINES,
    ),
}
# Names of the counts that each has for its input and its output.
COUNTS = {
    "chat": ("prompt_tokens", "completion_tokens"),
    "messages": ("input_tokens", "output_tokens"),
    "gemini": ("promptTokenCount", "candidatesTokenCount"),
    "bedrock": ("inputTokens", "outputTokens"),
    "responses": ("input_tokens", "output_tokens"),
    "ollama": ("prompt_eval_count", "eval_count"),
}
USAGES = {name: dict(zip(counts, USED, strict=True)) for name, counts in COUNTS.items()}
CLIENTS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "chat": (b"/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
    "messages": (
        b"/v1/messages",
        {"max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]},
    ),
    "responses": (b"/v1/responses", {"input": "hi"}),
    "ollama": (b"/api/chat", {"messages": [{"role": "user", "content": "hi"}]}),
}
# The last words of a whole stream, per client; an error event stands in their place.
ENDS = {
    "chat": b"data: [DONE]",
    "messages": b"message_stop",
    "responses": b"response.completed",
    "ollama": b'"done":true',
}
TRANSLATED = [
    (client, side) for client in CLIENTS for side in SIDES if side != client and side != "responses"
]
NATIVE = [(name, name) for name in CLIENTS]
PAIRS = [*NATIVE, *TRANSLATED]


class Quiet(FakeClient):
    """A client that only counts what it is written, so that a long answer costs nothing here."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    def write(self, data: bytes) -> None:
        assert self.ended is None, "wrote after the end"
        self.size += len(data)
        self.body = (self.body + data)[-4096:]


def at(side: str, *scripts: Script, names: tuple[str, ...] = ("one",)) -> Bench:
    """The model `m` at providers of this dialect."""
    kind = SIDES[side].kind
    served = {ProviderId(f"prv_{name}"): provider(name, kind=kind) for name in names}
    return make_bench(*scripts, config=snapshot(names, providers=served))


async def ask(
    made: Bench, client: str, *, stream: bool, by: FakeClient | None = None, **fields: Any
) -> tuple[Any, Any]:
    """One request of this client's dialect: the client and the verdict."""
    path, body = CLIENTS[client]
    asked = {"model": "m", "stream": stream, **body, **fields}
    return await made.ask(asked, endpoint=ENDPOINTS[path], client=by)


def told_once(client: str, body: bytes) -> bool:
    """The stream ends in one error event, and in nothing else."""
    events = body.rstrip(b"\n").split(b"\n" if client == "ollama" else b"\n\n")
    error = b'{"error":"' if client == "ollama" else b'"error":{'
    marks = [error in one and ENDS[client] not in one for one in events]
    return marks[-1] and sum(marks) == 1 and ENDS[client] not in body
