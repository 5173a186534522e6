"""Chat Completions as providers speak it: OpenAI itself and the many servers that follow it. A talk
is written as a request; whole replies and streams are read.

What the dialect has no words for: thinking of earlier turns (left out, no provider wants it back),
`top_k` (told), failures of tools (written before the result). Pictures in results of tools follow
in a user's turn. Sources: OpenAI's API reference; DeepSeek's and vLLM's `reasoning_content`,
OpenRouter's `reasoning`.
"""

from typing import Any

from tollway.dialects.translate.chat_stream import ChatPieces
from tollway.dialects.translate.shapes import (
    data_url,
    encode,
    image_url,
    loaded,
    objects_of,
    plain_text,
    text_of,
)
from tollway.dialects.translate.sides import ProviderSide
from tollway.dialects.translate.talk import (
    Answer,
    Audio,
    CannotCarryError,
    Document,
    Format,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Stop,
    Talk,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
    Written,
)
from tollway.dialects.usage import read_usage

STOPS = {
    "stop": Stop.END,
    "length": Stop.LENGTH,
    "tool_calls": Stop.TOOL,
    "function_call": Stop.TOOL,
    "content_filter": Stop.FILTER,
}
_LOW_BUDGET, _MEDIUM_BUDGET = 4096, 16_384  # tokens of thinking, as an effort
_PLAIN = (
    ("max_completion_tokens", "max_output"),
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("seed", "seed"),
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
)


def write(talk: Talk, model: str) -> Written:
    """The request. Raises CannotCarryError."""
    body: dict[str, Any] = {"model": model, "messages": _messages(talk), **_tools(talk)}
    for name, attribute in _PLAIN:
        value = getattr(talk, attribute)
        if value is not None:
            body[name] = value
    said = {
        "stop": list(talk.stop),
        "response_format": None if talk.format is None else _format(talk.format),
        "reasoning_effort": _effort(talk.reasoning),
        "user": talk.end_user,
    }
    body.update((name, value) for name, value in said.items() if value)
    if talk.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return Written(encode(body), () if talk.top_k is None else ("top_k",))


def _tools(talk: Talk) -> dict[str, Any]:
    if not talk.tools:
        return {}
    said: dict[str, Any] = {"tools": [_tool(tool) for tool in talk.tools]}
    if talk.parallel_tools is not None:
        said["parallel_tool_calls"] = talk.parallel_tools
    if talk.tool_choice is not None:
        said["tool_choice"] = _choice(talk.tool_choice)
    return said


def read_answer(body: bytes) -> Answer | None:
    """A chat completion; None for what is none."""
    value = loaded(body)
    choice = None if value is None else next(objects_of(value.get("choices")), None)
    if value is None or choice is None or value.get("error"):
        return None
    message = choice.get("message")
    if not isinstance(message, dict):
        return None
    parts = _answer_parts(message)
    called = any(isinstance(part, ToolUse) for part in parts)
    reason = choice.get("finish_reason")
    stop = STOPS.get(reason, Stop.END) if isinstance(reason, str) else Stop.END
    if called and stop is Stop.END:
        stop = Stop.TOOL  # some servers say stop
    usage = read_usage(value.get("usage"))
    return Answer(parts, stop, usage, text_of(value, "id"))


def _answer_parts(message: dict[str, Any]) -> tuple[Part, ...]:
    parts: list[Part] = []
    thought = text_of(message, "reasoning_content") or text_of(message, "reasoning")
    if thought:
        parts.append(Thinking(thought))
    content = message.get("content")
    if isinstance(content, str) and content:
        parts.append(Text(content))
    parts += [Text(text_of(part, "text")) for part in objects_of(content) if text_of(part, "text")]
    if text_of(message, "refusal"):
        parts.append(Refusal(text_of(message, "refusal")))
    for number, call in enumerate(objects_of(message.get("tool_calls"))):
        function = call.get("function")
        if isinstance(function, dict):
            id_ = text_of(call, "id") or f"call_{number}"
            parts.append(ToolUse(id_, text_of(function, "name"), text_of(function, "arguments")))
    return tuple(parts)


