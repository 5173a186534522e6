"""`/v1/embeddings` of the OpenAI dialect: which fields are judged. Nothing here can stream.

Some servers (vLLM) also embed pictures: as parts, or in `messages` as Chat Completions has them.
"""

from msgspec import Raw

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.limits import Caps
from tollway.dialects.links import link_problem, part_link_problem
from tollway.dialects.request import COMMON_RULES, Form, read_request, write_request
from tollway.domain.refusal import BadRequest

_prompts = rules.prompts(2048)


def _input(name: str, raw: Raw) -> object:
    if rules.first_byte(raw) != b"[":
        return _prompts(name, raw)
    # First the parts themselves, then those of messages.
    return part_link_problem(name, raw) or _prompts(name, raw)


FORM = Form(
    rules={
        **COMMON_RULES,
        "input": _input,
        "messages": link_problem,
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
