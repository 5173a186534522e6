"""OpenAI's Responses as clients speak it: a request is read into a talk; answers are written by
`responses_writer.py`.

Tools of free text (`custom`) travel as functions with one argument, `input`, those of a namespace
under a flat name, and come back as what they are: Codex has both. Tools that run at OpenAI are
refused, but for searches: clients offer those by default, so they are left out and told of.
Encrypted reasoning is what the provider behind this model signed, under `SIGNED` or `SEALED`;
OpenAI's own is of no use to another. Source: OpenAI's API reference.
"""

from typing import Any

import msgspec

from tollway.dialects.ask import Ask
from tollway.dialects.request import missing
from tollway.dialects.translate.demands import WrongError, list_at, refuse, text_at, wrong
from tollway.dialects.translate.responses_items import FREE, SEALED, SIGNED, flat_name
from tollway.dialects.translate.responses_writer import ResponseEvents, write_answer
from tollway.dialects.translate.shapes import encode, objects_of, split_data_url, text_of
from tollway.dialects.translate.sides import ClientSide
from tollway.dialects.translate.talk import (
    Audio,
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
_KNOWN = frozenset(
    {
        "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text",
        "reasoning", "max_output_tokens", "temperature", "top_p", "user", "safety_identifier",
        "stream", "top_logprobs",
    }
)  # fmt: skip
_IGNORED = frozenset(
    {
        "store", "include", "metadata", "truncation", "service_tier", "prompt_cache_key",
        "prompt_cache_retention", "stream_options", "background", "client_metadata",
    }
)  # fmt: skip
_FIELDS = {
    "max_output": "max_output_tokens",
    "format": "text.format",
    "end_user": "user",
    "parallel_tools": "parallel_tool_calls",
    "messages": "input",
    "image": "input",
    "document": "input",
    "audio": "input",
}
_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}


def read(ask: Ask) -> Talk | BadRequest:
    """The talk in a judged request, or the first thing that cannot be understood."""
    try:
        return _read({name: _load(ask.fields[name]) for name in _KNOWN & ask.fields.keys()})
    except WrongError as error:
        return error.refusal
    except (msgspec.DecodeError, RecursionError):
        return BadRequest("The request holds a number that is out of range.", "invalid_value")


def _read(body: dict[str, Any]) -> Talk:
    if body.get("top_logprobs"):
        refuse("top_logprobs", "cannot be carried to the provider behind this model.")
    if body.get("input") is None:
        raise WrongError(missing("input"))
    system, messages = _turns(body.get("input"))
    told = text_of(body, "instructions")
    tools, left_out = _tools(body.get("tools"))
    parallel, text = body.get("parallel_tool_calls"), body.get("text")
    return Talk(
        messages,
        ((Text(told),) if told else ()) + system,
        tools,
        _choice(body.get("tool_choice")),
        parallel if isinstance(parallel, bool) else None,
        _format(text.get("format") if isinstance(text, dict) else None),
        _reasoning(body.get("reasoning")),
        body.get("max_output_tokens"),
        _number(body, "temperature"),
        _number(body, "top_p"),
        end_user=text_of(body, "user") or text_of(body, "safety_identifier"),
        left_out=left_out,
    )


def _turns(given: Any) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """What stands before any turn is the system's. Items of one role in a row are one turn."""
    if isinstance(given, str):
        return (), (Message("user", (Text(given),)),)
    system: list[Text] = []
    messages: list[Message] = []
    for number, item in enumerate(list_at(given, "input")):
        role, parts = _item(item, f"input.{number}")
        if role == "system" and not messages:
            system += [part for part in parts if isinstance(part, Text)]
            continue
        who: Any = "assistant" if role == "assistant" else "user"
        if messages and messages[-1].role == who:
            messages[-1] = messages[-1]._replace(parts=messages[-1].parts + parts)
        else:
            messages.append(Message(who, parts))
    return tuple(system), tuple(messages)


def _item(item: Any, at: str) -> tuple[str, tuple[Part, ...]]:
    if not isinstance(item, dict):
        wrong(at, "must be an object.")
    kind = item.get("type", "message")
    if kind == "message":
        role = _ROLES.get(text_of(item, "role"))
        if role is None:
            refuse(f"{at}.role", "must be user, assistant, system or developer.")
        return role, _parts(item.get("content"), f"{at}.content")
    if kind in ("function_call", "custom_tool_call"):
        free = kind == "custom_tool_call"
        said = text_of(item, "input" if free else "arguments")
        arguments = encode({FREE: said}).decode() if free else said
        id_, name = text_at(item, "call_id", at), text_at(item, "name", at)
        name = flat_name(text_of(item, "namespace"), name)
        return "assistant", (ToolUse(id_, name, arguments),)
    if kind in ("function_call_output", "custom_tool_call_output"):
        return "user", (
            ToolResult(text_at(item, "call_id", at), _parts(item.get("output"), f"{at}.output")),
        )
    if kind == "reasoning":
        return "assistant", _thoughts(item)
    raise _refusal(f"{at}.type", "is of a kind that the provider behind this model does not know.")


