"""Which targets answer, as this worker has seen it: told by attempts, asked by the plan. Only those
that have failed lately are known at all.
"""

import logging
from collections.abc import Sequence

from tollway.app.gateway.runtime import Gateway
from tollway.app.ports_alerts import Ejected
from tollway.domain.failure import Failure
from tollway.domain.health import Health, blames_target
from tollway.domain.ids import ProviderId
from tollway.domain.model import Target
from tollway.domain.provider import ProviderRecord

_log = logging.getLogger(__name__)
_NS = 1_000_000_000
_MOST_KNOWN = 10_000
Served = tuple[Target, ProviderRecord]


def note_health(
    gateway: Gateway, served: Served, failure: Failure | None, *, started_ns: int
) -> None:
    """What became of an attempt of a request that was admitted then."""
    target, provider = served
    place = provider.id, target.model
    health = gateway.health.get(place)
    if failure is None:
        if health is not None and health.answered(gateway.clock.monotonic()):
            del gateway.health[place]
            if health.ejected_until_s is not None:
                _log.info("a target answers again", extra=_names(provider, target))
        return
    if not blames_target(failure):
        return
    if health is None:
        if len(gateway.health) >= _MOST_KNOWN:
            gateway.health.clear()
        health = gateway.health[place] = Health()
    now_s = gateway.clock.monotonic()
    began_s = now_s - (gateway.clock.wall_ns() - started_ns) / _NS
    if health.failed(now_s, failure.cause.value, began_s=began_s, draw=gateway.draw()):
        _log.warning(
            "a target does not answer: it is asked last for a while",
            extra={**_names(provider, target), "cause": failure.cause.value},
        )


def note_beginning(gateway: Gateway, provider_id: ProviderId, model: str) -> None:
    """A stream has its first event. Others need not wait for its end."""
    health = gateway.health.get((provider_id, model))
    if health is not None:
        health.began(gateway.clock.monotonic())


def is_ailing(gateway: Gateway, target: Target) -> bool:
    """Whether the target failed lately, and has not answered since."""
    health = gateway.health.get((target.provider_id, target.model))
    return health is not None and health.is_ailing(gateway.clock.monotonic())


def healthy_first(
    gateway: Gateway, targets: Sequence[Served], *, looking: bool
) -> tuple[list[Served], bool]:
    """The same targets, those that were ejected last; and whether one of them is not. One whose
    ejection is over has its place again for one request, which must be the one that asks it
    first."""
    lead: list[Served] = []
    last: list[Served] = []
    now_s = gateway.clock.monotonic()
    for served in targets:
        target, provider = served
        health = gateway.health.get((provider.id, target.model))
        if health is None:
            well = True
        elif lead:
            well = health.ejected_until_s is None
        else:
            well = health.may_be_first(now_s, looking=looking)
        if health is not None and not looking:
            health.wanted(now_s)
        (lead if well else last).append(served)
    return lead + last, bool(lead)


def back_s(gateway: Gateway, targets: Sequence[Served]) -> float | None:
    """In how many seconds the first of them may be back; None: one is there, or may be."""
    now_s, soonest_s = gateway.clock.monotonic(), None
    for target, provider in targets:
        health = gateway.health.get((provider.id, target.model))
        found_s = None if health is None else health.back_s(now_s)
        if found_s is None:
            return None
        soonest_s = found_s if soonest_s is None else min(soonest_s, found_s)
    return soonest_s


def ejected(gateway: Gateway) -> list[Ejected]:
    """The targets that are asked last at the moment."""
    providers, found = gateway.source.current.providers, []
    for (provider_id, model), health in gateway.health.items():
        provider = providers.get(provider_id)
        if provider is not None and health.ejected_until_s is not None:
            found.append(
                Ejected(provider_id, provider.name, provider.tenant_id, model, health.cause)
            )
    return found


def _names(provider: ProviderRecord, target: Target) -> dict[str, str]:
    return {"provider": provider.name, "model": target.model}
