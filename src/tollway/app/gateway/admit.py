"""Phase 2: the credential becomes a `Principal`, then the policy and the model's grant are asked.
In-memory only: no I/O, no counters. The tenant comes from the credential and from nothing else.
"""

from collections.abc import Sequence

from tollway.app.gateway.exchange import Exchange, Labels
from tollway.app.ports import Header
from tollway.domain.access import Principal, granted_model, may_call
from tollway.domain.key import KeyRecord, is_live, matches, split_key
from tollway.domain.labels import parse_tags, plain_label
from tollway.domain.refusal import BadRequest, ModelNotFound, Refusal, Unauthenticated
from tollway.domain.snapshot import Snapshot

_MISSING = Unauthenticated(
    "No API key was given. Send it as 'Authorization: Bearer tw_...' or as 'x-api-key'.",
    "missing_api_key",
)
_WRONG = Unauthenticated("The API key is not valid. Check that it was copied whole.")
_TWO_KEYS = BadRequest("'Authorization' and 'x-api-key' hold two different keys. Send one.")


def admit(exchange: Exchange) -> Refusal | None:
    """Fill principal, labels and model, or refuse."""
    inbound = exchange.inbound
    facts = dict(inbound.headers)
    principal = authenticate(
        inbound.headers, facts, exchange.snapshot, exchange.started_ns / 1_000_000_000
    )
    if not isinstance(principal, Principal):
        return principal
    exchange.principal = principal
    refusal = may_call(principal, inbound.endpoint.name, inbound.peer_ip)
    if refusal is not None:
        return refusal
    labels = read_labels(facts, exchange.ask.end_user, principal.key)
    if isinstance(labels, BadRequest):
        return labels
    exchange.labels = labels
    model = granted_model(exchange.snapshot, principal, exchange.ask.model)
    if isinstance(model, ModelNotFound):
        return model
    exchange.model = model
    return None


def authenticate(
    headers: Sequence[Header], facts: dict[bytes, bytes], snapshot: Snapshot, now_s: float
) -> Principal | Unauthenticated | BadRequest:
    """Whose request this is. Every refusal after the checksum reads the same."""
    given = _credential(headers, facts)
    if not isinstance(given, str):
        return given
    parts = split_key(given)
    if parts is None:
        return _WRONG
    key_id, secret = parts
    record = snapshot.keys.get(key_id)
    if record is None:
        return _WRONG
    pepper = snapshot.peppers.get(record.pepper_version)
    if pepper is None or not matches(record, pepper, secret) or not is_live(record, now_s):
        return _WRONG
    tenant = snapshot.tenants.get(record.tenant_id)
    if tenant is None:
        return _WRONG
    return Principal(tenant, record)


def _credential(
    headers: Sequence[Header], facts: dict[bytes, bytes]
) -> str | Unauthenticated | BadRequest:
    bearer, api_key = facts.get(b"authorization"), facts.get(b"x-api-key")
    if bearer is None and api_key is None:
        return _MISSING
    if len(facts) != len(headers) and _repeats(headers):
        return _TWO_KEYS
    if bearer is not None:
        scheme, _, bearer = bearer.partition(b" ")
        if scheme.lower() != b"bearer":
            return _MISSING
        bearer = bearer.strip()
        if api_key is not None and api_key != bearer:
            return _TWO_KEYS
    return (bearer or api_key or b"").decode("latin-1")


def _repeats(headers: Sequence[Header]) -> bool:
    """Whether a credential header stands twice: which one counts must never be a guess."""
    names = [name for name, _ in headers]
    return names.count(b"authorization") > 1 or names.count(b"x-api-key") > 1


def read_labels(
    facts: dict[bytes, bytes], end_user: str | None, key: KeyRecord
) -> Labels | BadRequest:
    """Client request id, end user and tags: cleaned and capped, since they go into rows."""
    request_id = facts.get(b"x-request-id")
    named = facts.get(b"x-tollway-end-user")
    if named is not None:
        end_user = named.decode("utf-8", "replace")
    tags: tuple[tuple[str, str], ...] = key.tags
    given = facts.get(b"x-tollway-tags")
    if given is not None:
        parsed = parse_tags(given.decode("utf-8", "replace"))
        if isinstance(parsed, BadRequest):
            return parsed
        tags = tuple((dict(key.tags) | dict(parsed)).items())
    return Labels(
        None if request_id is None else plain_label(request_id.decode("utf-8", "replace")),
        None if end_user is None else plain_label(end_user),
        tags,
    )
