"""Phase 7: ask the planned targets in order until one answers. Each attempt is journalled before
its request leaves and settled with exactly one outcome, whatever happens in between.
"""

import hmac
from collections.abc import Callable, Sequence
from functools import cache

from tollway.app.gateway.account import Account
from tollway.app.gateway.background_relay import BackgroundRelay
from tollway.app.gateway.credentials import choose_credential, is_credentials_fault
from tollway.app.gateway.exchange import Exchange, Verdict
from tollway.app.gateway.health import is_ailing, note_health
from tollway.app.gateway.kept import its_credential
from tollway.app.gateway.relay import BufferedRelay
from tollway.app.gateway.reserve import attempt_rules, reserve_attempt
from tollway.app.gateway.runtime import Gateway
from tollway.app.gateway.settle import settle_attempt
from tollway.app.gateway.sharing import take_turn
from tollway.app.gateway.sound_relay import SoundRelay
from tollway.app.gateway.stream_relay import StreamRelay
from tollway.app.gateway.timing import Timing
from tollway.app.ports import Header, UpstreamCall
from tollway.dialects.ask import Rewrite
from tollway.dialects.carrier import SOUND, Carrier
from tollway.dialects.registry import carrier_for
from tollway.domain.estimate import estimated_input
from tollway.domain.failure import Cause, Failure, Phase, may_fall_back, may_try_another
from tollway.domain.hold import Hold
from tollway.domain.model import Strategy, Target
from tollway.domain.provider import CredentialRecord, ProviderKind, ProviderRecord, StreamUsage
from tollway.domain.receipt import Intent
from tollway.domain.refusal import BadRequest, QuotaExceeded, Unavailable
from tollway.domain.retry import used_up_s
from tollway.domain.retry_budget import RetryBudget
from tollway.domain.vertex import vertex_model

_JOURNAL_FULL = Unavailable(
    "Usage cannot be recorded at the moment, so no request is accepted. Try again shortly.",
    "usage_journal_unavailable",
    5.0,
)
_OUR_BUG = Failure(Phase.HEADERS, Cause.PROTOCOL, "The gateway failed to handle the answer.")
# Client headers that mean something to the provider; all others stay here.
_FORWARDED = frozenset({b"openai-beta", b"anthropic-beta", b"anthropic-version", b"traceparent"})
_Headers = tuple[Header, ...]
_JSON: _Headers = ((b"content-type", b"application/json"), (b"accept", b"application/json"))
_FOR_ANYBODY = frozenset({b"traceparent"})
# What requests of ours are written in, and those of clients that have not said it.
_VERSION_NAME = b"anthropic-version"
_VERSION: _Headers = ((_VERSION_NAME, b"2023-06-01"),)
_IN_BODIES = frozenset({_VERSION_NAME})  # at Vertex
# What is renamed per tenant; without any of them no namespace is needed.
_NAMES = frozenset({"user", "prompt_cache_key", "safety_identifier", "metadata", "input"})


async def attempt(gateway: Gateway, exchange: Exchange) -> Verdict:
    """Serve from the first target that can; otherwise the last failure, or why we may not try."""
    targets, most = exchange.targets, gateway.options.attempts
    verdict: Verdict = None
    position = tried = 0
    while position < len(targets) and tried < most:
        tried += 1
        exchange.spare = tried < most
        last = position == len(targets) - 1 or tried == most
        following = None if last else targets[position + 1][0]
        verdict = await _try_target(gateway, exchange, *targets[position], following=following)
        if verdict is None or not _may_go_on(exchange, verdict):
            return verdict
        if not (isinstance(verdict, Failure) and exchange.spare and is_credentials_fault(verdict)):
            position += 1  # else the same once more, with another credential
    return verdict


def _may_go_on(exchange: Exchange, verdict: Verdict) -> bool:
    """Whether another attempt may be made: also when a target's own limit is reached, or its
    dialect has no words for what is asked."""
    if isinstance(verdict, Failure):
        return exchange.retrying and may_try_another(verdict)
    return isinstance(verdict, QuotaExceeded | BadRequest)


def _retries(
    gateway: Gateway, exchange: Exchange, failure: Failure, *, following: Target | None
) -> bool:
    """Whether another target or model is asked after this failure: if it could help, and if the
    model's requests have not had too many attempts already."""
    again = exchange.spare and is_credentials_fault(failure)
    if again:
        asked: Sequence[Target] = ()  # the same: not it is at fault, but its credential
    elif following is not None and may_try_another(failure):
        asked = (following,)
    elif exchange.fallbacks and may_fall_back(failure):
        asked = exchange.fallbacks[0].targets
    else:
        return False
    budget = exchange.retries
    if budget is None:
        model_id = exchange.model.id
        turn = gateway.turns.get(model_id, 0)
        budget = gateway.retries.get(model_id)
        if budget is None:
            budget = gateway.retries[model_id] = RetryBudget(turn)
        exchange.retries = budget
        budget.refill(turn)
    ailing = not again and all(is_ailing(gateway, target) for target in asked)
    return budget.take(ailing=ailing)


