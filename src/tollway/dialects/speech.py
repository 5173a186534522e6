"""`/v1/audio/speech` of the OpenAI dialect: which fields are judged. The answer is sound, which
goes out as it comes; as events (`stream_format: "sse"`) it is not carried.
"""

from msgspec import Raw

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.request import COMMON_RULES, Form, read_request, write_request
from tollway.domain.refusal import BadRequest

_SPOKEN = ("input", "instructions")  # what a model reads


def _stream_format(name: str, raw: Raw) -> object:
    value = rules.text(name, raw)
    if isinstance(value, str) and value != "audio":
        return BadRequest("Speech is carried as 'audio' only.", "invalid_value", name)
    return value


FORM = Form(
    rules={
        **COMMON_RULES,
        "input": rules.text,
        "instructions": rules.text,
        "stream_format": _stream_format,
        "stream": rules.never_streamed("Speech (its bytes go out as they come anyway)"),
    },
    required="input",
)


def parse(body: bytes) -> Ask | BadRequest:
    """A text to be spoken, judged. Providers report no usage of it: the input is estimated from
    what is read, and nothing is written that would count as tokens."""
    ask = read_request(FORM, body)
    if isinstance(ask, BadRequest):
        return ask
    spoken = (ask.fields.get(name) for name in _SPOKEN)
    read = sum(len(bytes(raw)) for raw in spoken if raw is not None)
    return ask._replace(stream=True, input_bytes=read)


def render(ask: Ask, rewrite: Rewrite) -> bytes:
    """The same request for the provider."""
    return write_request(FORM, ask, rewrite._replace(force_usage=False))
