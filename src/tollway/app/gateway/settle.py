"""Phase 9, always: what each ending costs, the outcome into the journal, one frozen receipt to the
observers. The table of who pays stands in docs/accounting.md; `_bill` is that table as code.
"""

import logging

from tollway.app.gateway.exchange import Exchange, Verdict
from tollway.app.gateway.relay import BufferedRelay
from tollway.app.gateway.runtime import Gateway
from tollway.app.gateway.scouting import end_scouting
from tollway.app.gateway.sizing import output_ceiling
from tollway.app.pricing import Served
from tollway.domain.estimate import estimated_input, estimated_output, is_understated
from tollway.domain.failure import Cause, Failure, client_status
from tollway.domain.hold import Hold
from tollway.domain.output_history import OutputHistory
from tollway.domain.quota import spent
from tollway.domain.receipt import ABOVE_CEILING, BELOW_SEEN, Payer, Receipt
from tollway.domain.refusal import refused_status
from tollway.domain.usage import NO_USAGE, Usage

_log = logging.getLogger(__name__)
_WARN_AGAIN_S = 60.0
_ZERO = Usage(input=0, output=0)
_CLIENT_GONE_STATUS = 499


def settle_attempt(
    gateway: Gateway,
    exchange: Exchange,
    relay: BufferedRelay,
    failure: Failure | None,
    *,
    failed_over: bool,
) -> None:
    """Journal the one outcome of an attempt, before a whole answer is sent."""
    payer, usage, source = _bill(relay, failure, failed_over=failed_over)
    intent = relay.intent
    own, asked = relay.hold, exchange.hold
    cost: tuple[int | None, str | None] = None, None
    if gateway.prices is not None and (_counts_money(own) or _counts_money(asked)):
        served = Served(intent.provider_id, intent.tenant_id, intent.target_model)
        counted = None if source == "none" else usage
        cost = gateway.prices.cost_of(served, counted, at_s=intent.started_ns // 1_000_000_000)
    receipt = Receipt(
        intent.request_id,
        intent.attempt,
        "usage",
        0,
        intent.started_ns,
        gateway.clock.wall_ns(),
        intent.endpoint,
        intent.stream,
        *intent[7:19],
        *usage,
        source,
        payer.value,
        *cost,
        _status(relay, failure),
        relay.status or None,
        _outcome(relay, failure),
        _flaw(gateway, exchange, relay, usage if source == "provider" else None)
        if failure is None
        else f"{failure.phase.value}:{failure.cause.value}",
        relay.first_byte_ns,
    )
    gateway.journal.settle(intent.slot, receipt)
    if own is not None or asked is not None:
        _settle_holds(gateway, exchange, relay, receipt)
        exchange.guessed = True
    if exchange.guessed and failure is None and relay.usage is not None:
        _learn(gateway, exchange, relay.usage)
    exchange.receipted = exchange.receipted or not failed_over
    for observer in gateway.observers:
        observer.observe(receipt)


def settle(gateway: Gateway, exchange: Exchange, verdict: Verdict) -> None:
    """Resolve what the request holds and claims. Without an attempt it is observed, not billed."""
    if exchange.scouts is not None:
        end_scouting(gateway, exchange)
    if exchange.hold is not None:
        gateway.quotas.void(exchange.hold)
    if exchange.claim is not None:
        exchange.claim.release()
    if exchange.receipted or not gateway.observers:
        return
    receipt = _refused(gateway, exchange, verdict)
    for observer in gateway.observers:
        observer.observe(receipt)


def _flaw(
    gateway: Gateway, exchange: Exchange, relay: BufferedRelay, reported: Usage | None
) -> str | None:
    """What cannot be is billed as counted, and said aloud: either the provider ignores its cap, or
    it counts something else than it sends."""
    if reported is None:
        return None
    content_bytes = relay.produced()[1]
    if _is_above(exchange, reported):
        flaw, told = ABOVE_CEILING, "a provider counts more than the request could have"
    elif is_understated(reported, content_bytes) and "echo" not in exchange.ask.fields:
        # With `echo` the prompt stands in the answer, and is none of its tokens.
        flaw, told = BELOW_SEEN, "a provider counts less than it sends"
    else:
        return None
    now_s, place = gateway.clock.monotonic(), (exchange.model.id, flaw)
    if now_s >= gateway.warned.get(place, 0.0):
        gateway.warned[place] = now_s + _WARN_AGAIN_S
        _log.warning(
            told,
            extra={
                "model": exchange.model.name,
                "input": reported.input,
                "output": (reported.output or 0) + (reported.reasoning or 0),
                "output_ceiling": output_ceiling(exchange),
                "content_bytes": content_bytes,
            },
        )
    return flaw


def _is_above(exchange: Exchange, usage: Usage) -> bool:
    ceiling, hold = output_ceiling(exchange), exchange.hold
    written = (usage.output or 0) + (usage.reasoning or 0)
    if ceiling is not None and written > ceiling * exchange.ask.choices:
        return True
    most_read = hold.strict.input_tokens if hold is not None and hold.rules.ceiling else None
    return most_read is not None and (usage.input or 0) > most_read


def _settle_holds(
    gateway: Gateway,
    exchange: Exchange,
    relay: BufferedRelay,
    receipt: Receipt,
) -> None:
    """Book what the row says. What lost to another target counts for what answered, not for whoever
    asked: the request's own hold goes on with the next attempt."""
    actual = spent(receipt)
    if relay.hold is not None:
        gateway.quotas.settle(relay.hold, actual)
    if receipt.payer == Payer.FAILED_OVER:
        return
    if exchange.hold is not None:
        gateway.quotas.settle(exchange.hold, actual)


def _learn(gateway: Gateway, exchange: Exchange, usage: Usage) -> None:
    """How long the model's answers are, and the contexts that were kept, where anything goes by it:
    limits, turns at an account that may be full, the cheapest target."""
    if not exchange.inbound.endpoint.writes:
        return
    model_id = exchange.model.id
    history = gateway.outputs.get(model_id)
    if history is None:
        history = gateway.outputs[model_id] = OutputHistory()
    history.learn(((usage.output or 0) + (usage.reasoning or 0)) // exchange.ask.choices)
    if exchange.kept is not None:
        context = gateway.contexts.get(model_id)
        if context is None:
            context = gateway.contexts[model_id] = OutputHistory()
        read = (usage.input or 0) + (usage.cached_input or 0) + (usage.cache_write or 0)
        context.learn(max(0, read - estimated_input(exchange.ask.input_bytes)))


def _counts_money(hold: Hold | None) -> bool:
    return hold is not None and hold.rules.money


def _bill(
    relay: BufferedRelay, failure: Failure | None, *, failed_over: bool
) -> tuple[Payer, Usage, str]:
    reported = relay.usage
    if failure is not None and not relay.answered:
        # No content reached anyone: only what the provider itself says it counted.
        payer = Payer.FAILED_OVER if failed_over else Payer.FAILED
        if failure.cause is Cause.CLIENT_GONE:
            payer = Payer.CLIENT_GONE
        told = relay.input_usage if reported is None else reported
        if told is None:
            return payer, _ZERO, "none"
        return payer, told if told.output is not None else told._replace(output=0), "provider"
    if failure is None:
        payer = Payer.REPORTED if reported is not None else Payer.ESTIMATED
    else:
        payer = Payer.CLIENT_GONE if failure.cause is Cause.CLIENT_GONE else Payer.CUT
    if reported is not None and (failure is None or _counts_all(relay, reported)):
        return payer, reported, "provider"
    return payer, _estimated(relay, reported), "estimated"


def _counts_all(relay: BufferedRelay, reported: Usage) -> bool:
    """Whether nothing came after the provider had counted: some do so again and again."""
    return reported.output is not None and relay.counted() == relay.produced()


def _estimated(relay: BufferedRelay, reported: Usage | None) -> Usage:
    """What is known of it, and the rest by its size."""
    events, size_bytes = relay.produced()
    known = reported or relay.input_usage or Usage()
    if known.input is None:
        known = known._replace(input=relay.intent.input_estimate)
    if reported is None or reported.output is None:
        return known._replace(output=estimated_output(events, size_bytes), reasoning=None)
    told_events, told_bytes = relay.counted()
    more = estimated_output(events - told_events, size_bytes - told_bytes)
    return known._replace(output=reported.output + more)


def _status(relay: BufferedRelay, failure: Failure | None) -> int:
    if failure is None:
        return relay.status
    if failure.cause is Cause.CLIENT_GONE:
        return _CLIENT_GONE_STATUS
    return 200 if relay.answered else client_status(failure)


def _outcome(relay: BufferedRelay, failure: Failure | None) -> str:
    if failure is None:
        return "finished"
    if failure.cause is Cause.CLIENT_GONE:
        return "client_gone"
    return "broken" if relay.answered else "failed"


def _refused(gateway: Gateway, exchange: Exchange, verdict: Verdict) -> Receipt:
    principal = exchange.principal
    key = None if principal is None else principal.key
    outcome, status = "refused", 500
    if isinstance(verdict, Failure):
        gone = verdict.cause is Cause.CLIENT_GONE
        outcome, status = "client_gone" if gone else "failed", client_status(verdict)
    elif verdict is not None:
        status = refused_status(verdict)
    elif principal is not None:
        outcome, status = "cached", 200
    return Receipt(
        exchange.request_id,
        0,
        "usage",
        0,
        exchange.started_ns,
        gateway.clock.wall_ns(),
        exchange.inbound.endpoint.name,
        False,
        None if key is None else key.tenant_id,
        None if key is None else key.project_id,
        None if key is None else key.account_id,
        None if key is None else key.id,
        *((None,) * 5),
        *exchange.labels,
        *NO_USAGE,
        "none",
        Payer.FAILED.value,
        None,
        None,
        status,
        None,
        outcome,
        None,
        None,
    )
