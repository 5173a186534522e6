"""Amazon Bedrock's Converse as providers speak it: a talk is written as a request; whole replies
are read. Streams are `bedrock_stream.py`, content blocks `bedrock_blocks.py`.

What the dialect has no words for: seeds, penalties and one call at a time (told); a choice of no
tool while the talk holds calls, a free choice of JSON without a schema (refused). What only some
models take goes there by the model's id: thinking to Claude, `top_k` to Claude and Nova; to others
it is left out and told. Source: Amazon's API reference, Converse, and its guide's pages on models.
"""

from typing import Any

from tollway.dialects.translate.bedrock_blocks import CACHE_POINT, Blocks, Family, family_of
from tollway.dialects.translate.bedrock_stream import ConversePieces
from tollway.dialects.translate.shapes import arguments_text, encode, loaded, objects_of, text_of
from tollway.dialects.translate.sides import ProviderSide
from tollway.dialects.translate.talk import (
    Answer,
    CannotCarryError,
    Format,
    Part,
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
from tollway.dialects.translate.thinking import may_think, thinking_of
from tollway.dialects.usage_bedrock import read_bedrock_usage

STOPS = {
    "end_turn": Stop.END,
    "tool_use": Stop.TOOL,
    "max_tokens": Stop.LENGTH,
    "stop_sequence": Stop.SEQUENCE,
    "guardrail_intervened": Stop.FILTER,
    "content_filtered": Stop.FILTER,
    "model_context_window_exceeded": Stop.CONTEXT,
}
# How long an answer may be with its thoughts, where nobody has said: as much as every Claude that
# thinks can write. A budget must be below what is said.
_THOUGHTFUL_TOKENS = 32_000
_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
_HINTS = ("seed", "frequency_penalty", "presence_penalty")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def write(talk: Talk, model: str) -> Written:
    """The request; the model stands in its path. Raises CannotCarryError."""
    family = family_of(model)
    blocks = Blocks(family)
    dropped = [name for name in _HINTS if getattr(talk, name) is not None]
    if talk.parallel_tools is False and talk.tools:
        dropped.append("parallel_tools")
    thinking = _thinking(talk, family, dropped)
    limits = _limits(talk)
    more: dict[str, Any] = {}
    if thinking is not None:
        more["thinking"] = thinking
    if thinking is not None and thinking["type"] != "disabled":
        # Claude refuses sampling while it thinks.
        names = {"temperature": "temperature", "top_p": "topP"}
        dropped += [name for name, said in names.items() if limits.pop(said, None) is not None]
        dropped += ["top_k"] if talk.top_k is not None else []
        if thinking["type"] == "enabled":
            limits.setdefault("maxTokens", _THOUGHTFUL_TOKENS)
    else:
        more.update(_top_k(talk, family, dropped))
    body: dict[str, Any] = {"messages": blocks.messages(talk)}
    said = {
        "system": blocks.system(talk),
        "inferenceConfig": limits,
        "toolConfig": _tools(talk, family),
        "additionalModelRequestFields": more,
        "outputConfig": _output(talk, thinking),
        "requestMetadata": {"end_user": talk.end_user} if talk.end_user else None,
        # Which of them was written; models that do not say it leave it out.
        "additionalModelResponseFieldPaths": ["/stop_sequence"] if talk.stop else None,
    }
    body.update((name, value) for name, value in said.items() if value)
    return Written(encode(body), tuple(dropped))


def path(model: str, stream: bool) -> str:
    """Below the base URL."""
    return f"{model_path(model)}/converse{'-stream' if stream else ''}"


def model_path(model: str) -> str:
    """Where a model is. Its id or ARN is one segment, so its signs are escaped."""
    name = "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in model.encode())
    return f"/model/{name}"


def _limits(talk: Talk) -> dict[str, Any]:
    if talk.temperature is not None and talk.temperature > 1:
        raise CannotCarryError("temperature", "The provider takes 0 to 1.")
    said = {
        "maxTokens": talk.max_output,
        "temperature": talk.temperature,
        "topP": talk.top_p,
        "stopSequences": list(talk.stop) or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _thinking(talk: Talk, family: Family, dropped: list[str]) -> dict[str, Any] | None:
    thinking = thinking_of(talk.reasoning, talk.max_output or _THOUGHTFUL_TOKENS)
    if thinking is None or (thinking["type"] == "disabled" and not family.claude):
        return None  # who cannot think need not be told not to
    if family.claude and (thinking["type"] == "disabled" or may_think(talk)):
        return thinking
    dropped.append("reasoning")
    return None


def _top_k(talk: Talk, family: Family, dropped: list[str]) -> dict[str, Any]:
    if talk.top_k is None:
        return {}
    if family.claude:
        return {"top_k": talk.top_k}
    if family.nova:
        return {"inferenceConfig": {"topK": talk.top_k}}
    dropped.append("top_k")
    return {}


def _output(talk: Talk, thinking: dict[str, Any] | None) -> dict[str, Any]:
    said: dict[str, Any] = {} if talk.format is None else {"textFormat": _format(talk.format)}
    effort = "" if talk.reasoning is None else talk.reasoning.effort
    # Who decides by itself how much to think knows efforts too; others would refuse the word.
    if thinking is not None and thinking["type"] == "adaptive" and effort in _EFFORTS:
        said["effort"] = effort
    return said


def _format(wanted: Format) -> dict[str, Any]:
    if wanted.kind == "json":
        raise CannotCarryError("format", "The provider wants a schema of the JSON.")
    schema = {"schema": encode(wanted.schema).decode()}
    said = {"name": wanted.name, "description": wanted.description}
    schema.update((name, text) for name, text in said.items() if text)
    return {"type": "json_schema", "structure": {"jsonSchema": schema}}


def _tools(talk: Talk, family: Family) -> dict[str, Any]:
    called = any(
        isinstance(part, ToolUse | ToolResult)
        for message in talk.messages
        for part in message.parts
    )
    if talk.tool_choice is not None and talk.tool_choice.mode == "none":
        if called:
            why = "The provider cannot be kept from calling tools once some were called."
            raise CannotCarryError("tool_choice", why)
        return {}
    if not talk.tools:
        if called:
            raise CannotCarryError("tools", "The provider wants those that were called listed.")
        return {}
    tools: list[dict[str, Any]] = []
    for tool in talk.tools:
        tools.append(_tool(tool))
        if tool.cached and family.caches and family.claude:
            tools.append(CACHE_POINT)
    said: dict[str, Any] = {"tools": tools}
    if talk.tool_choice is not None:
        said["toolChoice"] = _choice(talk.tool_choice)
    return said


def _tool(tool: Tool) -> dict[str, Any]:
    schema = {"type": "object"} if tool.schema is None else tool.schema
    written: dict[str, Any] = {"name": tool.name, "inputSchema": {"json": schema}}
    if tool.description:
        written["description"] = tool.description
    if tool.strict:
        written["strict"] = True
    return {"toolSpec": written}


def _choice(choice: ToolChoice) -> dict[str, Any]:
    return {"tool": {"name": choice.name}} if choice.mode == "named" else {choice.mode: {}}


def read_answer(body: bytes) -> Answer | None:
    """A reply of Converse; None for what is none."""
    value = loaded(body)
    output = None if value is None else value.get("output")
    message = output.get("message") if isinstance(output, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    if value is None or not isinstance(content, list):
        return None
    parts = tuple(part for block in objects_of(content) if (part := _part(block)) is not None)
    more = value.get("additionalModelResponseFields")
    return Answer(
        parts,
        STOPS.get(text_of(value, "stopReason"), Stop.END),
        read_bedrock_usage(value.get("usage")),
        stop_sequence=text_of(more, "stop_sequence") if isinstance(more, dict) else "",
    )


def _part(block: dict[str, Any]) -> Part | None:
    """None: of a kind that is only its servers' affair, or that no other dialect has."""
    call, thought, cited = (
        block.get("toolUse"),
        block.get("reasoningContent"),
        block.get("citationsContent"),
    )
    if isinstance(block.get("text"), str):
        return Text(block["text"])
    if isinstance(call, dict) and not call.get("type"):
        arguments = arguments_text(call.get("input"))
        return ToolUse(text_of(call, "toolUseId"), text_of(call, "name"), arguments)
    if isinstance(thought, dict):
        said = thought.get("reasoningText")
        if isinstance(said, dict):
            return Thinking(text_of(said, "text"), text_of(said, "signature"))
        return Thinking("", sealed=text_of(thought, "redactedContent"))
    if isinstance(cited, dict):
        return Text("".join(text_of(one, "text") for one in objects_of(cited.get("content"))))
    return None


PROVIDER = ProviderSide(
    write,
    path,
    read_answer,
    lambda: ConversePieces(STOPS),
    b"application/vnd.amazon.eventstream",
)
