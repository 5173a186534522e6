"""A hold grows with the answer it is for. Bounded rules hold more whenever what was written exceeds
what was expected; a strict rule held the most there can be, so more is asked of it only when a
provider ignores its cap, and the answer is cut when nothing is left.
"""

from tollway.app.gateway.exchange import Exchange
from tollway.app.gateway.runtime import Gateway
from tollway.domain.allowance import limit_text
from tollway.domain.estimate import DEFAULT_BYTES_PER_TOKEN, estimated_output
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.hold import Bound, Hold
from tollway.domain.pricing import Price, cost_nusd, most_nusd
from tollway.domain.quota import Sizes
from tollway.domain.usage import Usage

_STEP_TOKENS = 256
_NO_END = 1 << 62


class HeldOutput:
    """What the holds of one attempt cover of its output."""

    __slots__ = ("_gateway", "_holds", "_price", "bytes", "events", "expected", "most")

    def __init__(self, gateway: Gateway, holds: tuple[Hold, ...], price: Price | None) -> None:
        self._gateway = gateway
        self._holds = holds
        self._price = price
        self.expected = min(hold.bounded.output_tokens for hold in holds)
        strict = [hold.strict.output_tokens for hold in holds if _is_strict(hold)]
        self.most = min(strict, default=_NO_END)
        self._mark()

    def grow(self, events: int, content_bytes: int) -> Failure | None:
        """Hold what has been written and a step more; or why the answer must end here."""
        written = estimated_output(events, content_bytes)
        if events > self.most:
            # Each event is a token at least: the provider went over its cap, whatever it counts.
            bound = self._extend_strict(max(_STEP_TOKENS, events - self.most))
            if bound is not None:
                text = limit_text(bound.rule, bound.limit)
                return Failure(Phase.BODY, Cause.QUOTA, f"The limit of {text} is reached.")
        if written > self.expected:
            self._extend_bounded(max(_STEP_TOKENS, self.expected, written - self.expected))
        self._mark()
        return None

    def _mark(self) -> None:
        self.events = min(self.expected, self.most)
        self.bytes = int(self.expected * DEFAULT_BYTES_PER_TOKEN)

    def _extend_bounded(self, tokens: int) -> None:
        cost = 0
        if self._price is not None:
            cost = cost_nusd(self._price, Usage(output=tokens)) or 0
        for hold in self._holds:
            self._gateway.quotas.extend(hold, bounded=Sizes(0, tokens, 0, tokens, cost))
        self.expected += tokens

    def _extend_strict(self, tokens: int) -> Bound | None:
        cost = 0 if self._price is None else most_nusd(self._price, 0, tokens) or 0
        more = Sizes(0, tokens, 0, tokens, cost)
        for hold in self._holds:
            bound = self._gateway.quotas.extend(hold, strict=more)
            if bound is not None:
                return bound
        self.most += tokens
        return None


def held_output(
    gateway: Gateway, exchange: Exchange, hold: Hold | None, *, provider_id: str, target: str
) -> HeldOutput | None:
    """For an attempt with this hold of its own; None where nothing is held."""
    holds = tuple(one for one in (exchange.hold, hold) if one is not None)
    if not holds:
        return None
    price = None
    if gateway.prices is not None and any(one.rules.money for one in holds):
        assert exchange.principal is not None
        at_s = exchange.started_ns // 1_000_000_000
        price = gateway.prices.find(provider_id, exchange.principal.tenant_id, target, at_s=at_s)
    return HeldOutput(gateway, holds, price)


def _is_strict(hold: Hold) -> bool:
    return any(rule.strict for rule in hold.rules.rules)
