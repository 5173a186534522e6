"""Kept responses on their way through: an id of a client's is opened, the request is held to
whoever keeps the response, and ids in answers become the client's own.
"""

from collections.abc import Callable
from dataclasses import replace

from tollway.app.gateway.exchange import Exchange
from tollway.app.gateway.runtime import Gateway
from tollway.domain.access import granted_model
from tollway.domain.failure import Failure
from tollway.domain.ids import CredentialId, ProviderId, TenantId
from tollway.domain.kept import KeptResponse, id_text, owner_of, packed, sealed_in, unpacked
from tollway.domain.model import Target
from tollway.domain.provider import CredentialRecord, ProviderRecord
from tollway.domain.receipt import Intent
from tollway.domain.refusal import (
    BadRequest,
    Forbidden,
    ModelNotFound,
    Refusal,
    ResponseNotFound,
    Unavailable,
)
from tollway.domain.routing import order_targets

_FIELD = "previous_response_id"
_INSTEAD = "Send the whole conversation as 'input'."
_FULL = Unavailable(
    "As many answers are made in the background as may be at a time. Try again in a while.",
    "background_full",
    5.0,
)
_LEAST_TOLD = 8  # characters of an id: a shorter one may stand in a message by chance


def open_kept(gateway: Gateway, exchange: Exchange) -> ResponseNotFound | Unavailable | None:
    """Fill `exchange.kept` from the id that the request names. Unknown, another's, damaged, and of
    a model that the caller may not use any more are one and the same. Of the background: whether
    there is room."""
    ask, principal = exchange.ask, exchange.principal
    assert principal is not None
    if ask.keeping is None:
        return None
    if ask.keeping.background and not _has_room(gateway, principal.tenant_id):
        return _FULL
    if ask.keeping.previous is None:
        return None
    given, alone = ask.keeping.previous, _is_alone(exchange)
    assert gateway.sealing is not None, "a worker has one"
    sealed, plain = sealed_in(given), None
    if sealed is not None:
        salt, owner = principal.tenant.salt, owner_of(principal)
        plain = gateway.sealing.open(sealed, secret=salt, owner=owner)
    kept = None if plain is None else unpacked(plain)
    if kept is None or isinstance(
        granted_model(exchange.snapshot, principal, kept.model), ModelNotFound
    ):
        return ResponseNotFound(given, None if alone else _FIELD)
    exchange.kept = kept
    if alone:
        exchange.ask = ask._replace(model=kept.model)
    return None


def _has_room(gateway: Gateway, tenant_id: TenantId) -> bool:
    """Whether the tenant may have one more answer made in the background: it has fewer than there
    are places free, so that nobody, nor several together, leave none for whoever comes next."""
    running = gateway.background
    free = gateway.options.background - len(running)
    return sum(one == tenant_id for one in running.values()) < free


def plan_kept(exchange: Exchange) -> Refusal | None:
    """Fill `exchange.targets` with who keeps the response that the request names, and nobody else;
    or why they cannot be asked."""
    kept, principal, snapshot = exchange.kept, exchange.principal, exchange.snapshot
    assert kept is not None
    assert principal is not None
    del exchange.snapshot  # as `plan`
    provider = snapshot.providers.get(kept.provider_id)
    if provider is None or not _has(provider, kept.credential_id):
        message = "The account at the provider that keeps the response is not there any more."
        if _is_alone(exchange):
            return BadRequest(message, "response_account_gone")
        return BadRequest(f"{message} {_INSTEAD}", "response_account_gone", _FIELD)
    if not principal.tenant.may_use(provider.residency):
        allowed = ", ".join(principal.tenant.allowed_residency or ())
        return Forbidden(
            "The provider that keeps the response may not see your tenant's data any more, which "
            f"is to stay in: {allowed}.",
            "residency_not_allowed",
        )
    if not provider.enabled:
        return Unavailable("The provider that keeps the response is not enabled.", "no_target")
    targets = _targets(exchange, kept)
    if not targets:
        return BadRequest(
            f"The model '{exchange.model.name}' is not served by the provider that keeps the "
            f"response. Take the model '{kept.model}', or send the whole conversation as 'input'.",
            "response_elsewhere",
            _FIELD,
        )
    exchange.targets = [(target, provider) for target in targets]
    return None


def _is_alone(exchange: Exchange) -> bool:
    """Whether something is asked about the response, and nothing goes on from it."""
    keeping = exchange.ask.keeping
    return keeping is not None and keeping.query is not None


def _targets(exchange: Exchange, kept: KeptResponse) -> list[Target]:
    """The request's model's at that provider, the one that answered before first. What is asked
    about the response alone is asked there whatever its model has become."""
    if _is_alone(exchange):
        return [Target(kept.provider_id, kept.target_model)]
    there = [one for one in exchange.model.targets if one.provider_id == kept.provider_id]
    ordered = order_targets(exchange.model.strategy, there, 0)
    return sorted(ordered, key=lambda target: target.model != kept.target_model)


def _has(provider: ProviderRecord, credential_id: CredentialId | None) -> bool:
    if credential_id is None:
        return not provider.credentials
    return any(one.id == credential_id for one in provider.credentials)


def its_credential(provider: ProviderRecord, kept: KeptResponse) -> CredentialRecord | None:
    """The account that the response lies at."""
    return next((one for one in provider.credentials if one.id == kept.credential_id), None)


def naming(gateway: Gateway, exchange: Exchange, intent: Intent) -> Callable[[str], str]:
    """What becomes of the ids of responses in an answer: that which the client named it names as it
    did, and what is kept gets one of ours."""
    ask, kept, principal = exchange.ask, exchange.kept, exchange.principal
    sealing = gateway.sealing
    assert ask.keeping is not None
    assert sealing is not None, "a worker has one"
    assert principal is not None
    given, salt, owner = ask.keeping.previous, principal.tenant.salt, owner_of(principal)
    made = KeptResponse(
        ProviderId(intent.provider_id),
        None if intent.credential_id is None else CredentialId(intent.credential_id),
        intent.model,
        intent.target_model,
        "",
    )

    def name(upstream_id: str) -> str:
        if kept is not None and given is not None and upstream_id == kept.upstream_id:
            return given
        plain = packed(made._replace(upstream_id=upstream_id))
        if plain is None:
            return upstream_id
        return id_text(sealing.seal(plain, secret=salt, owner=owner))

    return name


def in_clients_words(exchange: Exchange, failure: Failure) -> Failure:
    """A failure that names the response as the client does, and not as the provider."""
    kept, keeping = exchange.kept, exchange.ask.keeping
    if kept is None or keeping is None or keeping.previous is None:
        return failure
    if len(kept.upstream_id) < _LEAST_TOLD:
        return failure
    told = failure.message.replace(kept.upstream_id, keeping.previous)
    return replace(failure, message=told)
