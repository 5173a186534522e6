"""`/v1/images/generations` of the OpenAI dialect: which fields are judged. A stream brings one
picture, and partial ones before it.
"""

from collections.abc import Mapping

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.request import COMMON_RULES, Form, read_request, write_request
from tollway.domain.refusal import BadRequest

MAX_PICTURES = 10  # each costs as much as the first

PICTURE_RULES: Mapping[str, rules.Rule] = {
    "n": rules.whole_number(1, MAX_PICTURES),
    "stream": rules.flag,
    "partial_images": rules.whole_number(0, MAX_PICTURES),
}
FORM = Form(
    rules={
        **COMMON_RULES,
        "prompt": rules.text,
        **PICTURE_RULES,
    },
    required="prompt",
)


def is_bounded(_: Ask) -> bool:
    """Never: what a picture is written in is no text, and no field caps it."""
    return False


def parse(body: bytes) -> Ask | BadRequest:
    """A request for pictures, judged."""
    return streamed_alone(read_request(FORM, body))


def streamed_alone(ask: Ask | BadRequest) -> Ask | BadRequest:
    """Nothing says which of several streamed pictures a usage counts."""
    if isinstance(ask, Ask) and ask.stream and ask.choices > 1:
        message = "Pictures are streamed one at a time: 'n' must be 1 where 'stream' is true."
        return BadRequest(message, "invalid_value", "n")
    return ask


def render(ask: Ask, rewrite: Rewrite) -> bytes:
    """The same request for the provider."""
    return write_request(FORM, ask, rewrite._replace(force_usage=False))