def _thoughts(item: dict[str, Any]) -> tuple[Part, ...]:
    told = [*objects_of(item.get("content")), *objects_of(item.get("summary"))]
    text = "\n".join(text_of(one, "text") for one in told if text_of(one, "text"))
    kept = text_of(item, "encrypted_content")
    if kept.startswith(SEALED):
        return (Thinking("", sealed=kept[len(SEALED) :]),)
    signature = kept[len(SIGNED) :] if kept.startswith(SIGNED) else ""
    return (Thinking(text, signature),) if text or signature else ()


def _parts(content: Any, at: str) -> tuple[Part, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),) if content else ()
    return tuple(_part(one, f"{at}.{number}") for number, one in enumerate(list_at(content, at)))


def _part(part: Any, at: str) -> Part:
    if not isinstance(part, dict):
        wrong(at, "must be an object.")
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        return Text(text_at(part, "text", at))
    if kind == "refusal":
        return Refusal(text_at(part, "refusal", at))
    if kind == "input_image" and text_of(part, "image_url"):
        url, detail = text_of(part, "image_url"), text_of(part, "detail")
        found = split_data_url(url)
        return Image(url=url, detail=detail) if found is None else Image(*found, "", detail)
    if kind == "input_file":
        return _file(part, at)
    if kind == "input_audio" and isinstance(part.get("input_audio"), dict):
        inner = part["input_audio"]
        return Audio(text_at(inner, "data", at), text_at(inner, "format", at))
    raise _refusal(f"{at}.type", "cannot be carried to the provider behind this model.")


def _file(part: dict[str, Any], at: str) -> Document:
    name, data = text_of(part, "filename"), text_of(part, "file_data")
    if data:
        media_type, inner = split_data_url(data) or ("application/pdf", data)
        return Document(media_type, inner, name=name)
    return Document(url=text_at(part, "file_url", at), name=name)


def _tools(given: Any) -> tuple[tuple[Tool, ...], tuple[str, ...]]:
    """Tools, and the places of those that are left out."""
    tools: list[Tool] = []
    left_out: list[str] = []
    for number, tool in enumerate(list_at(given, "tools")):
        at = f"tools.{number}"
        if not isinstance(tool, dict):
            wrong(at, "must be an object.")
        kind = text_of(tool, "type")
        if kind == "function":
            tools.append(_function(tool, at, ""))
        elif kind == "custom":
            tools.append(_free_tool(tool, at))
        elif kind == "namespace":
            inner = enumerate(list_at(tool.get("tools"), f"{at}.tools"))
            space = text_at(tool, "name", at)
            tools += [_function(one, f"{at}.tools.{place}", space) for place, one in inner]
        elif kind.startswith("web_search"):
            left_out.append(at)
        else:
            refuse(f"{at}.type", "is a tool that the provider behind this model does not have.")
    return tuple(tools), tuple(left_out)


def _function(tool: Any, at: str, space: str) -> Tool:
    if not isinstance(tool, dict) or tool.get("type") != "function":
        refuse(f"{at}.type", "must be a function for the provider behind this model.")
    strict = tool.get("strict")
    return Tool(
        flat_name(space, text_at(tool, "name", at)),
        text_of(tool, "description"),
        tool.get("parameters"),
        strict if isinstance(strict, bool) else None,
    )


def _free_tool(tool: dict[str, Any], at: str) -> Tool:
    told = text_of(tool, "description")
    form = tool.get("format")
    if isinstance(form, dict) and text_of(form, "definition"):
        told += f"\nThe input follows this {text_of(form, 'syntax')} grammar:\n{form['definition']}"
    schema = {
        "type": "object",
        "properties": {FREE: {"type": "string"}},
        "required": [FREE],
        "additionalProperties": False,
    }
    return Tool(text_at(tool, "name", at), told, schema)


def _choice(choice: Any) -> ToolChoice | None:
    modes: dict[Any, Any] = {"auto": "auto", "none": "none", "required": "any"}
    if choice is None:
        return None
    if isinstance(choice, str) and choice in modes:
        return ToolChoice(modes[choice])
    if isinstance(choice, dict) and choice.get("type") in ("function", "custom"):
        return ToolChoice("named", text_at(choice, "name", "tool_choice"))
    raise _refusal("tool_choice", "must be auto, none, required, or one function.")


def _format(wanted: Any) -> Format | None:
    kind = wanted.get("type") if isinstance(wanted, dict) else wanted
    if kind in (None, "text"):
        return None
    if kind == "json_object":
        return Format("json")
    if kind != "json_schema":
        refuse("text.format", "must be text, json_object or json_schema.")
    strict = wanted.get("strict")
    return Format(
        "schema",
        text_of(wanted, "name"),
        wanted.get("schema"),
        strict if isinstance(strict, bool) else None,
        text_of(wanted, "description"),
    )


def _reasoning(given: Any) -> Reasoning | None:
    if not isinstance(given, dict) or not text_of(given, "effort"):
        return None
    return Reasoning(text_of(given, "effort"), shown=given.get("summary") is not None)


def _number(body: dict[str, Any], name: str) -> Any:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong(name, "must be a number.")
    return value


def _refusal(field: str, message: str) -> WrongError:
    return WrongError(BadRequest(f"'{field}' {message}", "unsupported_parameter", field))


CLIENT = ClientSide(read, _FIELDS, _IGNORED, _KNOWN, write_answer, ResponseEvents)
