"""`/api/generate` of Ollama's dialect: a text goes on. Source: Ollama's API reference, "Generate a
completion".
"""

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.ollama_fields import OLLAMA_RULES, read_ollama, write_ollama
from tollway.dialects.request import Form, is_null
from tollway.domain.refusal import BadRequest

FORM = Form(
    rules={
        **OLLAMA_RULES,
        "prompt": rules.text,
        "system": rules.text,
        "suffix": rules.text,
        "template": rules.text,
        "raw": rules.flag,
        "images": rules.array,
        "context": rules.array,
    },
    required=None,
    may_default=True,
)
# A template may say a prompt as often as it likes.
_OPEN_FIELDS = ("images", "template")


def parse(body: bytes) -> Ask | BadRequest:
    """A request to go on with a text, judged."""
    return read_ollama(FORM, body)


def is_bounded(ask: Ask) -> bool:
    """Whether the input cannot have more tokens than the request has bytes."""
    return all(is_null(ask.fields.get(name)) for name in _OPEN_FIELDS)


def render(ask: Ask, rewrite: Rewrite) -> bytes:
    """The same request for the provider."""
    return write_ollama(FORM, ask, rewrite)
