"""A whole answer of `/v1/responses`, read but never changed. Errors are read as everywhere
(`reply.py`), and so is an answer that failed with a status that says yes."""

import msgspec
from msgspec import Raw

from tollway.dialects.bounded import ABSENT, error_in, load_any, usage_in
from tollway.dialects.chunk import text_size
from tollway.dialects.reply import Reply, decoded, read_error
from tollway.dialects.rules import first_byte
from tollway.dialects.usage_responses import read_responses_usage
from tollway.domain.estimate import needs_size

# Items that a model writes; what its provider's tools found stands in others.
_SAID = frozenset({"message", "reasoning"})
_CALLS = frozenset({"function_call", "custom_tool_call", "code_interpreter_call"})


class _Response(msgspec.Struct, gc=False):
    output: Raw = Raw()  # validated, and built only where its size is needed
    usage: Raw = ABSENT
    error: Raw = ABSENT


_load_response = msgspec.json.Decoder(_Response).decode


def read_response(body: bytes) -> Reply:
    """A response, or an error."""
    response = decoded(_load_response, body)
    if response is None or error_in(response.error) or not _is_list(response.output):
        return read_error(body)
    usage = read_responses_usage(usage_in(response.usage))
    size = 0
    if usage is None:
        size = text_size(load_any(bytes(response.output)))
    elif needs_size(usage, len(response.output)):
        size = _written_size(load_any(bytes(response.output)))
    return Reply(True, usage, size, None, None)


def _is_list(raw: Raw) -> bool:
    return first_byte(raw) == b"["


def _written_size(output: object) -> int:
    """UTF-8 bytes of what the model wrote."""
    size = 0
    for item in output if isinstance(output, list) else ():
        kind = item.get("type") if isinstance(item, dict) else None
        if kind in _CALLS:
            size += text_size([item.get(name) for name in ("name", "arguments", "input", "code")])
        elif kind in _SAID:
            parts = [*_list_in(item, "content"), *_list_in(item, "summary")]
            said = [part for part in parts if isinstance(part, dict)]
            size += text_size([part.get(name) for part in said for name in ("text", "refusal")])
    return size


def _list_in(item: dict[str, object], name: str) -> list[object]:
    found = item.get(name)
    return found if isinstance(found, list) else []