async def _try_target(
    gateway: Gateway,
    exchange: Exchange,
    target: Target,
    provider: ProviderRecord,
    *,
    following: Target | None,
) -> Verdict:
    if exchange.client.gone:
        return Failure(Phase.CONNECT, Cause.CLIENT_GONE, "The client left.")
    assert exchange.principal is not None
    credential = _credential(gateway, exchange, target, provider)
    account = gateway.accounts.get(provider, credential, target.model)
    if account.free:
        turn = account.enter_free(exchange.principal.tenant)
    else:
        taken = await take_turn(gateway.histories, exchange, account)
        if isinstance(taken, QuotaExceeded):
            return taken
        turn = taken
    try:
        served, rules = (target, provider), attempt_rules(gateway, exchange, provider)
        hold = None
        if rules.rules:
            held = await reserve_attempt(gateway, exchange, rules, served=served)
            if not isinstance(held, Hold):
                return held
            hold = held
        relay = _begin(gateway, exchange, served, credential, hold)
        if not isinstance(relay, BufferedRelay):
            return relay
        relay.account = account
        failure = await _send(gateway, exchange, relay, following=following)
        turn.went(failure, relay.usage)
        if failure is not None or gateway.health:
            note_health(gateway, served, failure, started_ns=exchange.started_ns)
        if failure is None and (len(exchange.targets) > 1 or len(provider.credentials) > 1):
            _heed_limits(gateway, relay, account)
        return None if relay.answered else failure
    finally:
        turn.close()


def _credential(
    gateway: Gateway, exchange: Exchange, target: Target, provider: ProviderRecord
) -> CredentialRecord | None:
    """The one to call with, whose turn it is; `exchange.spare` says whether another may follow."""
    if exchange.kept is not None:
        exchange.spare = False
        return its_credential(provider, exchange.kept)
    if len(provider.credentials) == 1:
        exchange.spare = False
        return provider.credentials[0]
    credential, others = choose_credential(gateway, provider, target.model)
    exchange.spare = exchange.spare and others
    return credential


def _heed_limits(gateway: Gateway, relay: BufferedRelay, account: Account) -> None:
    """An account that says it has nothing left is passed over, where there are others."""
    rests_s = used_up_s(relay.provider_headers, gateway.clock.wall_ns() / 1_000_000_000)
    if rests_s:
        account.rest(rests_s)


def _begin(
    gateway: Gateway,
    exchange: Exchange,
    served: tuple[Target, ProviderRecord],
    credential: CredentialRecord | None,
    hold: Hold | None,
) -> BufferedRelay | BadRequest | Unavailable:
    """Render the request and journal its intent; or why nothing may be sent."""
    target, provider = served
    carrier = carrier_for(
        exchange.inbound.endpoint,
        provider.kind,
        target.model,
        translate_responses=provider.translate_responses,
        as_events=exchange.ask.as_events,
    )
    call: UpstreamCall | BadRequest = (
        _not_served(exchange, target, provider)
        if carrier is None
        else _call(exchange, carrier, target, provider, credential)
    )
    refusal: BadRequest | Unavailable = _JOURNAL_FULL
    if carrier is None or isinstance(call, BadRequest):
        assert isinstance(call, BadRequest), "who has no carrier has no call"
        refusal = call
    else:
        slot, ticket = gateway.journal.claim()
        exchange.attempts += 1
        intent = _intent(exchange, call, target, slot, ticket)
        if gateway.journal.intend(intent):
            return _relay_for(exchange, carrier, call)(
                gateway, exchange, intent, call=call, carrier=carrier, hold=hold
            )
    if hold is not None:
        gateway.quotas.void(hold)
    return refusal


def _relay_for(exchange: Exchange, carrier: Carrier, call: UpstreamCall) -> type[BufferedRelay]:
    if not call.stream:
        return BufferedRelay
    keeping = exchange.ask.keeping
    if keeping is not None and keeping.background:
        return BackgroundRelay
    return SoundRelay if carrier.stream_type == SOUND else StreamRelay


