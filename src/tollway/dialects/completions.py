"""`/v1/completions` of the OpenAI dialect: which fields are judged.

`max_tokens: 0` is legitimate here: with `echo` it scores a prompt without writing anything.
"""

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.limits import Caps
from tollway.dialects.request import (
    COMMON_RULES,
    MAX_OUTPUT_TOKENS,
    Form,
    read_request,
    write_request,
)
from tollway.domain.refusal import BadRequest

FORM = Form(
    rules={
        **COMMON_RULES,
        "prompt": rules.prompts(2048),
        "stream": rules.flag,
        "stream_options": rules.members_of("include_usage"),
        "max_tokens": rules.whole_number(0, MAX_OUTPUT_TOKENS),
        "n": rules.whole_number(1, 128),
        "best_of": rules.whole_number(0, 128),
        "logprobs": rules.whole_number(0, 20),
        "stop": rules.strings(16),
    },
    required="prompt",
    limits=("max_tokens",),
    may_default=True,
    caps=Caps(nodes=400_000),  # a prompt may be token ids
)


def parse(body: bytes) -> Ask | BadRequest:
    """A text completion request, judged."""
    return read_request(FORM, body)


def render(ask: Ask, rewrite: Rewrite) -> bytes:
    """The same request for the provider."""
    return write_request(FORM, ask, rewrite)
