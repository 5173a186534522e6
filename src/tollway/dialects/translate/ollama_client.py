"""Ollama's chat as clients speak it: a request is read into a talk; answers are written by
`ollama_writer.py`.

Calls have no ids in what most clients send back: one is made up from its place, and a result is
that of the first call of its tool that has none yet. Pictures are bare bytes, whose kind their
beginning tells. Samplers that only Ollama's servers have, and what is about a server, are left out
and told of. Source: Ollama's API reference, "Generate a chat message".
"""

from typing import Any

import msgspec

from tollway.dialects.ask import Ask
from tollway.dialects.translate.demands import WrongError, list_at, refuse, text_at, wrong
from tollway.dialects.translate.ollama_writer import OllamaLines, write_answer
from tollway.dialects.translate.shapes import arguments_text, text_of
from tollway.dialects.translate.sides import ClientSide
from tollway.dialects.translate.talk import (
    Format,
    Image,
    Message,
    Part,
    Reasoning,
    Talk,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
)
from tollway.domain.refusal import BadRequest

_load = msgspec.json.Decoder().decode
_KNOWN = frozenset(
    {
        "model", "messages", "tools", "format", "options", "think", "stream", "logprobs",
        "top_logprobs",
    }
)  # fmt: skip
_IGNORED = frozenset({"truncate", "shift"})
_FIELDS = {
    "max_output": "options.num_predict",
    "temperature": "options.temperature",
    "top_p": "options.top_p",
    "top_k": "options.top_k",
    "stop": "options.stop",
    "seed": "options.seed",
    "frequency_penalty": "options.frequency_penalty",
    "presence_penalty": "options.presence_penalty",
    "reasoning": "think",
    "image": "messages",
    "document": "messages",
    "audio": "messages",
}
_CARRIED = frozenset(
    name.removeprefix("options.") for name in _FIELDS.values() if name.startswith("options.")
)
_EFFORTS = ("low", "medium", "high")
_SOME_EFFORT = "medium"  # of a plain yes
_KINDS = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
)
_MOST_STOPS = 16


def read(ask: Ask) -> Talk | BadRequest:
    """The talk in a judged request, or the first thing that cannot be understood."""
    try:
        body = {name: _load(ask.fields[name]) for name in _KNOWN & ask.fields.keys()}
        return _read(body, ask.output_limit)
    except WrongError as error:
        return error.refusal
    except (msgspec.DecodeError, RecursionError):
        return BadRequest("The request holds a number that is out of range.", "invalid_value")


def _read(body: dict[str, Any], most: int | None) -> Talk:
    system, messages = _Turns().read(list_at(body.get("messages"), "messages"))
    tools = enumerate(list_at(body.get("tools"), "tools"))
    talk = Talk(messages, system, tuple(_tool(one, f"tools.{number}") for number, one in tools))
    return with_settings(talk, body, most)


def with_settings(talk: Talk, body: dict[str, Any], most: int | None) -> Talk:
    """The talk with what `options` and their neighbours say. Raises WrongError."""
    for name in ("logprobs", "top_logprobs"):
        if body.get(name):
            refuse(name, "cannot be carried to the provider behind this model.")
    options = body.get("options") or {}
    return talk._replace(
        format=_format(body.get("format")),
        reasoning=_reasoning(body.get("think")),
        max_output=most,
        temperature=_number(options, "temperature"),
        top_p=_number(options, "top_p"),
        top_k=_number(options, "top_k", whole=True),
        stop=_stop(options.get("stop")),
        seed=_number(options, "seed", whole=True),
        frequency_penalty=_number(options, "frequency_penalty"),
        presence_penalty=_number(options, "presence_penalty"),
        left_out=tuple(f"options.{name}" for name in options if name not in _CARRIED),
    )


