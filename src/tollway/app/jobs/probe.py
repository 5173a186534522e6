"""Asks ejected targets whether they are back, so that no client's request has to find out: for
something that is free, of the provider they are models of. It is neither billed nor counted.

Bounded: one at a time for each provider, towards the end of an ejection (`domain/health.py` says
when), some seconds long; a few at a time for one tenant's own. What finds no room is left to
requests, as is what has nothing free.
"""

import asyncio
import logging
from collections.abc import Collection

from tollway.app.free_call import ENOUGH, FreeAnswer, free_call
from tollway.app.gateway.runtime import Gateway
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.health import FIRST_S, Health, blames_target
from tollway.domain.ids import ProviderId
from tollway.domain.provider import CredentialRecord, ProviderRecord

_log = logging.getLogger(__name__)
_LOOK_S = 0.5  # less than the time between a probe and the end of the ejection
_TIMEOUT_S = 5.0
_MOST = 16  # at the platform's providers, and at all tenants' own
_MOST_OF_A_TENANT = 4
_LATE = Failure(Phase.HEADERS, Cause.TIMEOUT, "The provider did not answer in time.")
# There is no such path: that says neither that it is well nor that it is not.
_NO_SUCH = frozenset({404, 405, 501})


class Probing:
    """One worker's."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._running: dict[ProviderId, tuple[ProviderRecord, asyncio.Task[None]]] = {}

    def __len__(self) -> int:
        return len(self._running)

    async def run(self) -> None:
        """Forever; when cancelled it ends what is under way."""
        try:
            while True:
                await asyncio.sleep(_LOOK_S)
                if self._gateway.health:
                    self.begin_due()
        finally:
            for _, task in list(self._running.values()):
                task.cancel()

    def begin_due(self) -> None:
        """Ask each provider one of whose targets is to be asked now."""
        now_s = self._gateway.clock.monotonic()
        providers = self._gateway.source.current.providers
        due: dict[ProviderId, dict[str, Health]] = {}
        for (provider_id, model), health in self._gateway.health.items():
            if health.probe_is_due(now_s):
                due.setdefault(provider_id, {})[model] = health
        for provider_id, targets in due.items():
            provider = providers.get(provider_id)
            if provider is None or not provider.enabled or not self._has_room(provider):
                continue
            for health in targets.values():
                health.probe_begins(now_s)
            task = asyncio.create_task(self._probe(provider, targets))
            self._running[provider_id] = provider, task

    def _has_room(self, provider: ProviderRecord) -> bool:
        owners = [running.tenant_id for running, _ in self._running.values()]
        if provider.id in self._running:
            return False
        if provider.tenant_id is None:
            return owners.count(None) < _MOST
        others = len(owners) - owners.count(None)
        return others < _MOST and owners.count(provider.tenant_id) < _MOST_OF_A_TENANT

    async def _probe(self, provider: ProviderRecord, targets: dict[str, Health]) -> None:
        try:
            credential = self._credential(provider, next(iter(targets)))
            well = await self._ask(provider, credential)
        finally:
            del self._running[provider.id]
        self._heed(provider, well, begun=targets.values())
        _log.info(
            "a provider with an ejected target was probed",
            extra={"provider": provider.name, "answers": "unknown" if well is None else well},
        )

    async def _ask(
        self, provider: ProviderRecord, credential: CredentialRecord | None
    ) -> bool | None:
        """Whether it answers; None: it has nothing that could be asked for."""
        call = free_call(provider, credential)
        if call is None:
            return None
        answer = FreeAnswer()
        timer = asyncio.get_running_loop().call_later(_TIMEOUT_S, answer.stop, _LATE)
        try:
            failure = await self._gateway.upstreams[provider.kind].call(call, answer)
        finally:
            timer.cancel()
        if failure is not None and failure is not ENOUGH:
            return False if blames_target(failure) else None
        status = answer.status or 0
        if 300 <= status < 400 or status in _NO_SUCH:
            return None
        return status < 500

    def _heed(
        self, provider: ProviderRecord, well: bool | None, *, begun: Collection[Health]
    ) -> None:
        gateway = self._gateway
        now_s = gateway.clock.monotonic()
        for health in begun:
            health.probe_ended(now_s, well=well, draw=gateway.draw())
        if well is not False:
            return  # others may fail all the same: each has a probe of its own, and a trial
        for (provider_id, _), health in gateway.health.items():
            if provider_id == provider.id and health.probe_is_due(now_s + FIRST_S):
                health.probe_ended(now_s, well=False, draw=gateway.draw())

    def _credential(self, provider: ProviderRecord, model: str) -> CredentialRecord | None:
        """One that is not resting, if there is one."""
        found = provider.credentials
        if len(found) > 1:
            accounts = self._gateway.accounts
            found = tuple(one for one in found if accounts.get(provider, one, model).is_well)
            found = found or provider.credentials
        return found[0] if found else None
