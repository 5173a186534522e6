"""Another model in place of one that cannot answer: when its targets are all out of reach, when it
or what is behind it has used up its limit, or when the request is too long for it. In the order its
configuration names them, and only those that the caller may use by name.
"""

from tollway.app.gateway.exchange import Exchange, Verdict
from tollway.app.gateway.runtime import Gateway
from tollway.app.gateway.scouting import end_scouting
from tollway.domain.access import granted_model
from tollway.domain.failure import Failure, may_fall_back
from tollway.domain.model import ModelRecord
from tollway.domain.refusal import QuotaExceeded, Unavailable


def find_fallbacks(exchange: Exchange) -> tuple[ModelRecord, ...]:
    """The models that may answer in the first one's place; theirs are not asked in turn."""
    principal = exchange.principal
    assert principal is not None
    found = (granted_model(exchange.snapshot, principal, name) for name in exchange.model.fallbacks)
    return tuple(model for model in found if isinstance(model, ModelRecord))


def helps(verdict: Verdict) -> bool:
    """Whether another model may do better."""
    if isinstance(verdict, Failure):
        return may_fall_back(verdict)
    return isinstance(verdict, QuotaExceeded | Unavailable)


def fall_back(gateway: Gateway, exchange: Exchange, verdict: Verdict) -> bool:
    """Make the next fallback the request's model, with nothing held and nothing planned. False:
    there is none, or it would not help."""
    if not exchange.fallbacks or not helps(verdict):
        return False
    if isinstance(verdict, Failure) and not exchange.retrying:
        return False
    if exchange.hold is not None:
        gateway.quotas.void(exchange.hold)
        exchange.hold = None
    end_scouting(gateway, exchange)
    exchange.output_clamp = None
    exchange.dropped = ()
    exchange.snapshot = gateway.source.current
    if exchange.earlier is None or isinstance(verdict, Failure):
        exchange.earlier = verdict
    exchange.model, *rest = exchange.fallbacks
    exchange.fallbacks = tuple(rest)
    return True
