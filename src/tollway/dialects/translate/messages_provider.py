"""Anthropic's Messages as providers speak it: a talk is written as a request; whole replies and
streams are read.

`max_tokens` is required there: where nobody has said, `DEFAULT_OUTPUT_TOKENS`. What the dialect has
no words for: seeds and penalties (told), sounds (refused), a free choice of JSON without a schema
(refused). Sampling is left out while the model thinks: Anthropic refuses it then. Source:
Anthropic's API reference, version 2023-06-01.
"""

from typing import Any

from tollway.dialects.translate.events import EventReader
from tollway.dialects.translate.pieces import (
    Begun,
    Ended,
    PartEnded,
    Piece,
    TextPiece,
    ThinkingPiece,
    ToolBegun,
    ToolPiece,
)
from tollway.dialects.translate.shapes import (
    arguments_of,
    arguments_text,
    encode,
    loaded,
    objects_of,
    split_data_url,
    text_of,
)
from tollway.dialects.translate.sides import ProviderSide
from tollway.dialects.translate.talk import (
    GEMINI_SIGNED,
    Answer,
    Audio,
    CannotCarryError,
    Document,
    Format,
    Image,
    Message,
    Part,
    Refusal,
    Stop,
    Talk,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Written,
    joined,
)
from tollway.dialects.translate.thinking import may_think, thinking_of
from tollway.dialects.usage_anthropic import later_usage, read_anthropic_usage
from tollway.domain.usage import Usage

DEFAULT_OUTPUT_TOKENS = 4096
STOPS = {
    "end_turn": Stop.END,
    "max_tokens": Stop.LENGTH,
    "tool_use": Stop.TOOL,
    "stop_sequence": Stop.SEQUENCE,
    "refusal": Stop.REFUSAL,
    "pause_turn": Stop.PAUSE,
    "model_context_window_exceeded": Stop.CONTEXT,
}
_HINTS = ("seed", "frequency_penalty", "presence_penalty")
_CACHED = {"cache_control": {"type": "ephemeral"}}


def write(talk: Talk, model: str) -> Written:
    """The request. Raises CannotCarryError."""
    body, dropped = request_of(talk, model)
    return Written(encode(body), dropped)


