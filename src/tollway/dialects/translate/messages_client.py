"""Anthropic's Messages as clients speak it: a request is read into a talk; answers are written.

Source: Anthropic's API reference, and what Claude Code sends. What only Anthropic's own servers can
do is refused by name (their tools, their connectors); hints for them are left out. A system message
between turns keeps its place, as a user's turn. Streams are `messages_writer.py`.
"""

from typing import Any

import msgspec

from tollway.dialects.ask import Ask, Heading
from tollway.dialects.blocks import blocks_of
from tollway.dialects.translate.messages_writer import (
    CALLER,
    STOP_REASONS,
    UNKNOWN,
    MessageEvents,
    message_usage,
)
from tollway.dialects.translate.shapes import arguments_of, arguments_text, encode, text_of
from tollway.dialects.translate.sides import ClientSide
from tollway.dialects.translate.talk import (
    Answer,
    Document,
    Format,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Talk,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from tollway.domain.refusal import BadRequest

_load = msgspec.json.Decoder().decode
_CHOICES = {"auto": "auto", "any": "any", "none": "none", "tool": "named"}
_DISPLAYS = ("summarized", "omitted")
_KNOWN = frozenset(
    {
        "model", "messages", "system", "tools", "tool_choice", "max_tokens", "stream",
        "temperature", "top_p", "top_k", "stop_sequences", "thinking", "output_config",
        "output_format", "metadata",
    }
)  # fmt: skip
# For Anthropic's own servers; to another they mean nothing.
_IGNORED = frozenset(
    {"betas", "context_management", "service_tier", "inference_geo", "cache_control", "speed"}
)
_FIELDS = {
    "max_output": "max_tokens",
    "stop": "stop_sequences",
    "format": "output_config.format",
    "reasoning": "thinking",
    "end_user": "metadata.user_id",
    "parallel_tools": "tool_choice.disable_parallel_tool_use",
    "image": "messages",
    "document": "messages",
    "audio": "messages",
}


class _WrongError(Exception):
    """What cannot be read; caught in `read`, where it becomes a value."""

    def __init__(self, field: str, message: str, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.refusal = BadRequest(f"'{field}' {message}", code, field)


def read(ask: Ask) -> Talk | BadRequest:
    """The talk in a judged request, or the first thing that cannot be understood."""
    try:
        return _read({name: _load(ask.fields[name]) for name in _KNOWN & ask.fields.keys()})
    except _WrongError as error:
        return error.refusal
    except (msgspec.DecodeError, RecursionError):
        return BadRequest("The request holds a number that is out of range.", "invalid_value")


def _read(body: dict[str, Any]) -> Talk:
    if body.get("max_tokens") == 0:
        raise _WrongError(
            "max_tokens",
            "must be at least 1 at the provider behind this model.",
            "unsupported_parameter",
        )
    output = _object(body, "output_config")
    choice = _object(body, "tool_choice")
    metadata = _object(body, "metadata")
    return Talk(
        tuple(_message(one, f"messages.{n}") for n, one in _each(body, "messages")),
        _system(body.get("system")),
        tuple(_tool(one, f"tools.{n}") for n, one in _each(body, "tools")),
        _choice(choice),
        False if choice.get("disable_parallel_tool_use") is True else None,
        _format(output.get("format") or body.get("output_format")),
        _reasoning(_object(body, "thinking"), text_of(output, "effort")),
        _number(body, "max_tokens", int),
        _number(body, "temperature", float),
        _number(body, "top_p", float),
        _number(body, "top_k", int),
        tuple(one for one in body.get("stop_sequences") or () if isinstance(one, str)),
        end_user=text_of(metadata, "user_id"),
        left_out=("citations",) if _cites(body.get("messages")) else (),
    )


def _cites(messages: Any) -> bool:
    """Whether answers are to name places in documents: no other dialect has words for them."""
    return any(
        isinstance(citations := block.get("citations"), dict) and citations.get("enabled") is True
        for block in blocks_of(messages)
    )


def _message(message: Any, at: str) -> Message:
    if not isinstance(message, dict):
        raise _WrongError(at, "must be an object.", "invalid_type")
    role = message.get("role")
    if role not in ("user", "assistant", "system"):
        raise _WrongError(f"{at}.role", "must be 'user' or 'assistant'.")
    content = message.get("content")
    if isinstance(content, str):
        parts: tuple[Part, ...] = (Text(content),) if content else ()
    else:
        parts = _blocks(_list(content, f"{at}.content"), f"{at}.content")
    return Message("assistant" if role == "assistant" else "user", parts)


def _blocks(blocks: list[Any], at: str) -> tuple[Part, ...]:
    """What is said about a document stands before it, in words."""
    parts: list[Part] = []
    for number, block in enumerate(blocks):
        part = _block(block, f"{at}.{number}")
        if isinstance(part, Document) and text_of(block, "context"):
            parts.append(Text(text_of(block, "context")))
        if part is not None:
            parts.append(part)
    return tuple(parts)


def _block(block: Any, at: str) -> Part | None:
    if not isinstance(block, dict):
        raise _WrongError(at, "must be an object.", "invalid_type")
    kind, cached = block.get("type"), bool(block.get("cache_control"))
    if kind == "text":
        return Text(_text(block, "text", at), cached)
    if kind == "thinking":
        return Thinking(text_of(block, "thinking"), text_of(block, "signature"))
    if kind == "redacted_thinking":
        return Thinking("", sealed=text_of(block, "data"))
    if kind == "tool_use":
        arguments = arguments_text(block.get("input"))
        id_, name = _text(block, "id", at), _text(block, "name", at)
        return ToolUse(id_, name, arguments, cached=cached)
    if kind == "tool_result":
        return _result(block, at, cached=cached)
    if kind in ("image", "document"):
        return _source(block, at, cached=cached)
    message = "is of a type that no other provider knows."
    raise _WrongError(f"{at}.type", message, "unsupported_parameter")


def _result(block: dict[str, Any], at: str, *, cached: bool) -> ToolResult:
    content = block.get("content")
    parts: tuple[Part, ...] = ()
    if isinstance(content, str):
        parts = (Text(content),)
    elif content is not None:
        parts = _blocks(_list(content, at), f"{at}.content")
    if any(not isinstance(part, Text | Image | Document) for part in parts):
        raise _WrongError(f"{at}.content", "holds what a result cannot.", "unsupported_parameter")
    id_ = _text(block, "tool_use_id", at)
    return ToolResult(id_, parts, bool(block.get("is_error")), cached)


def _source(block: dict[str, Any], at: str, *, cached: bool) -> Image | Document:
    source = block.get("source")
    if not isinstance(source, dict):
        raise _WrongError(f"{at}.source", "must be an object.", "invalid_type")
    kind, name = source.get("type"), text_of(block, "title")
    media_type, data = text_of(source, "media_type"), text_of(source, "data")
    url = text_of(source, "url") if kind == "url" else ""
    if kind == "text" and block["type"] == "document":
        return Document("text/plain", text=data, name=name, cached=cached)
    if kind == "content" and block["type"] == "document":
        return Document("text/plain", text=_content(source, at), name=name, cached=cached)
    if not url and not (kind == "base64" and media_type and data):
        message = "must be base64 with its media type, or a URL."
        raise _WrongError(f"{at}.source", message, "unsupported_parameter")
    if url:
        media_type = data = ""
    if block["type"] == "image":
        return Image(media_type, data, url, cached=cached)
    return Document(media_type, data, url, name=name, cached=cached)


def _content(source: dict[str, Any], at: str) -> str:
    """A document made of texts."""
    content = source.get("content")
    if isinstance(content, str):
        return content
    blocks = _list(content, f"{at}.source.content")
    if any(not isinstance(one, dict) or one.get("type") != "text" for one in blocks):
        message = "must be made of texts."
        raise _WrongError(f"{at}.source.content", message, "unsupported_parameter")
    return "\n".join(_text(one, "text", f"{at}.source.content") for one in blocks)


def _system(value: Any) -> tuple[Text, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return (Text(value),)
    texts = []
    for number, block in enumerate(_list(value, "system")):
        if not isinstance(block, dict) or block.get("type") != "text":
            raise _WrongError(f"system.{number}", "must be a block of text.", "invalid_type")
        text = _text(block, "text", f"system.{number}")
        if text:
            texts.append(Text(text, bool(block.get("cache_control"))))
    return tuple(texts)


def _tool(tool: Any, at: str) -> Tool:
    if not isinstance(tool, dict):
        raise _WrongError(at, "must be an object.", "invalid_type")
    if tool.get("type") not in (None, "custom"):
        message = "is a tool of Anthropic's servers, which no other provider has."
        raise _WrongError(f"{at}.type", message, "unsupported_parameter")
    strict = tool.get("strict")
    return Tool(
        _text(tool, "name", at),
        text_of(tool, "description"),
        tool.get("input_schema"),
        strict if isinstance(strict, bool) else None,
        bool(tool.get("cache_control")),
    )


def _choice(choice: dict[str, Any]) -> ToolChoice | None:
    if not choice:
        return None
    mode = _CHOICES.get(text_of(choice, "type"))
    if mode is None:
        raise _WrongError("tool_choice.type", "must be one of auto, any, tool, none.")
    return ToolChoice(mode, text_of(choice, "name"))  # type: ignore[arg-type]  # of _CHOICES


def _format(wanted: Any) -> Format | None:
    if wanted is None:
        return None
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        raise _WrongError("output_config.format", "must be a JSON schema.", "invalid_type")
    return Format("schema", schema=wanted.get("schema"), strict=True)


def _reasoning(thinking: dict[str, Any], effort: str) -> Reasoning | None:
    kind = thinking.get("type")
    if kind == "disabled":
        return Reasoning("none")
    if kind is None and not effort:
        return None
    budget, shown = thinking.get("budget_tokens"), text_of(thinking, "display")
    return Reasoning(
        effort,
        budget if type(budget) is int else None,
        None if kind is None else shown != "omitted",
        kind == "adaptive",
        shown if shown in _DISPLAYS else "",
    )


def _each(body: dict[str, Any], name: str) -> list[tuple[int, Any]]:
    value = body.get(name)
    return [] if value is None else list(enumerate(_list(value, name)))


def _list(value: Any, at: str) -> list[Any]:
    if not isinstance(value, list):
        raise _WrongError(at, "must be an array.", "invalid_type")
    return value


def _object(body: dict[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _WrongError(name, "must be an object.", "invalid_type")
    return value


def _text(value: dict[str, Any], name: str, at: str) -> str:
    found = value.get(name)
    if not isinstance(found, str):
        raise _WrongError(f"{at}.{name}", "must be a string.", "invalid_type")
    return found


def _number(body: dict[str, Any], name: str, kind: type) -> Any:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        raise _WrongError(name, "must be a number.", "invalid_type")
    return value


def write_answer(answer: Answer, heading: Heading) -> bytes:
    """A message of the assistant."""
    content = [block for part in answer.parts if (block := _written(part)) is not None]
    return encode(
        {
            "id": f"msg_{heading.request_id.removeprefix('req_')}",
            "type": "message",
            "role": "assistant",
            "model": heading.model,
            "content": content,
            "stop_reason": STOP_REASONS[answer.stop],
            "stop_sequence": answer.stop_sequence or None,
            **UNKNOWN,
            "usage": message_usage(answer.usage),
        }
    )


def _written(part: Part) -> dict[str, Any] | None:
    if isinstance(part, Text | Refusal):
        return {"type": "text", "text": part.text, "citations": None} if part.text else None
    if isinstance(part, Thinking):
        if part.sealed:
            return {"type": "redacted_thinking", "data": part.sealed}
        return {"type": "thinking", "thinking": part.text, "signature": part.signature}
    if isinstance(part, ToolUse):
        arguments = arguments_of(part.arguments)
        call = {"type": "tool_use", "id": part.id, "name": part.name, "input": arguments}
        return {**call, "caller": CALLER}
    return None  # what a model of this dialect never says


CLIENT = ClientSide(read, _FIELDS, _IGNORED, _KNOWN, write_answer, MessageEvents)
