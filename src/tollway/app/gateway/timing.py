"""How long targets take, where a model's strategy asks for it. Of a stream that is the time to its
first byte, of a whole answer the time to its end: the two are kept apart.
"""

from tollway.app.gateway.exchange import Exchange
from tollway.app.gateway.relay import BufferedRelay
from tollway.app.gateway.runtime import Gateway
from tollway.domain.failure import Cause, Failure
from tollway.domain.ids import ProviderId
from tollway.domain.latency import PeakEwma, two_choices

_NS = 1_000_000_000
_MOST_KNOWN = 10_000


def latency_of(gateway: Gateway, provider_id: ProviderId, model: str, *, stream: bool) -> PeakEwma:
    """What is known of the target for requests of this kind."""
    place = provider_id, model, stream
    known = gateway.latencies.get(place)
    if known is None:
        if len(gateway.latencies) >= _MOST_KNOWN:
            gateway.latencies.clear()
        known = gateway.latencies[place] = PeakEwma()
    return known


def by_latency(gateway: Gateway, exchange: Exchange, turn: int) -> list[int]:
    """The places of the planned targets in the order to be tried."""
    now_s, stream = gateway.clock.wall_ns() / _NS, exchange.ask.stream
    loads = [
        latency_of(gateway, provider.id, target.model, stream=stream).load(now_s)
        for target, provider in exchange.targets
    ]
    return two_choices(loads, turn)


class Timing:
    """Of one attempt, from its beginning. `end` it once, whatever happens."""

    __slots__ = ("_began_ns", "_clock", "_latency", "_relay")

    def __init__(self, gateway: Gateway, relay: BufferedRelay) -> None:
        self._clock = gateway.clock
        self._relay = relay
        self._latency = latency_of(
            gateway, relay.call.provider.id, relay.intent.target_model, stream=relay.streams
        )
        self._latency.started()
        self._began_ns = self._clock.wall_ns()

    def end(self, failure: Failure | None) -> None:
        """The call is over. What a client left before it began says nothing."""
        now_ns, first_ns = self._clock.wall_ns(), self._relay.first_byte_ns
        if not self._relay.streams:
            first_ns = None
        took_s: float | None = ((first_ns or now_ns) - self._began_ns) / _NS
        failed = failure is not None and first_ns is None
        if failed and failure is not None and failure.cause is Cause.CLIENT_GONE:
            took_s = None
        self._latency.ended(took_s, now_ns / _NS, failed=failed)
