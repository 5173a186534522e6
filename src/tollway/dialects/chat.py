"""`/v1/chat/completions` of the OpenAI dialect: which fields are judged, and how replies read.

Source: OpenAI's API reference; limits of `n`, `stop` and logprobs as the widest known provider's.
"""

from msgspec import Raw

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.links import link_problem
from tollway.dialects.request import (
    COMMON_RULES,
    MAX_OUTPUT_TOKENS,
    Form,
    read_request,
    write_request,
)
from tollway.domain.refusal import BadRequest


def _messages(name: str, raw: Raw) -> object:
    found = rules.array(name, raw)
    return link_problem(name, raw) or found if found is True else found


FORM = Form(
    rules={
        **COMMON_RULES,
        "messages": _messages,
        "stream": rules.flag,
        "stream_options": rules.members,
        "max_tokens": rules.whole_number(1, MAX_OUTPUT_TOKENS),
        "max_completion_tokens": rules.whole_number(1, MAX_OUTPUT_TOKENS),
        "n": rules.whole_number(1, 128),
        "logprobs": rules.flag,
        "top_logprobs": rules.whole_number(0, 20),
        "stop": rules.strings(16),
    },
    required="messages",
    limits=("max_completion_tokens", "max_tokens"),
)


def parse(body: bytes) -> Ask | BadRequest:
    """A chat completion request, judged."""
    return read_request(FORM, body)


def render(ask: Ask, rewrite: Rewrite) -> bytes:
    """The same request for the provider."""
    return write_request(FORM, ask, rewrite)
