"""Which targets answer, as this worker has seen it: told by attempts, asked by the plan. Only those
that have failed lately are known at all.
"""

import logging
from collections.abc import Sequence

from tollway.app.gateway.runtime import Gateway
from tollway.app.ports_alerts import Ejected
from tollway.domain.failure import Failure
from tollway.domain.health import Health, blames_target
from tollway.domain.model import Target
from tollway.domain.provider import ProviderRecord

_log = logging.getLogger(__name__)
_MOST_KNOWN = 10_000
Served = tuple[Target, ProviderRecord]


def note_health(gateway: Gateway, served: Served, failure: Failure | None) -> None:
    """What became of an attempt."""
    target, provider = served
    place = provider.id, target.model
    health = gateway.health.get(place)
    if failure is None:
        if health is not None:
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
    if health.failed(gateway.clock.monotonic(), failure.cause.value):
        _log.warning(
            "a target does not answer: it is asked last for a while",
            extra={**_names(provider, target), "cause": failure.cause.value},
        )


def healthy_first(gateway: Gateway, targets: Sequence[Served], *, looking: bool) -> list[Served]:
    """The same targets, those that were ejected last. One whose ejection is over has its place
    again for one request, which must be the one that asks it first."""
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
        (lead if well else last).append(served)
    return lead + last


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
