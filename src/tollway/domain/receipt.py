"""What happened, as one immutable record: ledger, metrics, audit and logs all derive from it.

Tuples, not dataclasses: a receipt is made for each request, goes to the journal as one array, and
its fields are the ledger's columns in this order.
"""

from enum import StrEnum
from typing import Any, NamedTuple

from tollway.domain.usage import Usage


class Payer(StrEnum):
    """The rule by which an attempt was billed (docs/accounting.md has the whole table)."""

    REPORTED = "reported"  # finished; the provider's own usage
    ESTIMATED = "estimated"  # finished; the provider reported none
    CUT = "cut"  # the provider broke off mid-stream: what was received
    CLIENT_GONE = "client_gone"  # the client left: what was received until our cancel took effect
    KILLED = "killed"  # our process died: what the progress file says
    FAILED = "failed"  # no content reached anyone: nothing
    FAILED_OVER = "failed_over"  # another target won: nothing to the tenant


# The `error` of a row whose provider counted more than the request could have.
ABOVE_CEILING = "usage:above_ceiling"
# Of one whose provider counted fewer tokens of output than what it sent can be.
BELOW_SEEN = "usage:below_seen"


class Intent(NamedTuple):
    """An attempt about to be made: enough to bill it should we die. Times in UTC nanoseconds.

    `slot` and `ticket` name its place in the progress file; a slot whose ticket differs has moved
    on to another attempt.
    """

    request_id: str
    attempt: int
    slot: int
    ticket: int
    started_ns: int
    endpoint: str
    stream: bool
    tenant_id: str
    project_id: str | None
    account_id: str | None
    key_id: str
    model: str
    model_id: str
    provider_id: str
    credential_id: str | None
    target_model: str
    client_request_id: str | None
    end_user: str | None
    tags: tuple[tuple[str, str], ...]
    input_estimate: int


class Receipt(NamedTuple):
    """One attempt's outcome, or (attempt 0) a request that made none. Times in UTC nanoseconds.

    Token classes are as in `usage.Usage`. `cost_nusd` is None until a price exists. `status` is
    what the client got (499: it left first); `upstream_status` what the provider answered.
    """

    request_id: str
    attempt: int
    kind: str  # usage | correction
    seq: int
    started_ns: int
    ended_ns: int
    endpoint: str
    stream: bool
    tenant_id: str | None
    project_id: str | None
    account_id: str | None
    key_id: str | None
    model: str | None
    model_id: str | None
    provider_id: str | None
    credential_id: str | None
    target_model: str | None
    client_request_id: str | None
    end_user: str | None
    tags: tuple[tuple[str, str], ...]
    input: int | None
    cached_input: int | None
    cache_write: int | None
    output: int | None
    reasoning: int | None
    audio: int | None
    image: int | None
    usage_source: str  # provider | estimated | none
    payer: str
    cost_nusd: int | None
    price_version: str | None
    status: int
    upstream_status: int | None
    outcome: str  # finished | refused | failed | broken | client_gone | killed
    error: str | None
    first_byte_ns: int | None


_INPUT = Receipt._fields.index("input")
_USAGE = slice(_INPUT, _INPUT + len(Usage._fields))  # by name they cost a request a microsecond


def usage_of(receipt: Receipt) -> Usage:
    """The token classes of a receipt."""
    fields: tuple[Any, ...] = receipt
    return Usage._make(fields[_USAGE])