class _Turns:
    """Reads messages in their order, and remembers which calls wait for a result."""

    def __init__(self) -> None:
        self._waiting: list[tuple[str, str]] = []  # id, name

    def read(self, given: list[Any]) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
        """What stands before any turn is the system's; results of tools become a user's turn."""
        system: list[Text] = []
        messages: list[Message] = []
        for number, message in enumerate(given):
            at = f"messages.{number}"
            if not isinstance(message, dict):
                wrong(at, "must be an object.")
            role, words = message.get("role"), _words(message, at)
            if role == "system" and not messages:
                system += words
            elif role in ("system", "user"):
                messages.append(Message("user", (*words, *images_of(message, f"{at}."))))
            elif role == "assistant":
                messages.append(Message("assistant", self._spoken(message, words, number)))
            elif role == "tool":
                _add_result(messages, self._result(message, words, at))
            else:
                refuse(f"{at}.role", "must be system, user, assistant or tool.")
        return tuple(system), tuple(messages)

    def _spoken(
        self, message: dict[str, Any], words: tuple[Text, ...], number: int
    ) -> tuple[Part, ...]:
        thought = text_of(message, "thinking")
        parts: list[Part] = [Thinking(thought)] if thought else []
        parts += words
        self._waiting = []
        calls = list_at(message.get("tool_calls"), f"messages.{number}.tool_calls")
        for place, call in enumerate(calls):
            at = f"messages.{number}.tool_calls.{place}.function"
            function = call.get("function") if isinstance(call, dict) else None
            if not isinstance(function, dict):
                wrong(at, "must be an object.")
            name, arguments = text_at(function, "name", at), function.get("arguments")
            if arguments is not None and not isinstance(arguments, dict):
                wrong(f"{at}.arguments", "must be an object.")
            id_ = text_of(call, "id") or f"call_{number}_{place}"
            parts.append(ToolUse(id_, name, arguments_text(arguments)))
            self._waiting.append((id_, name))
        return tuple(parts)

    def _result(self, message: dict[str, Any], words: tuple[Text, ...], at: str) -> ToolResult:
        id_ = text_of(message, "tool_call_id")
        name = text_of(message, "tool_name") or text_of(message, "name")
        waiting = [one for one in self._waiting if (one[0] == id_ if id_ else name in ("", one[1]))]
        if not waiting:
            refuse(at, "must follow the call of a tool that it is the result of.")
        self._waiting.remove(waiting[0])
        return ToolResult(waiting[0][0], (*words, *images_of(message, f"{at}.")))


def _add_result(messages: list[Message], result: ToolResult) -> None:
    last = messages[-1] if messages else None
    if last is not None and all(isinstance(part, ToolResult) for part in last.parts):
        messages[-1] = last._replace(parts=(*last.parts, result))
    else:
        messages.append(Message("user", (result,)))


def _words(message: dict[str, Any], at: str) -> tuple[Text, ...]:
    content = message.get("content")
    if content is None:
        return ()
    if not isinstance(content, str):
        wrong(f"{at}.content", "must be a string.")
    return (Text(content),) if content else ()


def images_of(message: dict[str, Any], at: str) -> tuple[Image, ...]:
    """Its pictures. Raises WrongError."""
    given = list_at(message.get("images"), f"{at}images")
    return tuple(_image(one, f"{at}images.{number}") for number, one in enumerate(given))


def _image(data: Any, at: str) -> Image:
    if not isinstance(data, str):
        wrong(at, "must be a string of base64.")
    kind = next((kind for beginning, kind in _KINDS if data.startswith(beginning)), None)
    if kind is None:
        refuse(at, "must be a PNG, JPEG, GIF or WebP in base64.")
    return Image(kind, data)


def _tool(tool: Any, at: str) -> Tool:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict):
        refuse(f"{at}.function", "must be an object: tools are functions.")
    name = text_at(function, "name", f"{at}.function")
    return Tool(name, text_of(function, "description"), function.get("parameters"))


def _format(wanted: Any) -> Format | None:
    if wanted in (None, ""):
        return None
    if wanted == "json":
        return Format("json")
    if not isinstance(wanted, dict):
        refuse("format", "must be json, or a JSON schema.")
    return Format("schema", "answer", wanted)


def _reasoning(think: Any) -> Reasoning | None:
    if think is None or think == "":
        return None
    if think is False:
        return Reasoning("none")
    if think is True:
        return Reasoning(_SOME_EFFORT, shown=True)
    if think not in _EFFORTS:
        refuse("think", "must be true, false, low, medium or high.")
    return Reasoning(think, shown=True)


def _stop(stop: Any) -> tuple[str, ...]:
    if isinstance(stop, str):
        return (stop,)
    found = list_at(stop, "options.stop")
    if len(found) > _MOST_STOPS or not all(isinstance(one, str) for one in found):
        wrong("options.stop", f"must be at most {_MOST_STOPS} strings.")
    return tuple(found)


def _number(options: dict[str, Any], name: str, *, whole: bool = False) -> Any:
    value = options.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        wrong(f"options.{name}", "must be a whole number." if whole else "must be a number.")
    return value


CLIENT = ClientSide(read, _FIELDS, _IGNORED, _KNOWN, write_answer, OllamaLines)
