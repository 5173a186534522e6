"""`/v1/messages` and `/v1/messages/count_tokens` of Anthropic's dialect: which fields are judged,
and what is rewritten beyond `model` and `max_tokens`: `metadata.user_id`, renamed per tenant.

Sources: Anthropic's API reference; the limit of `stop_sequences` as Amazon documents it.
"""

import msgspec
from msgspec import Raw

from tollway.dialects import rules
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.blocks import blocks_of, blocks_problem, load_value, refused, value_problem
from tollway.dialects.request import (
    COMMON_RULES,
    MAX_OUTPUT_TOKENS,
    Form,
    is_null,
    missing,
    read_request,
    rewritten,
)
from tollway.dialects.spelling import misspelt, read_value
from tollway.domain.refusal import BadRequest

# A request with tools is read with a prompt of Anthropic's own, 313 to 530 tokens by model, which
# is not in its bytes. As bytes of text, so that estimates and ceilings both have room for it.
TOOL_PROMPT_BYTES = 1536

_NAMED = frozenset({"user_id"})  # of metadata
_load = msgspec.json.Decoder().decode
_load_members = msgspec.json.Decoder(dict[str, Raw] | None).decode
_write = msgspec.json.Encoder().encode


def _blocks(name: str, raw: Raw) -> object:
    found = rules.array(name, raw)
    return blocks_problem(name, raw) or found if found is True else found


def _metadata(name: str, raw: Raw) -> object:
    found = rules.members(name, raw)
    if not isinstance(found, dict):
        return found
    problem = misspelt(name, found, _NAMED)
    if problem is not None or "user_id" not in found:
        return problem or found
    user_id = rules.text("metadata.user_id", found["user_id"])
    return user_id if isinstance(user_id, BadRequest) else found


def _container(name: str, raw: Raw) -> object:
    """A new one with skills of Anthropic's own passes."""
    try:
        value = read_value(raw)
    except msgspec.ValidationError:
        value = True
    if isinstance(value, dict) and value.get("id") is None:
        skills = value.get("skills")
        problem = value_problem(name, [value, skills])
        if problem is not None:
            return problem
        if not any(
            isinstance(skill, dict) and skill.get("type") == "custom"
            for skill in (skills if isinstance(skills, list) else ())
        ):
            return True
    elif value is None:
        return None
    return refused(name, "A container or skill kept at a provider", "Leave it out.")


def _thread(name: str, raw: Raw) -> object:
    if bytes(raw) == b"null":
        return None
    return refused(name, "A conversation kept at a provider", "Send all of it as 'messages'.")


def _fallbacks(name: str, raw: Raw) -> object:
    if bytes(raw) == b"null":
        return None
    message = f"'{name}' cannot be set: the gateway chooses which models answer."
    return BadRequest(message, "unsupported_parameter", name)


def _no_stream(name: str, raw: Raw) -> object:
    value = rules.flag(name, raw)
    if value is True:
        return BadRequest("A count of tokens cannot be streamed.", "invalid_value", name)
    return value


_RULES = {
    **COMMON_RULES,
    "messages": _blocks,
    "metadata": _metadata,
    "container": _container,
    "thread": _thread,
    "fallbacks": _fallbacks,
    "mcp_servers": _blocks,
}
FORM = Form(
    rules={
        **_RULES,
        "stream": rules.flag,
        "max_tokens": rules.whole_number(0, MAX_OUTPUT_TOKENS),  # 0 warms a cache
        "stop_sequences": rules.strings(8191),
    },
    required="messages",
    limits=("max_tokens",),
    may_default=True,
)
COUNT_FORM = Form(rules={**_RULES, "stream": _no_stream}, required="messages", may_default=True)

# Blocks whose tokens are bounded by their bytes; fields that may bring in more than was sent.
_PLAIN_BLOCKS = (
    "text",
    "thinking",
    "redacted_thinking",
    "tool_use",
    "tool_result",
)  # a tuple: what is looked up may be unhashable
_OPEN_FIELDS = ("mcp_servers", "container")


def is_bounded(ask: Ask) -> bool:
    """Whether the input cannot have more tokens than the request has bytes: text and the client's
    own tools, nothing that a provider fetches, looks up or encodes."""
    if any(name in ask.fields for name in _OPEN_FIELDS):
        return False
    tools = _load_field(ask, "tools")
    for tool in tools if isinstance(tools, list) else ():
        if not isinstance(tool, dict) or tool.get("type") not in (None, "custom"):
            return False
    spoken = [_load_field(ask, "messages"), _load_field(ask, "system")]
    return all(
        block.get("type") in _PLAIN_BLOCKS or ("type" not in block and "role" in block)
        for block in blocks_of(spoken)
    )


def parse(body: bytes) -> Ask | BadRequest:
    """A request for a message, judged."""
    ask = _parse(FORM, body)
    if isinstance(ask, Ask) and is_null(ask.fields.get("max_tokens")):
        return missing("max_tokens")
    return ask


def parse_count(body: bytes) -> Ask | BadRequest:
    """A request for the number of a message's input tokens, judged."""
    return _parse(COUNT_FORM, body)


def render(ask: Ask, rewrite: Rewrite) -> bytes:
    """The same request for the provider. Usage is in every stream, so it is not asked for."""
    return _write(rewritten_message(FORM, ask, rewrite))


def render_count(ask: Ask, rewrite: Rewrite) -> bytes:
    """Likewise; nothing is written, so nothing is clamped."""
    return _write(rewritten_message(COUNT_FORM, ask, rewrite))


def rewritten_message(form: Form, ask: Ask, rewrite: Rewrite) -> dict[str, object]:
    """The fields of either request as the provider gets them."""
    metadata: dict[str, object] = {**_metadata_of(ask)}
    if metadata:  # written anew even where nobody is named: of a repeated name, one was judged
        user_id = _user_id(_metadata_of(ask))
        if user_id is not None and rewrite.namespace is not None:
            metadata["user_id"] = rewrite.namespace(user_id)
        ask = ask._replace(fields={**ask.fields, "metadata": Raw(_write(metadata))})
    return rewritten(form, ask, rewrite._replace(force_usage=False))


def _parse(form: Form, body: bytes) -> Ask | BadRequest:
    ask = read_request(form, body)
    if isinstance(ask, BadRequest):
        return ask
    if "tools" in ask.fields:
        ask = ask._replace(input_bytes=ask.input_bytes + TOOL_PROMPT_BYTES)
    user_id = _user_id(_metadata_of(ask))
    return ask if user_id is None else ask._replace(end_user=user_id)


def _metadata_of(ask: Ask) -> dict[str, Raw]:
    raw = ask.fields.get("metadata")
    return (None if raw is None else _load_members(raw)) or {}


def _user_id(metadata: dict[str, Raw]) -> str | None:
    value = _load(metadata["user_id"]) if "user_id" in metadata else None
    return value if isinstance(value, str) else None


def _load_field(ask: Ask, name: str) -> object:
    raw = ask.fields.get(name)
    return None if raw is None else load_value(raw)
