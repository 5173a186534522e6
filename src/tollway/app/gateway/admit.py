"""Phase 2: the credential becomes a `Principal`, then the policy and the model's grant are asked.
In-memory only: no I/O, no counters. The tenant comes from the credential and from nothing else.
"""

from collections.abc import Sequence

from tollway.app.gateway.exchange import Exchange, Labels
from tollway.app.gateway.kept import open_kept
from tollway.app.gateway.keyring import unknown_key
from tollway.app.gateway.runtime import Gateway
from tollway.app.ports import Header
from tollway.domain.access import Principal, granted_model, may_call
from tollway.domain.key import KeyRecord
from tollway.domain.labels import parse_tags, plain_label
from tollway.domain.refusal import (
    BadRequest,
    Forbidden,
    ModelNotFound,
    Refusal,
    Unauthenticated,
    Unavailable,
)
from tollway.domain.snapshot import Snapshot

_MISSING = Unauthenticated(
    "No API key was given. Send it as 'Authorization: Bearer tw_...' or as 'x-api-key'.",
    "missing_api_key",
)
WRONG_KEY = Unauthenticated("The API key is not valid. Check that it was copied whole.")
_TWO_KEYS = BadRequest("'Authorization' and 'x-api-key' hold two different keys. Send one.")
_NO_MODEL = BadRequest(
    "'model' is required. Name one, or ask your administrator for a default: the tenant's setting "
    "'default_model'.",
    "missing_required_parameter",
    "model",
)
_LONGEST_NAME = 200  # of a model; what is longer is none
_LABELS = frozenset({b"x-request-id", b"x-tollway-end-user", b"x-tollway-tags"})


def admit(gateway: Gateway, exchange: Exchange) -> Refusal | None:
    """Fill facts, principal, labels and model, or refuse."""
    inbound, snapshot = exchange.inbound, exchange.snapshot
    facts = exchange.facts = dict(inbound.headers)
    now_s = exchange.started_ns / 1_000_000_000
    principal = authenticate(gateway, inbound.headers, facts, snapshot=snapshot, now_s=now_s)
    if not isinstance(principal, Principal):
        return principal
    exchange.principal = principal
    endpoint = inbound.endpoint
    refusal = may_call(principal, endpoint.permission or endpoint.name, inbound.peer_ip)
    if refusal is None and exchange.ask.keeping is not None:
        refusal = open_kept(gateway, exchange)
    if refusal is not None:
        return refusal
    ask = exchange.ask
    if ask.end_user is not None or principal.key.tags or not _LABELS.isdisjoint(facts):
        labels = read_labels(facts, ask.end_user, principal.key)
        if isinstance(labels, BadRequest):
            return labels
        exchange.labels = labels
    if principal.subject is not None:  # whoever the caller says it is
        exchange.labels = exchange.labels._replace(end_user=plain_label(principal.subject))
    return find_model(exchange, principal)


def find_model(exchange: Exchange, principal: Principal) -> Refusal | None:
    """The model that the request names, or else its tenant's default: asked for as if it had been
    sent."""
    name = exchange.ask.model
    if not name:
        default = principal.tenant.default_model
        if default is None:
            return _NO_MODEL
        name = default
        exchange.ask = exchange.ask._replace(model=name)
    model = granted_model(exchange.snapshot, principal, name)
    if isinstance(model, ModelNotFound):
        return model
    exchange.model = model
    return None


def authenticate(
    gateway: Gateway,
    headers: Sequence[Header],
    facts: dict[bytes, bytes],
    *,
    snapshot: Snapshot,
    now_s: float,
) -> Principal | Unauthenticated | BadRequest | Forbidden | Unavailable:
    """Whose request this is. Every refusal after the checksum reads the same."""
    given = _credential(headers, facts)
    if not isinstance(given, bytes):
        return given
    principal = gateway.keyring.open(given, snapshot, now_s)
    if principal is not None:
        return principal
    if gateway.issued.takes(given):
        return gateway.issued.open(given, snapshot, now_s) or WRONG_KEY
    return WRONG_KEY


async def arrived(
    gateway: Gateway, headers: Sequence[Header], *, facts: dict[bytes, bytes], snapshot: Snapshot
) -> bool:
    """After `WRONG_KEY`: whether there is a newer configuration now, which may have the key. Asks
    for one only if the key is well-formed and unknown, and not too often."""
    if gateway.newcomers.may_ask:
        given = _credential(headers, facts)
        key_id = unknown_key(given, snapshot) if isinstance(given, bytes) else None
        if key_id is not None:
            await gateway.newcomers.ask_for(key_id, gateway.clock.monotonic())
    return gateway.source.current is not snapshot


async def issuer_answered(
    gateway: Gateway, headers: Sequence[Header], facts: dict[bytes, bytes]
) -> None:
    """After `KEYS_AWAITED`: wait for the keys of the token's issuer."""
    given = _credential(headers, facts)
    assert isinstance(given, bytes), "it was opened before"
    await gateway.issued.wait(given, gateway.clock.wall_ns() / 1_000_000_000)


async def model_arrived(
    gateway: Gateway, principal: Principal, name: str, *, snapshot: Snapshot
) -> bool:
    """After `ModelNotFound`: whether there is a newer configuration now, which may have the model
    or its grant."""
    if len(name) <= _LONGEST_NAME:
        subject = f"{principal.tenant_id} {name}"
        await gateway.new_models.ask_for(subject, gateway.clock.monotonic())
    return gateway.source.current is not snapshot


def _credential(
    headers: Sequence[Header], facts: dict[bytes, bytes]
) -> bytes | Unauthenticated | BadRequest:
    bearer, api_key = facts.get(b"authorization"), facts.get(b"x-api-key")
    if len(facts) != len(headers) and _repeats(headers):
        return _TWO_KEYS
    if bearer is None:
        return _MISSING if api_key is None else api_key
    scheme, _, token = bearer.partition(b" ")
    if scheme != b"Bearer" and scheme.lower() != b"bearer":
        return _MISSING
    token = token.strip()
    return token if api_key is None or api_key == token else _TWO_KEYS


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
