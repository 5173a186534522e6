"""Phase 7: ask the planned targets in order until one answers. Each attempt is journalled before
its request leaves and settled with exactly one outcome, whatever happens in between.
"""

import hmac
from collections.abc import Callable

from tollway.app.gateway.exchange import Exchange, Verdict
from tollway.app.gateway.relay import BufferedRelay
from tollway.app.gateway.reserve import attempt_rules, reserve_attempt
from tollway.app.gateway.runtime import Gateway
from tollway.app.gateway.settle import settle_attempt
from tollway.app.gateway.stream_relay import StreamRelay
from tollway.app.ports import Header, UpstreamCall
from tollway.dialects.ask import Rewrite
from tollway.domain.estimate import estimated_input
from tollway.domain.failure import Cause, Failure, Phase, may_try_another
from tollway.domain.hold import Hold
from tollway.domain.model import Target
from tollway.domain.provider import ProviderRecord, StreamUsage
from tollway.domain.receipt import Intent
from tollway.domain.refusal import QuotaExceeded, Unavailable

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
_EVENTS: _Headers = ((b"content-type", b"application/json"), (b"accept", b"text/event-stream"))
# What is renamed per tenant; without any of them no namespace is needed.
_NAMES = frozenset({"user", "prompt_cache_key", "safety_identifier"})


async def attempt(gateway: Gateway, exchange: Exchange) -> Verdict:
    """Serve from the first target that can; otherwise the last failure, or why we may not try."""
    targets = exchange.targets[: gateway.options.attempts]
    verdict: Verdict = None
    for position, (target, provider) in enumerate(targets):
        last = position == len(targets) - 1
        verdict = await _try_target(gateway, exchange, target, provider, last=last)
        if last or not _may_go_on(verdict):
            return verdict
    return verdict


def _may_go_on(verdict: Verdict) -> bool:
    """Whether the next target may be asked: also when this one's own limit is reached."""
    if isinstance(verdict, Failure):
        return may_try_another(verdict)
    return isinstance(verdict, QuotaExceeded)


async def _try_target(
    gateway: Gateway, exchange: Exchange, target: Target, provider: ProviderRecord, *, last: bool
) -> Verdict:
    if exchange.client.gone:
        return Failure(Phase.CONNECT, Cause.CLIENT_GONE, "The client left.")
    hold = None
    rules = attempt_rules(gateway, exchange, provider)
    if rules.rules:
        reserved = await reserve_attempt(gateway, exchange, rules, served=(target, provider))
        if not isinstance(reserved, Hold):
            return reserved
        hold = reserved
    call = _call(exchange, target, provider)
    journal = gateway.journal
    slot, ticket = journal.claim()
    exchange.attempts += 1
    intent = _intent(exchange, call, target, slot, ticket)
    if not journal.intend(intent):
        if hold is not None:
            gateway.quotas.void(hold)
        return _JOURNAL_FULL
    relay = (StreamRelay if call.stream else BufferedRelay)(gateway, exchange, intent, provider)
    relay.hold = hold
    gateway.running.add(relay)
    failure: Failure | None = _OUR_BUG
    try:
        if journal.needs_wait:
            await journal.durable()
        failure = await gateway.upstreams[provider.kind].call(call, relay)
        failure = relay.end(failure)
    finally:
        # Also on a bug of ours: an attempt without an outcome would block its journal segment.
        gateway.running.discard(relay)
        over = failure is not None and not last and may_try_another(failure)
        settle_attempt(gateway, exchange, relay, failure, failed_over=over)
    if failure is None:
        relay.deliver()
    return None if relay.answered else failure


def _call(exchange: Exchange, target: Target, provider: ProviderRecord) -> UpstreamCall:
    ask, endpoint = exchange.ask, exchange.inbound.endpoint
    body = endpoint.render(
        ask,
        Rewrite(
            target.model,
            ask.stream and provider.stream_usage is StreamUsage.FORCE,
            exchange.output_clamp or exchange.model.max_output_tokens,
            None if _NAMES.isdisjoint(ask.fields) else _namespace(exchange),
        ),
    )
    headers = _EVENTS if ask.stream else _JSON
    if not _FORWARDED.isdisjoint(exchange.facts):
        headers += tuple(one for one in exchange.inbound.headers if one[0] in _FORWARDED)
    return UpstreamCall(
        provider,
        provider.credentials[0] if provider.credentials else None,
        "POST",
        endpoint.upstream_path,
        headers,
        body,
        ask.stream,
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
