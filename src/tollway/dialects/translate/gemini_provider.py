"""Google's Gemini API as providers speak it (`generateContent`): a talk is written as a request;
what is read is `gemini_stream.py`.

What the dialect has no words for: one call at a time (told), an end user (left out), pictures in
results of tools (they follow in a user's turn). An answer of a tool is known by the call's name, so
its call must be among the turns. Files that lie at the account are refused: it is shared by
tenants. Source: Google's API reference, version v1beta.
"""

import re
from collections.abc import Iterator
from typing import Any

from tollway.dialects.translate.gemini_stream import GeminiPieces, answer_of
from tollway.dialects.translate.gemini_thinking import generation_of, thinking_of
from tollway.dialects.translate.shapes import (
    arguments_of,
    encode,
    loaded,
    plain_text,
    split_data_url,
)
from tollway.dialects.translate.sides import ProviderSide
from tollway.dialects.translate.talk import (
    GEMINI_SIGNED,
    Answer,
    Audio,
    CannotCarryError,
    Document,
    Feature,
    Image,
    Message,
    Part,
    Refusal,
    Talk,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
    Written,
    joined,
)

_MAX_STOPS = 5
_PLAIN = (
    ("maxOutputTokens", "max_output"),
    ("temperature", "temperature"),
    ("topP", "top_p"),
    ("topK", "top_k"),
    ("seed", "seed"),
    ("frequencyPenalty", "frequency_penalty"),
    ("presencePenalty", "presence_penalty"),
)
_MODES = {"auto": "AUTO", "none": "NONE", "any": "ANY", "named": "ANY"}
# Since its third generation Gemini refuses calls of its own that come back unsigned. This one it
# takes for those whose signature is lost, or that another model made.
_UNSIGNED = "skip_thought_signature_validator"
_SIGNING = (3, 0)
_FETCHING = (2, 5)  # the first generation that reads addresses
_ADDRESS = re.compile(r"https://([A-Za-z0-9.-]+)(?::[0-9]{1,5})?(/[!-\"$->@-~]*)?(?:[?#][!-~]*)?")
_NOT_IN_PATHS = re.compile(rb"[^A-Za-z0-9._/-]")
_MEDIA_TYPES = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp",
    "bmp": "image/bmp", "pdf": "application/pdf", "txt": "text/plain", "html": "text/html",
    "csv": "text/csv", "json": "application/json",
}  # fmt: skip


def write(talk: Talk, model: str) -> Written:
    """The request. Raises CannotCarryError."""
    body, dropped = request_of(talk, model)
    return Written(encode(body), dropped)


def request_of(talk: Talk, model: str) -> tuple[dict[str, Any], tuple[Feature, ...]]:
    """The request as values that nobody else holds, and what was left out. Raises
    CannotCarryError."""
    thinking, told = thinking_of(talk.reasoning, model)
    dropped = ["reasoning"] if told else []
    if talk.tools and talk.parallel_tools is False:
        dropped.append("parallel_tools")
    body: dict[str, Any] = {"contents": _contents(talk, generation_of(model)), **_tools(talk)}
    system = [{"text": one.text} for one in talk.system]
    if system:
        body["systemInstruction"] = {"parts": system}
    config = _config(talk)
    if thinking:
        config["thinkingConfig"] = thinking
    if config:
        body["generationConfig"] = config
    return body, tuple(dropped)


def path(model: str, stream: bool) -> str:
    """The model is part of the path, and so is whether it streams."""
    return f"{model_path(model)}:" + (
        "streamGenerateContent?alt=sse" if stream else "generateContent"
    )


def model_path(model: str) -> str:
    """Where a model is, before what is asked of it."""
    name = model if model.startswith("models/") else f"models/{model}"
    quoted = _NOT_IN_PATHS.sub(lambda found: f"%{found[0][0]:02X}".encode(), name.encode())
    return f"/{quoted.decode()}"


def _config(talk: Talk) -> dict[str, Any]:
    said = {name: getattr(talk, attribute) for name, attribute in _PLAIN}
    config = {name: value for name, value in said.items() if value is not None}
    if len(talk.stop) > _MAX_STOPS:
        raise CannotCarryError("stop", f"The provider takes at most {_MAX_STOPS}.")
    if talk.stop:
        config["stopSequences"] = list(talk.stop)
    if talk.format is not None:
        config["responseMimeType"] = "application/json"
        if talk.format.kind == "schema" and talk.format.schema is not None:
            config["responseJsonSchema"] = talk.format.schema
    return config


