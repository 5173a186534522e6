"""`/v1/chat/completions` of the OpenAI dialect: which fields are judged, and how replies read.

Source: OpenAI's API reference; limits of `n`, `stop` and logprobs as the widest known provider's.
"""

import msgspec
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
        "stream_options": rules.members_of("include_usage"),
        "max_tokens": rules.whole_number(0, MAX_OUTPUT_TOKENS),
        "max_completion_tokens": rules.whole_number(0, MAX_OUTPUT_TOKENS),
        "n": rules.whole_number(1, 128),
        "logprobs": rules.flag,
        "top_logprobs": rules.whole_number(0, 20),
        "stop": rules.strings(16),
    },
    required="messages",
    limits=("max_completion_tokens", "max_tokens"),
    may_default=True,
)


# Parts whose tokens are bounded by their bytes; fields that may bring in more than was sent.
_PLAIN_PARTS = ("text", "refusal")  # a tuple: what is looked up may be unhashable
_OPEN_FIELDS = ("web_search_options", "audio", "modalities")

_load_messages = msgspec.json.Decoder().decode


def is_bounded(ask: Ask) -> bool:
    """Whether the input cannot have more tokens than the request has bytes: text alone, nothing
    that a provider fetches, looks up or encodes."""
    if any(name in ask.fields for name in _OPEN_FIELDS):
        return False
    try:
        messages = _load_messages(ask.fields["messages"])
    except msgspec.ValidationError:  # a number that no type holds hides what stands beside it
        return False
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            if not isinstance(part, dict) or part.get("type") not in _PLAIN_PARTS:
                return False
    return True


def parse(body: bytes) -> Ask | BadRequest:
    """A chat completion request, judged."""
    return read_request(FORM, body)


def render(ask: Ask, rewrite: Rewrite) -> bytes:
    """The same request for the provider."""
    return write_request(FORM, ask, rewrite)
