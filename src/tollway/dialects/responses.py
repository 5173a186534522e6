"""`/v1/responses` of the OpenAI dialect: which fields are judged, and the rewrites of its own.

A provider keeps a response only where the client says `store: true`, or has it made in the
background; whoever says nothing has nothing kept, although OpenAI would keep it. What is kept lies
at an account that tenants share, so it is referred to by ids of ours (`kept.py`, `domain/kept.py`)
and by no others: ids of items, which are the provider's, go out as digests of the tenant's.

Source: OpenAI's API reference.
"""

from collections.abc import Callable

import msgspec
from msgspec import Raw

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Keeping, Rewrite
from tollway.dialects.blocks import (
    Block,
    blocks_of,
    blocks_problem,
    load_value,
    refused,
    value_problem,
)
from tollway.dialects.reply import decoded
from tollway.dialects.request import (
    COMMON_RULES,
    MAX_OUTPUT_TOKENS,
    Form,
    read_request,
    write_request,
)
from tollway.dialects.spelling import read_slowly, read_value
from tollway.domain.refusal import BadRequest

_IDS = ("id", "approval_request_id")  # of items, in items
_FALSE, _TRUE, _NULL = Raw(b"false"), Raw(b"true"), Raw(b"null")
_UNKEPT = BadRequest(
    "An answer that is made in the background is kept, or nobody could read it. Leave 'store' out.",
    "invalid_value",
    "store",
)
_write = msgspec.json.Encoder().encode
_load_text = msgspec.json.Decoder(str).decode
_load_items = msgspec.json.Decoder(list[Raw]).decode
_load_members = msgspec.json.Decoder(dict[str, Raw]).decode


def _input(name: str, raw: Raw) -> object:
    first = memoryview(raw)[:1].tobytes()
    if first == b"n":
        return None
    if first == b'"':
        return True
    if first != b"[":
        return BadRequest(f"'{name}' must be a string or an array.", "invalid_type", name)
    return blocks_problem(name, raw, stored_items=True) or True


def _tools(name: str, raw: Raw) -> object:
    found = rules.array(name, raw)
    if found is not True:
        return found
    try:
        tools = read_value(raw)
    except msgspec.ValidationError:
        tools = read_slowly(raw)  # a schema's bound
    problem = value_problem(name, tools)
    if problem is not None:
        return problem
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict) and _names_objects(tool):
            what = "A vector store, file or container kept at a provider"
            return refused(name, what, "Leave the tool out.")
    return True


def _names_objects(tool: Block) -> bool:
    container, environment = tool.get("container"), tool.get("environment")
    mask = tool.get("input_image_mask")
    return (
        tool.get("vector_store_ids") is not None
        or isinstance(container, str)
        or (isinstance(container, dict) and bool(container.get("file_ids")))
        or (isinstance(environment, dict) and environment.get("container_id") is not None)
        or (isinstance(mask, dict) and mask.get("file_id") is not None)
    )


def _stateful(what: str) -> rules.Rule:
    """A field that names something a provider keeps."""

    def rule(name: str, raw: Raw) -> BadRequest | None:
        if bytes(raw) == b"null":
            return None
        return refused(name, what, "Send the whole conversation as 'input'.")

    return rule


def _previous(name: str, raw: Raw) -> object:
    value = rules.text(name, raw)
    if value == "":
        return BadRequest(f"'{name}' is empty.", "invalid_value", name)
    return value


FORM = Form(
    rules={
        **COMMON_RULES,
        "input": _input,
        "stream": rules.flag,
        "store": rules.flag,
        "max_output_tokens": rules.whole_number(1, MAX_OUTPUT_TOKENS),
        "top_logprobs": rules.whole_number(0, 20),
        "tools": _tools,
        "background": rules.flag,
        "previous_response_id": _previous,
        "conversation": _stateful("A conversation kept at a provider"),
        "prompt": _stateful("A prompt kept at a provider"),
    },
    required=None,  # instructions may stand alone
    limits=("max_output_tokens",),
    may_default=True,
)

# Items and parts whose tokens are bounded by their bytes; tools that run at the client.
# Tuples: what is looked up in them may be unhashable.
_PLAIN_BLOCKS = (
    "message", "input_text", "output_text", "refusal", "text",
    "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
    "reasoning", "reasoning_text", "summary_text",
)  # fmt: skip
_CLIENT_TOOLS = ("function", "custom")


