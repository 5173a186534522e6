"""One request's way: each phase once, in this order, inside one try/finally. Nothing else changes
the order. The task that runs `serve` owns the settlement, and nobody cancels it.
"""

from tollway.app.gateway.admit import WRONG_KEY, admit, arrived, issuer_answered, model_arrived
from tollway.app.gateway.attempt import attempt
from tollway.app.gateway.claim import claim
from tollway.app.gateway.exchange import Exchange, Inbound, Verdict
from tollway.app.gateway.fallback import fall_back
from tollway.app.gateway.issued import KEYS_AWAITED
from tollway.app.gateway.parse import parse
from tollway.app.gateway.plan import plan
from tollway.app.gateway.recall import recall
from tollway.app.gateway.reserve import reserve, reserve_later
from tollway.app.gateway.runtime import Gateway
from tollway.app.gateway.screen import screen
from tollway.app.gateway.settle import settle
from tollway.app.ports import Client
from tollway.domain.failure import Failure
from tollway.domain.hold import Undecided
from tollway.domain.refusal import ModelNotFound, Refusal


async def serve(gateway: Gateway, inbound: Inbound, client: Client) -> tuple[str, Verdict]:
    """Serve one inference request; returns its id and, when the client still awaits an answer,
    the refusal or failure to render for it.

    A phase returns None to go on, or the refusal that ends the request.
    """
    started_ns = gateway.clock.wall_ns()
    exchange = Exchange(
        inbound,
        client,
        snapshot=gateway.source.current,
        request_id=gateway.request_ids.make(started_ns),
        started_ns=started_ns,
    )
    verdict: Verdict = None
    try:
        verdict = parse(exchange) or admit(gateway, exchange)
        if verdict is WRONG_KEY or verdict is KEYS_AWAITED or isinstance(verdict, ModelNotFound):
            verdict = await _admit_newcomer(gateway, exchange, verdict)
        verdict = verdict or screen(gateway, exchange) or claim(gateway, exchange)
        if verdict is None and not (exchange.replayed or recall(gateway, exchange)):
            while True:
                planned = plan(gateway, exchange) or reserve(gateway, exchange)
                if isinstance(planned, Undecided):
                    verdict = await reserve_later(gateway, exchange)
                else:
                    verdict = planned
                if verdict is None:
                    verdict = await attempt(gateway, exchange)
                if verdict is None or not fall_back(gateway, exchange, verdict):
                    break
            if not (verdict is None or exchange.earlier is None or isinstance(verdict, Failure)):
                verdict = exchange.earlier  # no other model was asked, so this stands
    finally:
        settle(gateway, exchange, verdict)
    return exchange.request_id, verdict


async def _admit_newcomer(gateway: Gateway, exchange: Exchange, verdict: Refusal) -> Verdict:
    """Once more for what was not known: a key or a model, if a newer configuration came meanwhile;
    a token, when the keys of its issuer came."""
    headers, snapshot = exchange.inbound.headers, exchange.snapshot
    if isinstance(verdict, ModelNotFound):
        assert exchange.principal is not None, "whose model it is was decided before"
        found = await model_arrived(gateway, exchange.principal, verdict.model, snapshot=snapshot)
    elif verdict is KEYS_AWAITED:
        await issuer_answered(gateway, headers, exchange.facts)
        found = True
    else:
        found = await arrived(gateway, headers, facts=exchange.facts, snapshot=snapshot)
    if not found:
        return verdict
    exchange.snapshot = gateway.source.current
    return admit(gateway, exchange)
