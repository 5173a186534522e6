"""`/v1/responses` of the OpenAI dialect, without state: which fields are judged, and the rewrite of
its own, `store: false`. What a provider stored would lie at an account that tenants share, where
another could reach it by its id; so nothing is stored, and nothing stored is referred to.

Source: OpenAI's API reference.
"""

from msgspec import Raw

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.blocks import Block, blocks_of, blocks_problem, load_value, refused
from tollway.dialects.request import (
    COMMON_RULES,
    MAX_OUTPUT_TOKENS,
    Form,
    read_request,
    write_request,
)
from tollway.domain.refusal import BadRequest

_FALSE = Raw(b"false")
_NULL = Raw(b"null")


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
    problem = blocks_problem(name, raw)
    if problem is not None:
        return problem
    tools = load_value(raw)
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict) and _names_objects(tool):
            what = "A vector store, file or container kept at a provider"
            return refused(name, what, "Leave the tool out.")
    return True


def _names_objects(tool: Block) -> bool:
    container, environment = tool.get("container"), tool.get("environment")
    return (
        tool.get("vector_store_ids") is not None
        or isinstance(container, str)
        or (isinstance(container, dict) and bool(container.get("file_ids")))
        or (isinstance(environment, dict) and environment.get("container_id") is not None)
    )


def _stateful(what: str) -> rules.Rule:
    """A field that names something a provider keeps."""

    def rule(name: str, raw: Raw) -> BadRequest | None:
        if bytes(raw) == b"null":
            return None
        return refused(name, what, "Send the whole conversation as 'input'.")

    return rule


def _background(name: str, raw: Raw) -> object:
    value = rules.flag(name, raw)
    if value is True:
        message = (
            "An answer cannot be made in the background through the gateway, since it would be "
            "kept at the provider. Stream it, and send the whole conversation as 'input'."
        )
        return BadRequest(message, "unsupported_parameter", name)
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
        "background": _background,
        "previous_response_id": _stateful("An earlier answer kept at a provider"),
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
    own tools, nothing that a provider fetches, looks up or encodes."""
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
    return read_request(FORM, body)


def render(ask: Ask, rewrite: Rewrite) -> bytes:
    """The same request for the provider, to be kept nowhere. Usage is in every stream, so it is
    not asked for."""
    ask = ask._replace(fields={**ask.fields, "store": _FALSE})
    return write_request(FORM, ask, rewrite._replace(force_usage=False))
