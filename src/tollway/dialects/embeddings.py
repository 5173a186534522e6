"""`/v1/embeddings` of the OpenAI dialect: which fields are judged. Nothing here can stream."""

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.limits import Caps
from tollway.dialects.request import COMMON_RULES, Form, read_request, write_request
from tollway.domain.refusal import BadRequest

FORM = Form(
    rules={
        **COMMON_RULES,
        "input": rules.prompts(2048),
        "stream": rules.never_streamed("Embeddings"),
    },
    required="input",
    may_default=True,
    # OpenAI takes 300,000 tokens in one request, and clients send token ids.
    caps=Caps(nodes=400_000),
)


def parse(body: bytes) -> Ask | BadRequest:
    """An embedding request, judged."""
    return read_request(FORM, body)


def render(ask: Ask, rewrite: Rewrite) -> bytes:
    """The same request for the provider."""
    return write_request(FORM, ask, rewrite)
