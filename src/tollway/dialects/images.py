"""`/v1/images/generations` of the OpenAI dialect: which fields are judged. Pictures are not
streamed: partial ones are events of a dialect that nothing here reads.
"""

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.request import COMMON_RULES, Form, read_request, write_request
from tollway.domain.refusal import BadRequest

MAX_PICTURES = 10  # each costs as much as the first

FORM = Form(
    rules={
        **COMMON_RULES,
        "prompt": rules.text,
        "n": rules.whole_number(1, MAX_PICTURES),
        "stream": rules.never_streamed("Pictures"),
    },
    required="prompt",
)


def is_bounded(_: Ask) -> bool:
    """Never: what a picture is written in is no text, and no field caps it."""
    return False


def parse(body: bytes) -> Ask | BadRequest:
    """A request for pictures, judged."""
    return read_request(FORM, body)


def render(ask: Ask, rewrite: Rewrite) -> bytes:
    """The same request for the provider."""
    return write_request(FORM, ask, rewrite)
