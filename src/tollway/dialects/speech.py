"""`/v1/audio/speech` of the OpenAI dialect: which fields are judged. The answer is sound, which
goes out as it comes, or, with `stream_format: "sse"`, in events.
"""

import msgspec
from msgspec import Raw

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.request import COMMON_RULES, Form, read_request, write_request
from tollway.domain.refusal import BadRequest

_EVENTS = "sse"
_SPOKEN = ("input", "instructions")  # what a model reads


_text = msgspec.json.Decoder(str).decode


def _stream_format(name: str, raw: Raw) -> object:
    value = rules.text(name, raw)
    if isinstance(value, str) and value not in ("audio", _EVENTS):
        return BadRequest(f"'{name}' must be 'audio' or '{_EVENTS}'.", "invalid_value", name)
    return value


FORM = Form(
    rules={
        **COMMON_RULES,
        "input": rules.text,
        "instructions": rules.text,
        "stream_format": _stream_format,
        "stream": rules.never_streamed(
            "Speech (its bytes go out as they come anyway; for events set 'stream_format' to 'sse')"
        ),
    },
    required="input",
)


def is_bounded(ask: Ask) -> bool:
    """Unless it comes as events: these tell of output in tokens, which no field caps."""
    return not ask.as_events


def parse(body: bytes) -> Ask | BadRequest:
    """A text to be spoken, judged. But in events, providers report no usage of it: the input is
    estimated from what is read, and nothing is written that would count as tokens."""
    ask = read_request(FORM, body)
    if isinstance(ask, BadRequest):
        return ask
    spoken = (ask.fields.get(name) for name in _SPOKEN)
    read = sum(len(bytes(raw)) for raw in spoken if raw is not None)
    wanted = ask.fields.get("stream_format")
    as_events = wanted is not None and bytes(wanted) != b"null" and _text(wanted) == _EVENTS
    return ask._replace(stream=True, input_bytes=read, as_events=as_events)


def render(ask: Ask, rewrite: Rewrite) -> bytes:
    """The same request for the provider."""
    return write_request(FORM, ask, rewrite._replace(force_usage=False))
