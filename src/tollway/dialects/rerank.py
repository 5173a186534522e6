"""`/v1/rerank` as Cohere, Jina and vLLM have it: which fields are judged. Nothing here streams."""

import msgspec
from msgspec import Raw

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.limits import Caps
from tollway.dialects.links import link_problem
from tollway.dialects.request import COMMON_RULES, Form, missing, read_request, write_request
from tollway.domain.refusal import BadRequest

MAX_DOCUMENTS = 10_000
_FRAME_BYTES = 16  # of each pair: a ranker sets marks around query and document

_load_items = msgspec.json.Decoder(list[Raw]).decode


def _documents(name: str, raw: Raw) -> int | BadRequest | None:
    found = rules.array(name, raw)
    if found is not True:
        return found or None
    items = _load_items(raw)
    if not 0 < len(items) <= MAX_DOCUMENTS:
        return BadRequest(f"'{name}' must hold 1 to {MAX_DOCUMENTS} items.", "invalid_value", name)
    for item in items:
        if rules.first_byte(item) not in (b'"', b"{"):
            return BadRequest(f"'{name}' must hold texts or objects.", "invalid_type", name)
    return link_problem(name, raw) or len(items)


FORM = Form(
    rules={
        **COMMON_RULES,
        "query": rules.text,
        "documents": _documents,
        "top_n": rules.whole_number(1, 2**31 - 1),
        "stream": rules.never_streamed("Rankings"),
    },
    required="documents",
    caps=Caps(nodes=400_000),  # documents may be objects
)


def is_bounded(ask: Ask) -> bool:
    """Whether all documents are text alone."""
    return all(rules.first_byte(item) == b'"' for item in _load_items(ask.fields["documents"]))


def parse(body: bytes) -> Ask | BadRequest:
    """A request to rank, judged. A ranker reads the query with each document, so it counts so
    often."""
    ask = read_request(FORM, body)
    if isinstance(ask, BadRequest):
        return ask
    query = ask.fields.get("query")
    if query is None or bytes(query) == b"null":
        return missing("query")
    pairs = len(_load_items(ask.fields["documents"]))
    again = (pairs - 1) * len(bytes(query)) + pairs * _FRAME_BYTES
    return ask._replace(input_bytes=ask.input_bytes + again)


def render(ask: Ask, rewrite: Rewrite) -> bytes:
    """The same request for the provider."""
    return write_request(FORM, ask, rewrite)
