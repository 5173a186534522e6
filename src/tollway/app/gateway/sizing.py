"""How much a request may use of each metric before it runs: what its quotas hold.

Strict rules hold the most it can use, so its output is capped and its input must be text, whose
bytes bound its tokens. Bounded rules hold what such requests use as a rule, and hold more while an
answer runs (`extending.py`).
"""

from collections.abc import Sequence

from tollway.app.gateway.exchange import Exchange
from tollway.app.gateway.runtime import Gateway
from tollway.domain.estimate import estimated_input
from tollway.domain.hold import Hold, Rule, counts_money, needs_ceiling
from tollway.domain.model import Target
from tollway.domain.output_history import UNKNOWN_TOKENS
from tollway.domain.pricing import Price, cost_nusd, most_nusd
from tollway.domain.provider import ProviderRecord
from tollway.domain.quota import Sizes
from tollway.domain.refusal import BadRequest
from tollway.domain.usage import Usage

# What a request writes at most under a strict rule, if neither it nor its model says how much.
STRICT_OUTPUT_TOKENS = 4096
# Of each request, beside what its bytes bound: templates begin and end a text with tokens.
_FRAME_TOKENS = 16
_UNBOUNDED = BadRequest(
    "A strict limit applies, and it needs to know how large a request can become: images, audio, "
    "files and searches cannot be sent. Ask your administrator for a bounded limit.",
    "unbounded_input",
)

Targets = Sequence[tuple[Target, ProviderRecord]]


def size_hold(
    gateway: Gateway, exchange: Exchange, rules: tuple[Rule, ...], *, targets: Targets
) -> Hold | BadRequest:
    """The hold these rules need, at the dearest of the targets; or why it cannot be known."""
    ask, model, endpoint = exchange.ask, exchange.model, exchange.inbound.endpoint
    strict = needs_ceiling(rules)
    if strict and not endpoint.is_bounded(ask):
        return _UNBOUNDED
    read, written = estimated_input(ask.input_bytes), 0
    most_read, most_written = ask.input_bytes + _FRAME_TOKENS, 0
    if endpoint.writes:
        most = _most_output(ask.output_limit, model.max_output_tokens)
        if most is None and strict:
            most = exchange.output_clamp = STRICT_OUTPUT_TOKENS
        history = gateway.outputs.get(model.id)
        written = UNKNOWN_TOKENS if history is None else history.expected
        if most is not None:
            written = min(written, most)
            most_written = most * ask.choices
        written *= ask.choices
    cost = most_cost = 0
    if counts_money(rules):
        prices = _prices(gateway, exchange, targets)
        if isinstance(prices, BadRequest):
            return prices
        usage = Usage(input=read, output=written)
        cost = max(cost_nusd(price, usage) or 0 for price in prices)
        most_cost = max(most_nusd(price, most_read, most_written) or 0 for price in prices)
    return Hold(
        rules,
        exchange.started_ns // 1_000_000_000,
        bounded=Sizes(1, read + written, read, written, cost, 1),
        strict=Sizes(1, most_read + most_written, most_read, most_written, most_cost, 1),
    )


def _most_output(asked: int | None, model: int | None) -> int | None:
    if asked is None or model is None:
        return asked if model is None else model
    return min(asked, model)


def _prices(gateway: Gateway, exchange: Exchange, targets: Targets) -> list[Price] | BadRequest:
    """What each target costs. Unknown is not free: under a limit on money it is not served."""
    principal, found = exchange.principal, []
    assert principal is not None
    at_s = exchange.started_ns // 1_000_000_000
    for target, provider in targets:
        price = None
        if gateway.prices is not None:
            price = gateway.prices.find(provider.id, principal.tenant_id, target.model, at_s=at_s)
        if price is None or most_nusd(price, 1, int(exchange.inbound.endpoint.writes)) is None:
            return BadRequest(
                f"The model '{exchange.model.name}' has no price, and a limit on cost applies. "
                "Ask your administrator to set one.",
                "model_not_priced",
                "model",
            )
        found.append(price)
    return found