def _tools(talk: Talk) -> dict[str, Any]:
    if not talk.tools:
        return {}
    said: dict[str, Any] = {"tools": [{"functionDeclarations": [_tool(one) for one in talk.tools]}]}
    choice = talk.tool_choice or ToolChoice("auto")
    mode = _MODES[choice.mode]
    if mode == "AUTO" and any(tool.strict for tool in talk.tools):
        mode = "VALIDATED"  # as auto, and calls are held to their schemas
    config: dict[str, Any] = {"mode": mode}
    if choice.mode == "named":
        config["allowedFunctionNames"] = [choice.name]
    if talk.tool_choice is not None or mode != "AUTO":
        said["toolConfig"] = {"functionCallingConfig": config}
    return said


def _tool(tool: Tool) -> dict[str, Any]:
    written: dict[str, Any] = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    if tool.schema is not None:
        written["parametersJsonSchema"] = tool.schema
    return written


def _contents(talk: Talk, generation: tuple[int, int]) -> list[dict[str, Any]]:
    """Turns that say nothing are left out: an empty one is refused."""
    names: dict[str, str] = {}  # of calls, by id, in the order of the last turn that made them
    contents: list[dict[str, Any]] = []
    for message in joined(talk.messages):
        if message.role == "assistant":
            spoken = list(_spoken(message, generation))
            for part in message.parts:
                if isinstance(part, ToolUse):
                    names.pop(part.id, None)
                    names[part.id] = part.name
            contents += [{"role": "model", "parts": spoken}] if spoken else []
        else:
            contents += _asked(message, names, generation)
    return contents


def _spoken(message: Message, generation: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """A signature hangs on what the signed thought led to. Thoughts themselves stay here."""
    signature, called = "", False
    for part in message.parts:
        if isinstance(part, Thinking):
            if part.signature.startswith(GEMINI_SIGNED):
                signature = part.signature.removeprefix(GEMINI_SIGNED)
            continue
        written = _call(part) if isinstance(part, ToolUse) else _part(part, generation)
        if written is None:
            continue
        if isinstance(part, ToolUse):
            signature = part.signature or signature
            if not (signature or called) and generation >= _SIGNING:
                signature = _UNSIGNED
            called = True
        if signature:
            written["thoughtSignature"] = signature
            signature = ""
        yield written


def _asked(
    message: Message, names: dict[str, str], generation: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    """Results come in the order of their calls and in a turn of their own, as they must; what else
    was said, and their pictures, behind them."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    rest: list[Part] = []
    for result in results:
        if result.id not in names:
            raise CannotCarryError("messages", "A result of a tool must follow its call.")
        rest += [one for one in result.parts if not plain_text((one,))]
    order = list(names)
    results.sort(key=lambda result: order.index(result.id))
    rest += [part for part in message.parts if not isinstance(part, ToolResult)]
    if results:
        yield {"role": "user", "parts": [_result(one, names[one.id]) for one in results]}
    parts = [written for part in rest if (written := _part(part, generation)) is not None]
    if parts:
        yield {"role": "user", "parts": parts}


def _result(part: ToolResult, name: str) -> dict[str, Any]:
    told = {"error" if part.failed else "output": plain_text(part.parts)}
    return {"functionResponse": {"id": part.id, "name": name, "response": told}}


def _call(part: ToolUse) -> dict[str, Any]:
    call = {"id": part.id, "name": part.name, "args": arguments_of(part.arguments)}
    return {"functionCall": call}


def _part(part: Part, generation: tuple[int, int]) -> dict[str, Any] | None:
    """None: it says nothing, and an empty part is refused."""
    if isinstance(part, Text | Refusal):
        return {"text": part.text} if part.text else None
    if isinstance(part, Audio):
        return {"inlineData": {"mimeType": f"audio/{part.format}", "data": part.data}}
    if isinstance(part, Image | Document):
        return _media(part, generation)
    raise CannotCarryError("messages", "A turn holds what the other side says.")


def _media(part: Image | Document, generation: tuple[int, int]) -> dict[str, Any]:
    if isinstance(part, Document) and part.text:
        return {"text": part.text}
    if not part.url:
        return {"inlineData": {"mimeType": part.media_type, "data": part.data}}
    inline = split_data_url(part.url)
    if inline is not None:
        return {"inlineData": {"mimeType": inline[0], "data": inline[1]}}
    kind = type(part).__name__.lower()
    found = _ADDRESS.fullmatch(part.url)
    if found is None or generation < _FETCHING:
        raise CannotCarryError(kind, "Send its content, not its address.")
    if f".{found[1].lower().rstrip('.')}".endswith(".googleapis.com"):
        # Whatever the account may read there, all its tenants could.
        raise CannotCarryError(kind, "Files at Google are not read by their address.")
    file = {"fileUri": part.url}
    media_type = _MEDIA_TYPES.get((found[2] or "").rpartition(".")[2].lower())
    if media_type is not None:
        file["mimeType"] = media_type
    return {"fileData": file}


def read_answer(body: bytes) -> Answer | None:
    """A response of `generateContent`; None for what is none."""
    value = loaded(body)
    return None if value is None else answer_of(value)


PROVIDER = ProviderSide(write, path, read_answer, GeminiPieces)
