"""Chat Completions as clients speak it: a request is read into a talk; answers are written.

Source: OpenAI's API reference. Several answers at a time, probabilities, sounds as answers and
searches have no counterpart elsewhere and are refused. A system message between turns keeps its
place, as a user's turn. Streams are `chat_writer.py`.
"""

from typing import Any

import msgspec

from tollway.dialects.ask import Ask, Heading
from tollway.dialects.counts import details_of
from tollway.dialects.translate.chat_writer import FINISHES, ChatEvents, signed, usage_values
from tollway.dialects.translate.demands import WrongError, list_at, refuse, text_at, wrong
from tollway.dialects.translate.shapes import encode, split_data_url, text_of
from tollway.dialects.translate.sides import ClientSide
from tollway.dialects.translate.talk import (
    Answer,
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
# What makes the answer another one, and only OpenAI's servers do.
_REFUSED = (
    "logprobs", "top_logprobs", "logit_bias", "audio", "web_search_options", "functions",
    "function_call", "prediction",
)  # fmt: skip
_KNOWN = frozenset(
    {
        "model", "messages", "tools", "tool_choice", "parallel_tool_calls", "response_format",
        "reasoning_effort", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop",
        "seed", "frequency_penalty", "presence_penalty", "user", "safety_identifier", "stream",
        "stream_options", "n", "modalities", *_REFUSED,
    }
)  # fmt: skip
_IGNORED = frozenset(
    {"store", "metadata", "service_tier", "prompt_cache_key", "prompt_cache_retention", "verbosity"}
)
_FIELDS = {
    "max_output": "max_completion_tokens",
    "format": "response_format",
    "reasoning": "reasoning_effort",
    "end_user": "user",
    "parallel_tools": "parallel_tool_calls",
    "image": "messages",
    "document": "messages",
    "audio": "messages",
}


def read(ask: Ask) -> Talk | BadRequest:
    """The talk in a judged request, or the first thing that cannot be understood."""
    try:
        return _read({name: _load(ask.fields[name]) for name in _KNOWN & ask.fields.keys()})
    except WrongError as error:
        return error.refusal
    except (msgspec.DecodeError, RecursionError):
        return BadRequest("The request holds a number that is out of range.", "invalid_value")


def _read(body: dict[str, Any]) -> Talk:
    for name in _REFUSED:
        if body.get(name) not in (None, False, [], {}):
            refuse(name, "cannot be carried to the provider behind this model.")
    if body.get("n") not in (None, 1):
        refuse("n", "cannot be more than 1 at the provider behind this model.")
    if body.get("modalities") not in (None, ["text"]):
        refuse("modalities", "can only be text at the provider behind this model.")
    for name in ("max_completion_tokens", "max_tokens"):
        if body.get(name) == 0:
            refuse(name, "must be at least 1 at the provider behind this model.")
    system, messages = _turns(list_at(body.get("messages"), "messages"))
    stop = body.get("stop")
    effort = text_of(body, "reasoning_effort")
    parallel = body.get("parallel_tool_calls")
    tools = enumerate(list_at(body.get("tools"), "tools"))
    return Talk(
        messages,
        system,
        tuple(_tool(one, f"tools.{number}") for number, one in tools),
        _choice(body.get("tool_choice")),
        parallel if isinstance(parallel, bool) else None,
        _format(body.get("response_format")),
        Reasoning(effort) if effort else None,
        body.get("max_completion_tokens") or body.get("max_tokens"),
        _number(body, "temperature"),
        _number(body, "top_p"),
        None,
        (stop,) if isinstance(stop, str) else tuple(stop or ()),
        _number(body, "seed", whole=True),
        _number(body, "frequency_penalty"),
        _number(body, "presence_penalty"),
        text_of(body, "user") or text_of(body, "safety_identifier"),
    )


def _turns(given: list[Any]) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """What stands before any turn is the system's; results of tools become a user's turn."""
    system: list[Text] = []
    messages: list[Message] = []
    for number, message in enumerate(given):
        at = f"messages.{number}"
        if not isinstance(message, dict):
            wrong(at, "must be an object.")
        role, content = message.get("role"), message.get("content")
        if role in ("system", "developer"):
            texts = _texts(content, f"{at}.content")
            if messages:
                messages.append(Message("user", texts))
            else:
                system += texts
        elif role == "user":
            messages.append(Message("user", _parts(content, at), text_of(message, "name")))
        elif role == "assistant":
            messages.append(Message("assistant", _spoken(message, at), text_of(message, "name")))
        elif role == "tool":
            result = ToolResult(text_at(message, "tool_call_id", at), _texts(content, at))
            if messages and messages[-1].role == "user" and _are_results(messages[-1]):
                messages[-1] = messages[-1]._replace(parts=(*messages[-1].parts, result))
            else:
                messages.append(Message("user", (result,)))
        else:
            refuse(f"{at}.role", "must be system, developer, user, assistant or tool.")
    return tuple(system), tuple(messages)


def _are_results(message: Message) -> bool:
    return all(isinstance(part, ToolResult) for part in message.parts)


def _texts(content: Any, at: str) -> tuple[Text, ...]:
    parts = _parts(content, at)
    if not all(isinstance(part, Text) for part in parts):
        refuse(at, "can only be text here.")
    return tuple(part for part in parts if isinstance(part, Text))


def _parts(content: Any, at: str) -> tuple[Part, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),) if content else ()
    blocks = enumerate(list_at(content, f"{at}.content"))
    return tuple(_part(block, f"{at}.content.{number}") for number, block in blocks)