def _messages(talk: Talk) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if talk.system:
        messages.append({"role": "system", "content": plain_text(talk.system)})
    for message in talk.messages:
        messages += _spoken(message) if message.role == "assistant" else _asked(message)
    return messages


def _spoken(message: Message) -> list[dict[str, Any]]:
    written: dict[str, Any] = {"role": "assistant"}
    texts = tuple(part for part in message.parts if isinstance(part, Text | Document))
    refusals = [part.text for part in message.parts if isinstance(part, Refusal)]
    calls = [_call(part) for part in message.parts if isinstance(part, ToolUse)]
    for part in message.parts:
        if isinstance(part, Image | Audio):
            raise CannotCarryError(type(part).__name__.lower(), "An answer here holds text alone.")
    if not (texts or refusals or calls):
        return []  # thoughts alone
    written["content"] = plain_text(texts) if texts else None
    if refusals:
        written["refusal"] = "\n".join(refusals)
    if calls:
        written["tool_calls"] = calls
    if message.name:
        written["name"] = message.name
    return [written]


def _call(part: ToolUse) -> dict[str, Any]:
    function = {"name": part.name, "arguments": part.arguments or "{}"}
    return {"id": part.id, "type": "function", "function": function}


def _asked(message: Message) -> list[dict[str, Any]]:
    """Results first, each a message of its own, as they must follow the calls; what else the turn
    holds, pictures of results too, is one message behind them."""
    written: list[dict[str, Any]] = []
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, ToolResult):
            text = plain_text(part.parts)
            rest = [one for one in part.parts if not isinstance(one, Text)]
            content += [_content(one) for one in rest if not _is_words(one)]
            text = f"Error: {text}" if part.failed else text
            written.append({"role": "tool", "tool_call_id": part.id, "content": text})
        else:
            content.append(_content(part))
    if content:
        told: Any = content
        if len(content) == 1 and content[0]["type"] == "text":
            told = content[0]["text"]
        asked: dict[str, Any] = {"role": "user", "content": told}
        if message.name:
            asked["name"] = message.name
        written.append(asked)
    return written


def _is_words(part: Part) -> bool:
    return isinstance(part, Document) and bool(part.text)


def _content(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        image = {"url": image_url(part)}
        if part.detail:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}
    if isinstance(part, Audio):
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
    if isinstance(part, Document):
        return _document(part)
    raise CannotCarryError("messages", "A user's turn here holds no calls and no thoughts.")


def _document(part: Document) -> dict[str, Any]:
    if part.text:
        return {"type": "text", "text": part.text}
    if part.url:
        raise CannotCarryError("document", "Send its content, not its address.")
    name = part.name or "document.pdf"
    file = {"filename": name, "file_data": data_url(part.media_type, part.data)}
    return {"type": "file", "file": file}


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = tool.schema
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _choice(choice: ToolChoice) -> Any:
    if choice.mode == "named":
        return {"type": "function", "function": {"name": choice.name}}
    return "required" if choice.mode == "any" else choice.mode


def _format(wanted: Format) -> dict[str, Any]:
    if wanted.kind == "json":
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": wanted.name or "answer", "schema": wanted.schema}
    if wanted.description:
        schema["description"] = wanted.description
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


def _effort(reasoning: Reasoning | None) -> str:
    """Empty: whatever the model does by itself. Not to think is said by saying nothing: many models
    that cannot would refuse the word."""
    if reasoning is None or reasoning.effort == "none":
        return ""
    if reasoning.effort:
        return "xhigh" if reasoning.effort == "max" else reasoning.effort
    budget = reasoning.budget
    if budget is None:
        return ""
    return "low" if budget <= _LOW_BUDGET else "medium" if budget <= _MEDIUM_BUDGET else "high"


PROVIDER = ProviderSide(
    write, lambda _model, _stream: "/chat/completions", read_answer, lambda: ChatPieces(STOPS)
)