def request_of(talk: Talk, model: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The request as values that nobody else holds, and what was left out. Raises
    CannotCarryError."""
    dropped = [name for name in _HINTS if getattr(talk, name) is not None]
    most = talk.max_output or DEFAULT_OUTPUT_TOKENS
    thinking = thinking_of(talk.reasoning, most)
    if thinking is not None and not (thinking["type"] == "disabled" or may_think(talk)):
        thinking = None
        dropped.append("reasoning")
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": most,
        "messages": [_message(message) for message in joined(talk.messages)],
        **_tools(talk),
    }
    if talk.system:
        body["system"] = [_marked({"type": "text", "text": one.text}, one) for one in talk.system]
    if thinking is not None:
        body["thinking"] = thinking
    thinks = thinking is not None and thinking["type"] != "disabled"
    sampling = _sampling(talk)
    if thinks:
        dropped += sampling
    else:
        body.update(sampling)
    if talk.stop:
        body["stop_sequences"] = list(talk.stop)
    if talk.format is not None:
        body["output_config"] = {"format": _format(talk.format)}
    if talk.end_user:
        body["metadata"] = {"user_id": talk.end_user}
    if talk.stream:
        body["stream"] = True
    return body, tuple(dropped)


def _sampling(talk: Talk) -> dict[str, Any]:
    said = {"temperature": talk.temperature, "top_p": talk.top_p, "top_k": talk.top_k}
    if talk.temperature is not None and talk.temperature > 1:
        raise CannotCarryError("temperature", "The provider takes 0 to 1.")
    return {name: value for name, value in said.items() if value is not None}


def _format(wanted: Format) -> dict[str, Any]:
    if wanted.kind == "json":
        raise CannotCarryError("format", "The provider wants a schema of the JSON.")
    return {"type": "json_schema", "schema": wanted.schema}


def _tools(talk: Talk) -> dict[str, Any]:
    if not talk.tools:
        return {}
    said: dict[str, Any] = {"tools": []}
    for tool in talk.tools:
        schema = {"type": "object"} if tool.schema is None else tool.schema
        written: dict[str, Any] = {"name": tool.name, "input_schema": schema}
        if tool.description:
            written["description"] = tool.description
        if tool.strict is not None:
            written["strict"] = tool.strict
        said["tools"].append(_marked(written, tool))
    choice: dict[str, Any] = {}
    if talk.tool_choice is not None:
        named = talk.tool_choice.mode == "named"
        choice = {"type": "tool" if named else talk.tool_choice.mode}
        if named:
            choice["name"] = talk.tool_choice.name
    if talk.parallel_tools is False and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    if choice:
        said["tool_choice"] = choice
    return said


def _marked(block: dict[str, Any], part: Any) -> dict[str, Any]:
    return {**block, **_CACHED} if part.cached else block


def _message(message: Message) -> dict[str, Any]:
    """Results of tools go first, as they must."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    rest = [part for part in message.parts if not isinstance(part, ToolResult)]
    blocks = [block for part in (*results, *rest) if (block := _block(part)) is not None]
    return {"role": message.role, "content": blocks}


def _block(part: Part) -> dict[str, Any] | None:
    """None: it says nothing, and an empty block is refused."""
    if isinstance(part, Text):
        return _marked({"type": "text", "text": part.text}, part) if part.text else None
    if isinstance(part, Refusal):
        return {"type": "text", "text": part.text} if part.text else None
    if isinstance(part, Thinking):
        return _thought(part)
    if isinstance(part, ToolUse):
        arguments = arguments_of(part.arguments)
        call = {"type": "tool_use", "id": part.id, "name": part.name, "input": arguments}
        return _marked(call, part)
    if isinstance(part, ToolResult):
        content = [block for one in part.parts if (block := _block(one)) is not None]
        result: dict[str, Any] = {"type": "tool_result", "tool_use_id": part.id}
        if content:
            result["content"] = content
        if part.failed:
            result["is_error"] = True
        return _marked(result, part)
    if isinstance(part, Audio):
        raise CannotCarryError("audio", "The provider does not listen.")
    return _marked(_source(part), part)


def _thought(part: Thinking) -> dict[str, Any] | None:
    """Only what Anthropic has signed goes back to it."""
    if part.sealed:
        return {"type": "redacted_thinking", "data": part.sealed}
    if not part.signature or part.signature.startswith(GEMINI_SIGNED):
        return None
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}


def _source(part: Image | Document) -> dict[str, Any]:
    kind = "image" if isinstance(part, Image) else "document"
    media_type, data = part.media_type, part.data
    inline = split_data_url(part.url)
    if inline is not None:
        media_type, data = inline
    source = {"type": "base64", "media_type": media_type, "data": data}
    if part.url and inline is None:
        source = {"type": "url", "url": part.url}
    elif isinstance(part, Document) and part.text:
        source = {"type": "text", "media_type": "text/plain", "data": part.text}
    block: dict[str, Any] = {"type": kind, "source": source}
    if isinstance(part, Document) and part.name:
        block["title"] = part.name
    return block


def read_answer(body: bytes) -> Answer | None:
    """A message; None for what is none."""
    value = loaded(body)
    if (
        value is None
        or value.get("type") != "message"
        or not isinstance(value.get("content"), list)
    ):
        return None
    parts = tuple(
        part for block in objects_of(value["content"]) if (part := _part(block)) is not None
    )
    stop = STOPS.get(text_of(value, "stop_reason"), Stop.END)
    usage = read_anthropic_usage(value.get("usage"))
    return Answer(parts, stop, usage, text_of(value, "id"), text_of(value, "stop_sequence"))


