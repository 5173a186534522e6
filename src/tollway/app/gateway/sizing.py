"""How much a request may use of each metric before it runs: what its quotas hold.

Strict rules hold the most it can use, so its output is capped and its input must be text, whose
bytes bound its tokens. Bounded rules hold what such requests use as a rule, and hold more while an
answer runs (`extending.py`).
"""

from collections.abc import Callable, Sequence

from tollway.app.gateway.exchange import Exchange
from tollway.app.gateway.runtime import Gateway
from tollway.domain.estimate import estimated_input
from tollway.domain.hold import Hold, RuleSet
from tollway.domain.model import Target
from tollway.domain.output_history import UNKNOWN_TOKENS
from tollway.domain.pricing import Price, most_nusd, text_nusd
from tollway.domain.provider import ProviderRecord
from tollway.domain.quota import Sizes
from tollway.domain.refusal import BadRequest

# What a request writes at most under a strict rule, if neither it nor its model says how much.
STRICT_OUTPUT_TOKENS = 4096
# Of each request, beside what its bytes bound: templates begin and end a text with tokens.
_FRAME_TOKENS = 16
_UNBOUNDED = BadRequest(
    "A strict limit applies, and it needs to know how large a request can become: images, audio, "
    "files, searches and kept responses cannot be sent. Ask your administrator for a bounded "
    "limit.",
    "unbounded_input",
)

_Costed = tuple[Callable[[Price, int, int], int | None], int, int]
Targets = Sequence[tuple[Target, ProviderRecord]]


def size_hold(
    gateway: Gateway, exchange: Exchange, rules: RuleSet, *, targets: Targets
) -> Hold | BadRequest:
    """The hold these rules need, at the dearest of the targets; or why it cannot be known."""
    ask, model = exchange.ask, exchange.model
    most = _most_output(ask.output_limit, model.max_output_tokens)
    ceiling: Sizes | None = None
    if rules.ceiling:
        if most is None:
            most = exchange.output_clamp = STRICT_OUTPUT_TOKENS
        strict = _strict_sizes(gateway, exchange, rules, targets, most)
        if isinstance(strict, BadRequest):
            return strict
        ceiling = strict
    read = expected_input(gateway, exchange)
    written = _expected_output(gateway, exchange, most)
    cost = 0
    if rules.money:
        dearest = _dearest(gateway, exchange, targets, (text_nusd, read, written))
        if isinstance(dearest, BadRequest):
            return dearest
        cost = dearest
    bounded = Sizes(1, read + written, read, written, cost, 1)
    at_s = exchange.started_ns // 1_000_000_000
    return Hold(rules, at_s, bounded=bounded, strict=ceiling or bounded)


def expected_nusd(
    gateway: Gateway, exchange: Exchange, served: tuple[Target, ProviderRecord]
) -> int | None:
    """What the request will cost at a target, as such requests do; None: it has no price there."""
    target, provider = served
    if gateway.prices is None or exchange.principal is None:
        return None
    tenant_id, at_s = exchange.principal.tenant_id, exchange.started_ns // 1_000_000_000
    price = gateway.prices.find(provider.id, tenant_id, target.model, at_s=at_s)
    if price is None:
        return None
    ask = exchange.ask
    written = _expected_output(gateway, exchange, ask.output_limit)
    return text_nusd(price, expected_input(gateway, exchange), written)


def _expected_output(gateway: Gateway, exchange: Exchange, most: int | None) -> int:
    """The tokens that answers to such a request have as a rule, all choices together; each of them
    `most` at most."""
    if not exchange.inbound.endpoint.writes:
        return 0
    history = gateway.outputs.get(exchange.model.id)
    written = UNKNOWN_TOKENS if history is None else history.expected
    if most is not None and most < written:
        written = most
    return written * exchange.ask.choices


def expected_input(gateway: Gateway, exchange: Exchange) -> int:
    """The tokens that the request will be read as: those of its bytes, and as many as such requests
    have had of the kept responses that they went on from."""
    read = estimated_input(exchange.ask.input_bytes)
    if exchange.kept is None or not exchange.inbound.endpoint.writes:
        return read
    history = gateway.contexts.get(exchange.model.id)
    return read + (UNKNOWN_TOKENS if history is None else history.expected)


def output_ceiling(exchange: Exchange) -> int | None:
    """The most tokens that one choice of the answer may have; None: nobody has said."""
    if exchange.output_clamp is not None:
        return _most_output(exchange.ask.output_limit, exchange.output_clamp)
    return _most_output(exchange.ask.output_limit, exchange.model.max_output_tokens)


def _strict_sizes(
    gateway: Gateway, exchange: Exchange, rules: RuleSet, targets: Targets, most: int
) -> Sizes | BadRequest:
    ask, endpoint = exchange.ask, exchange.inbound.endpoint
    if not endpoint.is_bounded(ask):
        return _UNBOUNDED
    read = ask.input_bytes + _FRAME_TOKENS
    written = most * ask.choices if endpoint.writes else 0
    cost = 0
    if rules.money:
        dearest = _dearest(gateway, exchange, targets, (most_nusd, read, written))
        if isinstance(dearest, BadRequest):
            return dearest
        cost = dearest
    return Sizes(1, read + written, read, written, cost, 1)


def _most_output(asked: int | None, model: int | None) -> int | None:
    if asked is None or model is None:
        return asked if model is None else model
    return min(asked, model)


def _dearest(
    gateway: Gateway, exchange: Exchange, targets: Targets, costed: _Costed
) -> int | BadRequest:
    """The cost at whichever target costs most. Unknown is not free: under a limit on money what has
    no price is not served."""
    cost_at, read, written = costed
    principal, prices = exchange.principal, gateway.prices
    assert principal is not None
    at_s, dearest = exchange.started_ns // 1_000_000_000, 0
    for target, provider in targets:
        price = cost = None
        if prices is not None:
            price = prices.find(provider.id, principal.tenant_id, target.model, at_s=at_s)
        if price is not None:
            cost = cost_at(price, read, written)
        if cost is None:
            return BadRequest(
                f"The model '{exchange.model.name}' has no price, and a limit on cost applies. "
                "Ask your administrator to set one.",
                "model_not_priced",
                "model",
            )
        dearest = max(dearest, cost)
    return dearest
