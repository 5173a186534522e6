"""Ollama's `/api/generate` as clients speak it: the prompt is a user's turn, and the answer's words
are told as `response`. What goes on in the middle of a text, or goes by tokens of one model, nobody
else has words for. Source: Ollama's API reference, "Generate a completion".
"""

from typing import Any

import msgspec

from tollway.dialects.ask import Ask
from tollway.dialects.translate.demands import WrongError, refuse
from tollway.dialects.translate.ollama_client import (
    CLIENT as CHAT,
)
from tollway.dialects.translate.ollama_client import (
    images_of,
    with_settings,
)
from tollway.dialects.translate.ollama_writer import GeneratedLines, write_generated
from tollway.dialects.translate.shapes import text_of
from tollway.dialects.translate.sides import ClientSide
from tollway.dialects.translate.talk import Message, Talk, Text
from tollway.domain.refusal import BadRequest

_load = msgspec.json.Decoder().decode
_REFUSED = ("suffix", "template", "raw", "context", "width", "height", "steps")
_KNOWN = frozenset(
    {
        "model", "prompt", "system", "images", "format", "options", "think", "stream", "logprobs",
        "top_logprobs", *_REFUSED,
    }
)  # fmt: skip
_PROMPT = {"messages": "prompt", "image": "images", "document": "images", "audio": "images"}


def read(ask: Ask) -> Talk | BadRequest:
    """The talk in a judged request, or the first thing that cannot be understood."""
    try:
        body = {name: _load(ask.fields[name]) for name in _KNOWN & ask.fields.keys()}
        return with_settings(_talk(body), body, ask.output_limit)
    except WrongError as error:
        return error.refusal
    except (msgspec.DecodeError, RecursionError):
        return BadRequest("The request holds a number that is out of range.", "invalid_value")


def _talk(body: dict[str, Any]) -> Talk:
    for name in _REFUSED:
        if body.get(name) not in (None, "", False, []):
            refuse(name, "cannot be carried to the provider behind this model.")
    prompt, system = text_of(body, "prompt"), text_of(body, "system")
    words = (Text(prompt),) if prompt else ()
    turn = (*words, *images_of(body, ""))
    if not turn:
        refuse("prompt", "is required for the provider behind this model.")
    return Talk((Message("user", turn),), (Text(system),) if system else ())


CLIENT = ClientSide(
    read, {**CHAT.fields, **_PROMPT}, CHAT.ignored, _KNOWN, write_generated, GeneratedLines
)