def _part(block: dict[str, Any]) -> Part | None:
    """None: of a kind that is only its servers' affair."""
    kind = block.get("type")
    if kind == "text":
        return Text(text_of(block, "text"))
    if kind == "thinking":
        return Thinking(text_of(block, "thinking"), text_of(block, "signature"))
    if kind == "redacted_thinking":
        return Thinking("", sealed=text_of(block, "data"))
    if kind == "tool_use":
        arguments = arguments_text(block.get("input"))
        return ToolUse(text_of(block, "id"), text_of(block, "name"), arguments)
    return None


class MessagePieces(EventReader):
    """A stream of typed events as pieces."""

    def __init__(self) -> None:
        super().__init__()
        self._known: Usage | None = None  # its beginning counts the input alone
        self._begun = False
        self._open: dict[object, int] = {}  # a block's index -> part
        self._stop: Stop | None = None
        self._stop_sequence = ""

    def _read(self, name: bytes, event: dict[str, Any]) -> list[Piece]:
        kind = event.get("type")
        if kind == "error" or event.get("error"):
            return [self._fault(event)]
        if kind == "message_start":
            return self._start(event.get("message"))
        if kind == "content_block_start":
            return self._block(event)
        if kind == "content_block_delta":
            return self._delta(event)
        if kind == "content_block_stop":
            part = self._open.pop(_index(event), None)
            return [] if part is None else [PartEnded(part)]
        if kind == "message_delta":
            self._note(event)
        if kind == "message_stop":
            return self._last()
        return []

    def _finish(self) -> list[Piece]:
        """Without its last event an answer is whole once its reason is known."""
        return self._last() if self._stop is not None else []

    def _last(self) -> list[Piece]:
        self._over = True
        if not self._begun:
            return []
        ended = [PartEnded(part) for part in self._open.values()]
        return [*ended, Ended(self._stop or Stop.END, self._known, self._stop_sequence)]

    def _start(self, message: object) -> list[Piece]:
        if self._begun or not isinstance(message, dict):
            return []
        self._begun = True
        self._known = read_anthropic_usage(message.get("usage"))
        known = None if self._known is None else self._known._replace(output=None, reasoning=None)
        return [Begun(text_of(message, "id"), known)]

    def _note(self, event: dict[str, Any]) -> None:
        told = read_anthropic_usage(event.get("usage"))
        if told is not None:
            self._known = self.usage = later_usage(self._known, told)
        delta = event.get("delta")
        if isinstance(delta, dict) and text_of(delta, "stop_reason"):
            self._stop = STOPS.get(text_of(delta, "stop_reason"), Stop.END)
            self._stop_sequence = text_of(delta, "stop_sequence")

    def _block(self, event: dict[str, Any]) -> list[Piece]:
        block, index = event.get("content_block"), _index(event)
        if not self._begun or not isinstance(block, dict) or index in self._open:
            return []
        part = _part(block)
        if part is None:
            return []
        number = self._open[index] = self._parts
        self._parts += 1
        if isinstance(part, ToolUse):
            return [ToolBegun(number, part.id, part.name)]
        if isinstance(part, Thinking):
            told = part.text or part.sealed
            return [ThinkingPiece(number, part.text, "", part.sealed)] if told else []
        return [TextPiece(number, part.text)] if isinstance(part, Text) and part.text else []

    def _delta(self, event: dict[str, Any]) -> list[Piece]:
        delta, number = event.get("delta"), self._open.get(_index(event))
        if number is None or not isinstance(delta, dict):
            return []
        kind = delta.get("type")
        if kind == "text_delta":
            return [TextPiece(number, text_of(delta, "text"))]
        if kind == "thinking_delta":
            return [ThinkingPiece(number, text_of(delta, "thinking"))]
        if kind == "signature_delta":
            return [ThinkingPiece(number, signature=text_of(delta, "signature"))]
        if kind == "input_json_delta":
            return [ToolPiece(number, text_of(delta, "partial_json"))]
        return []


def _index(event: dict[str, Any]) -> int:
    index = event.get("index")
    return index if type(index) is int else -1


PROVIDER = ProviderSide(write, lambda _model, _stream: "/messages", read_answer, MessagePieces)
