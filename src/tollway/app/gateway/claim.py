"""A request with an `Idempotency-Key` is made once: sent again, it gets the answer that was given,
and is neither sent to a provider nor billed. What was refused or failed was not answered, so it may
be tried again. Streams are not repeated: the key only keeps them from being made twice.
"""

from hashlib import sha256

from tollway.app.gateway.exchange import Exchange
from tollway.app.gateway.runtime import Gateway
from tollway.app.ports import Header
from tollway.app.ports_answers import AnswerScope, StoredAnswer, Taken
from tollway.domain.refusal import BadRequest, Conflict

_HEADER = b"idempotency-key"
_MAX_CHARS = 255
_SOON_S = 1.0
_REPLAYED: list[Header] = [
    (b"content-type", b"application/json"),
    (b"idempotent-replayed", b"true"),
]
_ILL_FORMED = BadRequest(
    f"An 'Idempotency-Key' is 1 to {_MAX_CHARS} printable characters.",
    "invalid_idempotency_key",
)
_OTHER_BODY = BadRequest(
    "This 'Idempotency-Key' was used for another request. Use a new one for each request.",
    "idempotency_key_reused",
)
_RUNNING = Conflict(
    "A request with this 'Idempotency-Key' is still running. Try again when it has ended.",
    "idempotency_key_in_use",
    _SOON_S,
)
_STREAMED = Conflict(
    "The request with this 'Idempotency-Key' was answered by a stream or a text, "
    "which cannot be repeated.",
    "stream_not_replayable",
)


def claim(gateway: Gateway, exchange: Exchange) -> BadRequest | Conflict | None:
    """Claim the request's key, or answer from what is remembered; no key, no work."""
    raw = exchange.facts.get(_HEADER)
    if raw is None or gateway.answers is None:
        return None
    given = raw.decode("latin-1")
    if not 0 < len(given) <= _MAX_CHARS or not given.isprintable():
        return _ILL_FORMED
    principal = exchange.principal
    assert principal is not None
    digest = _digest(exchange)
    asker = principal.subject or principal.key_id
    scope = AnswerScope(principal.tenant_id, asker, given)
    found = gateway.answers.claim(scope, digest)
    if isinstance(found, Taken):
        return _RUNNING if found.same else _OTHER_BODY
    if not isinstance(found, StoredAnswer):
        exchange.claim = found
        return None
    if found.body is None:
        return _STREAMED
    exchange.replayed = True
    headers = [*_REPLAYED, (b"x-request-id", exchange.request_id.encode())]
    exchange.client.respond(found.status, headers, found.body)
    return None


def _digest(exchange: Exchange) -> bytes:
    """What stands for what is asked. Of a form its parts: clients draw its boundary anew each
    time."""
    inbound, upload = exchange.inbound, exchange.ask.upload
    if upload is None:
        return sha256(inbound.endpoint.path + b"\x00" + inbound.body).digest()
    digest = sha256(inbound.endpoint.path + b"\x00")
    for part in upload.parts:
        digest.update(b"%d:" % len(part.raw))
        digest.update(part.raw)
    return digest.digest()
