"""`/v1/moderations` of the OpenAI dialect: which fields are judged. Nothing here streams or writes.

`model` is required here: it says who is asked, as everywhere.
"""

import msgspec
from msgspec import Raw

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.links import part_link_problem
from tollway.dialects.request import COMMON_RULES, Form, read_request, write_request
from tollway.domain.refusal import BadRequest

_load_items = msgspec.json.Decoder(list[Raw]).decode
_texts = rules.prompts(2048)


def _input(name: str, raw: Raw) -> object:
    return _texts(name, raw) if rules.first_byte(raw) != b"[" else _items(name, raw)


def _items(name: str, raw: Raw) -> object:
    return part_link_problem(name, raw) or _texts(name, raw)


FORM = Form(
    rules={**COMMON_RULES, "input": _input, "stream": rules.never_streamed("Moderations")},
    required="input",
)


def is_bounded(ask: Ask) -> bool:
    """Whether the input is text alone: a string, or strings."""
    raw = ask.fields["input"]
    if rules.first_byte(raw) != b"[":
        return True
    return all(rules.first_byte(item) == b'"' for item in _load_items(raw))


def parse(body: bytes) -> Ask | BadRequest:
    """Texts or pictures to be judged, judged."""
    return read_request(FORM, body)


def render(ask: Ask, rewrite: Rewrite) -> bytes:
    """The same request for the provider."""
    return write_request(FORM, ask, rewrite)