async def _send(
    gateway: Gateway, exchange: Exchange, relay: BufferedRelay, *, following: Target | None
) -> Failure | None:
    journal, call = gateway.journal, relay.call
    gateway.running.add(relay)
    timing = Timing(gateway, relay) if exchange.model.strategy is Strategy.LEAST_LATENCY else None
    failure: Failure | None = _OUR_BUG
    try:
        if journal.needs_wait:
            await journal.durable()
        failure = await gateway.upstreams[call.provider.kind].call(call, relay)
        if isinstance(relay, BackgroundRelay):
            failure = await relay.follow(failure)
        failure = relay.end(failure)
    finally:
        # Also on a bug of ours: an attempt without an outcome would block its journal segment.
        gateway.running.discard(relay)
        if timing is not None:
            timing.end(failure)
        over = failure is not None and _retries(gateway, exchange, failure, following=following)
        exchange.retrying = over
        settle_attempt(gateway, exchange, relay, failure, failed_over=over)
        if isinstance(relay, BackgroundRelay):
            relay.over()
    if failure is None:
        if exchange.retries is not None:
            exchange.answering()
        relay.deliver()
    return failure


def _call(
    exchange: Exchange,
    carrier: Carrier,
    target: Target,
    provider: ProviderRecord,
    credential: CredentialRecord | None,
) -> UpstreamCall | BadRequest:
    ask, at_vertex = exchange.ask, provider.kind is ProviderKind.VERTEX
    version = exchange.facts.get(_VERSION_NAME) if at_vertex else None
    rendered = carrier.render(
        ask,
        Rewrite(
            target.model,
            ask.stream and provider.stream_usage is StreamUsage.FORCE,
            exchange.output_clamp or exchange.model.max_output_tokens,
            None if _NAMES.isdisjoint(ask.fields) else _namespace(exchange),
            None if exchange.kept is None else exchange.kept.upstream_id,
            None if version is None else version.decode("latin-1"),
        ),
    )
    if isinstance(rendered, BadRequest):
        return rendered
    exchange.dropped = rendered.dropped
    headers = rendered.headers or (_events(carrier.stream_type) if ask.stream else _JSON)
    forwarded = _FORWARDED if carrier.same else _FOR_ANYBODY
    if at_vertex:
        forwarded -= _IN_BODIES
    if not forwarded.isdisjoint(exchange.facts):
        headers += tuple(one for one in exchange.inbound.headers if one[0] in forwarded)
    if provider.kind is ProviderKind.ANTHROPIC and not (
        carrier.same and _VERSION_NAME in exchange.facts
    ):
        headers += _VERSION
    path, body = rendered.path, rendered.body
    return UpstreamCall(provider, credential, rendered.method, path, headers, body, ask.stream)


@cache
def _events(stream_type: bytes) -> _Headers:
    return (b"content-type", b"application/json"), (b"accept", stream_type)


def _not_served(exchange: Exchange, target: Target, provider: ProviderRecord) -> BadRequest:
    path = exchange.inbound.endpoint.path.decode()
    if provider.kind is ProviderKind.VERTEX and vertex_model(target.model) is None:
        return BadRequest(
            f"The model {exchange.model.name!r} is not served: its target at Vertex does not say "
            "who publishes it. Take another model.",
            "unsupported_model",
            "model",
        )
    return BadRequest(
        f"The model {exchange.model.name!r} is not served at {path}: its provider is of the kind "
        f"{provider.kind.value}. Take another model, or another endpoint.",
        "unsupported_endpoint",
        "model",
    )


def _namespace(exchange: Exchange) -> Callable[[str], str] | None:
    """Users of two tenants must never meet at a shared provider account: their names (and cache
    keys) are replaced by a tenant-keyed digest, equal for equal names of one tenant."""
    principal = exchange.principal
    assert principal is not None
    salt = principal.tenant.salt
    return lambda name: hmac.new(salt, name.encode("utf-8", "replace"), "sha256").hexdigest()[:32]


def _intent(
    exchange: Exchange, call: UpstreamCall, target: Target, slot: int, ticket: int
) -> Intent:
    principal, labels, model = exchange.principal, exchange.labels, exchange.model
    assert principal is not None
    key = principal.key
    return Intent(
        exchange.request_id,
        exchange.attempts,
        slot,
        ticket,
        exchange.started_ns,
        exchange.inbound.endpoint.name,
        call.stream,
        key.tenant_id,
        key.project_id,
        key.account_id,
        key.id,
        model.name,
        model.id,
        call.provider.id,
        call.credential.id if call.credential is not None else None,
        target.model,
        labels.client_request_id,
        labels.end_user,
        labels.tags,
        estimated_input(exchange.ask.input_bytes),
    )
