"""What an answer is made of in OpenAI's Responses: its items, whole or as they begin, and the
object around them, which repeats what was asked.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from tollway.dialects.ask import Heading
from tollway.dialects.translate.shapes import arguments_of, objects_of, text_of
from tollway.dialects.translate.talk import Part, Refusal, Stop, Text, Thinking, ToolUse
from tollway.domain.usage import Usage

FREE = "input"  # the one argument of a tool of free text
# What stands before the provider's own words in `encrypted_content`.
SIGNED, SEALED = "tollway.signed.", "tollway.sealed."
_INCOMPLETE = {
    Stop.LENGTH: "max_output_tokens",
    Stop.CONTEXT: "max_output_tokens",
    Stop.FILTER: "content_filter",
}
# Repeated from the request where it has them, with what stands in elsewhere.
_REPEATED: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": {"effort": None, "summary": None},
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
}
_load = msgspec.json.Decoder().decode


class Offered(NamedTuple):
    """What a call must be told as: the names of tools of free text, and of those that stand in a
    namespace their place by the flat name they travel under."""

    free: frozenset[str]
    placed: dict[str, tuple[str, str]]


def flat_name(namespace: str, name: str) -> str:
    """The name under which a tool of a namespace travels."""
    return f"{namespace}__{name}" if namespace else name


def offered(fields: Mapping[str, Raw]) -> Offered:
    """Of a request's tools."""
    raw = fields.get("tools")
    free, placed = set(), {}
    for tool in objects_of(None if raw is None else _load(raw)):
        space = text_of(tool, "name")
        if tool.get("type") == "custom":
            free.add(space)
        elif tool.get("type") == "namespace":
            for inner in objects_of(tool.get("tools")):
                name = text_of(inner, "name")
                placed[flat_name(space, name)] = space, name
    return Offered(frozenset(free), placed)


def usage_values(usage: Usage | None) -> dict[str, Any] | None:
    """As this dialect counts: what was cached is part of the input, thinking of the output."""
    if usage is None:
        return None
    cached, written = usage.cached_input or 0, usage.cache_write or 0
    read = (usage.input or 0) + cached + written + (usage.audio or 0) + (usage.image or 0)
    reasoning = usage.reasoning or 0
    answered = (usage.output or 0) + reasoning
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": answered,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": read + answered,
    }


def response_of(
    heading: Heading,
    output: list[dict[str, Any]],
    *,
    stop: Stop | None = None,
    usage: Usage | None = None,
) -> dict[str, Any]:
    """The object; without a reason for its end it is in progress."""
    why = None if stop is None else _INCOMPLETE.get(stop)
    status = "in_progress" if stop is None else "completed" if why is None else "incomplete"
    fields = heading.fields
    repeated = {
        name: fields[name] if name in fields and bytes(fields[name]) != b"null" else default
        for name, default in _REPEATED.items()
    }
    return {
        "id": id_of("resp", heading, None),
        "object": "response",
        "created_at": heading.created_s,
        "status": status,
        "error": None,
        "incomplete_details": None if why is None else {"reason": why},
        "model": heading.model,
        "output": output,
        "previous_response_id": None,
        "store": False,
        "usage": usage_values(usage),
        **repeated,
    }


def id_of(prefix: str, heading: Heading, number: int | None) -> str:
    """An id of the answer or of an item of it: the request's, so that both can be found."""
    tail = "" if number is None else f"_{number}"
    return f"{prefix}_{heading.request_id.removeprefix('req_')}{tail}"


def item_of(part: Part, heading: Heading, number: int, *, tools: Offered) -> dict[str, Any]:
    """A whole item."""
    if isinstance(part, Thinking):
        summary = [{"type": "summary_text", "text": part.text}] if part.text else []
        kept = SIGNED + part.signature if part.signature else None
        if part.sealed:
            kept = SEALED + part.sealed
        item: dict[str, Any] = {"id": id_of("rs", heading, number), "type": "reasoning"}
        return {**item, "summary": summary, "encrypted_content": kept}
    if isinstance(part, ToolUse):
        return _call(part, heading, number, tools)
    content: dict[str, Any] = {
        "type": "output_text",
        "text": "",
        "annotations": [],
        "logprobs": [],
    }
    if isinstance(part, Refusal):
        content = {"type": "refusal", "refusal": part.text}
    elif isinstance(part, Text):
        content["text"] = part.text
    return {
        "id": id_of("msg", heading, number),
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [content],
    }


def _call(part: ToolUse, heading: Heading, number: int, tools: Offered) -> dict[str, Any]:
    if part.name in tools.free:
        said = arguments_of(part.arguments).get(FREE)
        return {
            "id": id_of("ctc", heading, number),
            "type": "custom_tool_call",
            "status": "completed",
            "call_id": part.id,
            "name": part.name,
            "input": said if isinstance(said, str) else part.arguments,
        }
    space, name = tools.placed.get(part.name, ("", part.name))
    return {
        "id": id_of("fc", heading, number),
        "type": "function_call",
        "status": "completed",
        "call_id": part.id,
        "name": name,
        **({"namespace": space} if space else {}),
        "arguments": part.arguments or "{}",
    }