def _part(part: Any, at: str) -> Part:
    if not isinstance(part, dict):
        wrong(at, "must be an object.")
    kind = part.get("type")
    if kind == "text":
        return Text(text_at(part, "text", at))
    if kind == "refusal":
        return Refusal(text_at(part, "refusal", at))
    inner = part.get(kind) if isinstance(kind, str) else None
    if not isinstance(inner, dict):
        refuse(f"{at}.type", "is of a kind that the provider behind this model does not know.")
    if kind == "input_audio":
        return Audio(text_at(inner, "data", at), text_at(inner, "format", at))
    if kind == "file" and text_of(inner, "file_data"):
        found = split_data_url(text_of(inner, "file_data"))
        media_type, data = found or ("application/pdf", text_of(inner, "file_data"))
        return Document(media_type, data, name=text_of(inner, "filename"))
    if kind != "image_url":
        refuse(f"{at}.type", "cannot be carried to the provider behind this model.")
    return _image(inner, at)


def _image(inner: dict[str, Any], at: str) -> Image:
    url, detail = text_at(inner, "url", at), text_of(inner, "detail")
    found = split_data_url(url)
    return Image(url=url, detail=detail) if found is None else Image(*found, "", detail)


def _spoken(message: dict[str, Any], at: str) -> tuple[Part, ...]:
    parts = list(_parts(message.get("content"), at))
    if text_of(message, "refusal"):
        parts.append(Refusal(text_of(message, "refusal")))
    for number, call in enumerate(list_at(message.get("tool_calls"), f"{at}.tool_calls")):
        place = f"{at}.tool_calls.{number}"
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            refuse(f"{place}.type", "must be a function for the provider behind this model.")
        id_, name = text_at(call, "id", place), text_at(function, "name", place)
        parts.append(ToolUse(id_, name, text_of(function, "arguments"), _signature(call)))
    return tuple(parts)


def _signature(call: dict[str, Any]) -> str:
    return text_of(details_of(details_of(call, "extra_content"), "google"), "thought_signature")


def _tool(tool: Any, at: str) -> Tool:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict):
        refuse(f"{at}.type", "must be a function for the provider behind this model.")
    strict = function.get("strict")
    return Tool(
        text_at(function, "name", at),
        text_of(function, "description"),
        function.get("parameters"),
        strict if isinstance(strict, bool) else None,
    )


def _choice(choice: Any) -> ToolChoice | None:
    if choice is None:
        return None
    if choice == "auto":
        return ToolChoice("auto")
    if choice == "none":
        return ToolChoice("none")
    if choice == "required":
        return ToolChoice("any")
    function = choice.get("function") if isinstance(choice, dict) else None
    if not isinstance(function, dict):
        refuse("tool_choice", "must be auto, none, required, or one function.")
    return ToolChoice("named", text_at(function, "name", "tool_choice.function"))


def _format(wanted: Any) -> Format | None:
    kind = wanted.get("type") if isinstance(wanted, dict) else wanted
    if kind in (None, "text"):
        return None
    if kind == "json_object":
        return Format("json")
    schema = wanted.get("json_schema") if kind == "json_schema" else None
    if not isinstance(schema, dict):
        refuse("response_format", "must be text, json_object or json_schema.")
    strict = schema.get("strict")
    return Format(
        "schema",
        text_of(schema, "name"),
        schema.get("schema"),
        strict if isinstance(strict, bool) else None,
        text_of(schema, "description"),
    )


def _number(body: dict[str, Any], name: str, *, whole: bool = False) -> Any:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        wrong(name, "must be a number.")
    return value


def write_answer(answer: Answer, heading: Heading) -> bytes:
    """A chat completion with one choice."""
    said = "".join(part.text for part in answer.parts if isinstance(part, Text))
    refused = "".join(part.text for part in answer.parts if isinstance(part, Refusal))
    thought = "".join(part.text for part in answer.parts if isinstance(part, Thinking))
    calls = [_call(part) for part in answer.parts if isinstance(part, ToolUse)]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": said or None,
        "refusal": refused or None,
    }
    if thought:
        message["reasoning_content"] = thought
    if calls:
        message["tool_calls"] = calls
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": FINISHES[answer.stop],
    }
    body: dict[str, Any] = {
        "id": f"chatcmpl-{heading.request_id.removeprefix('req_')}",
        "object": "chat.completion",
        "created": heading.created_s,
        "model": heading.model,
        "choices": [choice],
    }
    if answer.usage is not None:
        body["usage"] = usage_values(answer.usage)
    return encode(body)


def _call(part: ToolUse) -> dict[str, Any]:
    function = {"name": part.name, "arguments": part.arguments or "{}"}
    call = {"id": part.id, "type": "function", "function": function}
    return {**call, **signed(part.signature)}


CLIENT = ClientSide(read, _FIELDS, _IGNORED, _KNOWN, write_answer, ChatEvents)