def is_bounded(ask: Ask) -> bool:
    """Whether the input cannot have more tokens than the request has bytes: text and the client's
    own tools, nothing that a provider fetches, looks up, has kept or encodes."""
    if ask.keeping is not None and ask.keeping.previous is not None:
        return False
    tools = load_value(ask.fields["tools"]) if "tools" in ask.fields else None
    for tool in tools if isinstance(tools, list) else ():
        if not isinstance(tool, dict) or tool.get("type") not in _CLIENT_TOOLS:
            return False
    return all(
        block.get("type") in _PLAIN_BLOCKS or ("type" not in block and "role" in block)
        for block in blocks_of(load_value(ask.fields.get("input", _NULL)))
    )


def parse(body: bytes) -> Ask | BadRequest:
    """A request for a response, judged."""
    ask = read_request(FORM, body)
    if isinstance(ask, BadRequest):
        return ask
    stored, named = ask.fields.get("store"), ask.fields.get("previous_response_id")
    store = _is_true(stored)
    previous = None if named is None else _text(named)
    if _is_true(ask.fields.get("background")):
        if stored is not None and bytes(stored) == b"false":
            return _UNKEPT
        keeping = Keeping(previous, True, background=True, at_once=not ask.stream)
        return ask._replace(stream=True, keeping=keeping)
    if not store and previous is None:
        return ask
    return ask._replace(keeping=Keeping(previous, store))


def render(ask: Ask, rewrite: Rewrite) -> bytes:
    """The same request for the provider, to be kept only where that was asked. Usage is in every
    stream, so it is not asked for."""
    keeps = ask.keeping is not None and ask.keeping.store
    fields = {**ask.fields, "store": _TRUE if keeps else _FALSE}
    if ask.keeping is not None and ask.keeping.background:
        fields["stream"] = _TRUE  # however the client wants it: so its usage comes by itself
    if rewrite.previous is not None:
        fields["previous_response_id"] = Raw(_write(rewrite.previous))
    if rewrite.namespace is not None:
        goes_on = rewrite.previous is not None
        fields["input"] = _renamed(fields["input"], rewrite.namespace, goes_on=goes_on)
    ask = ask._replace(fields=fields)
    return write_request(FORM, ask, rewrite._replace(force_usage=False))


def _renamed(raw: Raw, namespace: Callable[[str], str], *, goes_on: bool) -> Raw:
    """Items whose ids are the tenant's own: by the provider's they could be looked up, whoever they
    belong to. An item that is encrypted is bound to its id and keeps it. `goes_on`: approvals
    may be for what the kept response asked."""
    body = bytes(raw)
    if body[:1] != b"[" or not _may_name(body):
        return raw
    items = [
        _load_members(item) if _opens(item, b"{") and _may_name(item) else item
        for item in _load_items(body)
    ]
    blocks = [item for item in items if isinstance(item, dict)]
    ids = {_text(item["id"]) for item in blocks if "id" in item} if goes_on else ()
    for item in blocks:
        if "encrypted_content" in item and _text(item["encrypted_content"]):
            continue
        for name in _IDS:
            given = _text(item[name]) if name in item else None
            if given is not None and (name == "id" or not goes_on or given in ids):
                item[name] = _digest(given, namespace)
    return Raw(_write(items))


def _may_name(raw: Raw | bytes) -> bool:
    """Whether one of the names may stand in it, spelled out or escaped."""
    body = bytes(raw)
    return b'id"' in body or b"\\u00" in body


def _is_true(raw: Raw | None) -> bool:
    return raw is not None and bytes(raw) == b"true"


def _opens(raw: Raw, mark: bytes) -> bool:
    return memoryview(raw)[:1].tobytes() == mark


def _text(raw: Raw) -> str | None:
    return decoded(_load_text, bytes(raw)) if _opens(raw, b'"') else None


def _digest(name: str, namespace: Callable[[str], str]) -> Raw:
    """What comes before the first `_` says what it is, and providers look at it."""
    kind = name.partition("_")[0] if "_" in name[:17] else "item"
    return Raw(_write(f"{kind}_{namespace(name)}"))
