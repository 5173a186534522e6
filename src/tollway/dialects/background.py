"""A response that its provider makes in the background, as the provider has it at one moment: how
it is called there, whether more will come of it, what it has used.

Source: OpenAI's guide to background mode, and its Response.
"""

from typing import NamedTuple

import msgspec
from msgspec import Raw

from tollway.dialects.bounded import ABSENT, error_in, usage_in
from tollway.dialects.carrier import Headers
from tollway.dialects.faults import read_fault
from tollway.dialects.kept import quoted
from tollway.dialects.reply import decoded
from tollway.dialects.usage_responses import read_responses_usage
from tollway.domain.usage import Usage

ACCEPT: Headers = ((b"accept", b"application/json"),)
_GOES_ON = frozenset({"queued", "in_progress"})
_FAILED = "failed"


class Made(NamedTuple):
    """`final`: nothing more will come of it. `failed` says why it has failed, if it has: in words
    that are safe to show."""

    name: str
    final: bool
    usage: Usage | None
    failed: str | None


class _Response(msgspec.Struct, gc=False):
    id: str
    status: str | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT


_load = msgspec.json.Decoder(_Response).decode


def read_made(body: bytes) -> Made | None:
    """The response in a body; None for what is none. One that does not say how it stands is done:
    who does not know the background answers at once."""
    response = decoded(_load, body)
    if response is None or not response.id:
        return None
    failed = None
    if response.status == _FAILED:
        fault = read_fault({"error": error_in(response.error)})
        failed = (fault.message if fault is not None else None) or "The provider has failed."
    usage = read_responses_usage(usage_in(response.usage))
    return Made(response.id, response.status not in _GOES_ON, usage, failed)


def path_of(name: str, suffix: str = "") -> str:
    """Where the provider is asked about it. `name` is the provider's own id."""
    return f"/responses/{quoted(name)}{suffix}"
