"""Ollama's own chat API as providers speak it: a talk is written as a request; what is read is
`ollama_stream.py`.

What the dialect has no words for: a call that must be made (refused), one call at a time (told), an
end user (left out), pictures in results of tools (they follow in a user's turn). Pictures stand
beside a turn's words, not among them. Thoughts go back unless a signature says that they are
another provider's. Source: Ollama's API reference, "Generate a chat message".
"""

from collections.abc import Iterator
from typing import Any

from tollway.dialects.translate.ollama_stream import OllamaPieces, answer_of
from tollway.dialects.translate.shapes import (
    arguments_of,
    encode,
    loaded,
    plain_text,
    split_data_url,
)
from tollway.dialects.translate.sides import ProviderSide
from tollway.dialects.translate.talk import (
    Answer,
    CannotCarryError,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Talk,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
    Written,
    joined,
)

_OPTIONS = (
    ("num_predict", "max_output"),
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("seed", "seed"),
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
)
# Of all models that Ollama serves these alone are told how much to think: the others, and older
# servers, take yes and no.
_LEVELLED = "gpt-oss"
_LEVELS = {"minimal": "low", "xhigh": "high", "max": "high"}
_LOW_BUDGET, _MEDIUM_BUDGET = 4096, 16_384  # tokens of thinking, as a level


def write(talk: Talk, model: str) -> Written:
    """The request. Raises CannotCarryError."""
    body: dict[str, Any] = {"model": model, "messages": _messages(talk)}
    tools = _tools(talk)
    if tools:
        body["tools"] = tools
    if talk.format is not None:
        schema = talk.format.schema if talk.format.kind == "schema" else None
        body["format"] = "json" if schema is None else schema
    think = _think(talk.reasoning, model)
    if think is not None:
        body["think"] = think
    said = {name: getattr(talk, attribute) for name, attribute in _OPTIONS}
    options = {name: value for name, value in said.items() if value is not None}
    if talk.stop:
        options["stop"] = list(talk.stop)
    if options:
        body["options"] = options
    body["stream"] = talk.stream  # who says nothing gets a stream
    dropped = ("parallel_tools",) if tools and talk.parallel_tools is False else ()
    return Written(encode(body), dropped)


def _tools(talk: Talk) -> list[dict[str, Any]]:
    choice = None if talk.tool_choice is None else talk.tool_choice.mode
    if choice in ("any", "named"):
        raise CannotCarryError("tool_choice", "The provider cannot be made to call a tool.")
    return [] if choice == "none" else [_tool(one) for one in talk.tools]


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "description": tool.description}
    # Templates of models look into it.
    function["parameters"] = tool.schema or {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


def _think(reasoning: Reasoning | None, model: str) -> bool | str | None:
    """None: whatever the model does by itself."""
    if reasoning is None or not (reasoning.effort or reasoning.budget):
        return None
    if reasoning.effort == "none":
        return False
    if _LEVELLED not in model.lower():
        return True
    if reasoning.effort:
        return _LEVELS.get(reasoning.effort, reasoning.effort)
    budget = reasoning.budget or 0
    return "low" if budget <= _LOW_BUDGET else "medium" if budget <= _MEDIUM_BUDGET else "high"


def _messages(talk: Talk) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if talk.system:
        messages.append({"role": "system", "content": plain_text(talk.system)})
    names: dict[str, str] = {}  # of calls, by id, in the order of the last turn that made them
    for message in joined(talk.messages):
        if message.role == "user":
            messages += _asked(message, names)
            continue
        for part in message.parts:
            if isinstance(part, ToolUse):
                names.pop(part.id, None)
                names[part.id] = part.name
        messages += _spoken(message)
    return messages


def _spoken(message: Message) -> Iterator[dict[str, Any]]:
    """A turn that says nothing is left out."""
    words: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, ToolUse):
            calls.append(_call(part))
        elif isinstance(part, Thinking):
            thoughts += [part.text] if part.text and not part.signature else []
        elif isinstance(part, Refusal):
            words.append(part.text)
        else:
            words.append(_words(part))
    said = {"thinking": "\n".join(thoughts), "tool_calls": calls}
    content = "\n".join(word for word in words if word)
    if content or calls:
        more = {name: value for name, value in said.items() if value}
        yield {"role": "assistant", "content": content, **more}


def _call(part: ToolUse) -> dict[str, Any]:
    return {"function": {"name": part.name, "arguments": arguments_of(part.arguments)}}


def _asked(message: Message, names: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Results first, each a message of its own in the order of their calls, as only the name says
    whose they are; what else was said, and their pictures, behind them."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    rest: list[Part] = []
    for result in results:
        if result.id not in names:
            raise CannotCarryError("messages", "A result of a tool must follow its call.")
        rest += [one for one in result.parts if not plain_text((one,))]
    order = list(names)
    for result in sorted(results, key=lambda one: order.index(one.id)):
        text = plain_text(result.parts)
        text = f"Error: {text}" if result.failed else text
        yield {"role": "tool", "tool_name": names[result.id], "content": text}
    rest += [part for part in message.parts if not isinstance(part, ToolResult)]
    images = [_image(part) for part in rest if isinstance(part, Image)]
    words = [_words(part) for part in rest if not isinstance(part, Image)]
    content = "\n".join(word for word in words if word)
    if content or images:
        asked: dict[str, Any] = {"role": "user", "content": content}
        yield {**asked, "images": images} if images else asked


def _words(part: Part) -> str:
    if isinstance(part, Text):
        return part.text
    text = plain_text((part,))
    if text:
        return text
    if isinstance(part, ToolUse | ToolResult | Thinking | Refusal):
        raise CannotCarryError("messages", "A turn holds what the other side says.")
    raise CannotCarryError(type(part).__name__.lower(), "The provider takes words and pictures.")


def _image(part: Image) -> str:
    """Its bytes in base64."""
    if not part.url:
        return part.data
    inline = split_data_url(part.url)
    if inline is None:
        raise CannotCarryError("image", "Send its content, not its address.")
    return inline[1]


def read_answer(body: bytes) -> Answer | None:
    """An answer of `/api/chat`; None for what is none."""
    value = loaded(body)
    return None if value is None else answer_of(value)


PROVIDER = ProviderSide(
    write, lambda _model, _stream: "/api/chat", read_answer, OllamaPieces, b"application/x-ndjson"
)
