"""Which quotas concern a request: looked up by the places of whoever asks and of whatever answers,
and remembered until the configuration changes.
"""

from collections.abc import Iterator, Sequence

from tollway.domain.access import Principal
from tollway.domain.hold import Rule
from tollway.domain.ids import ModelId
from tollway.domain.model import ModelRecord
from tollway.domain.quota import QuotaRecord, Scope, nobody_of, scope_place
from tollway.domain.snapshot import EMPTY, Snapshot
from tollway.domain.tenant import TenantRecord
from tollway.domain.window import UTC_ZONE, Zone

Rules = tuple[Rule, ...]
_MAX_KNOWN = 20_000
_Asker = tuple[str, str | None, str | None, str, str | None]


class Limits:
    """One per worker."""

    __slots__ = ("_asked", "_served", "_snapshot")

    def __init__(self) -> None:
        self._snapshot = EMPTY
        self._asked: dict[tuple[ModelId, _Asker], Rules] = {}
        self._served: dict[tuple[ModelId, str, _Asker], Rules] = {}

    def of_request(
        self, snapshot: Snapshot, principal: Principal, model: ModelRecord, *, end_user: str | None
    ) -> Rules:
        """The rules of tenant, project, account, key and end user."""
        if snapshot is not self._snapshot:
            self._begin(snapshot)
        asker = _asker(principal, end_user)
        known = self._asked.get((model.id, asker))
        if known is None:
            known = tuple(_request_rules(snapshot, principal.tenant, asker, model.id))
            if len(self._asked) >= _MAX_KNOWN:
                self._asked.clear()
            self._asked[model.id, asker] = known
        return known

    def of_attempt(
        self,
        snapshot: Snapshot,
        principal: Principal,
        model: ModelRecord,
        *,
        provider_id: str,
        end_user: str | None,
    ) -> Rules:
        """The rules of the platform, the provider and the model behind a name."""
        if snapshot is not self._snapshot:
            self._begin(snapshot)
        asker = _asker(principal, end_user)
        known = self._served.get((model.id, provider_id, asker))
        if known is None:
            known = tuple(_attempt_rules(snapshot, asker, model.id, provider_id))
            if len(self._served) >= _MAX_KNOWN:
                self._served.clear()
            self._served[model.id, provider_id, asker] = known
        return known

    def _begin(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._asked.clear()
        self._served.clear()


def zone_of(tenant: TenantRecord) -> Zone:
    """The time zone of a tenant's windows."""
    return Zone(tenant.timezone, tenant.timezone_before, tenant.timezone_since_s)


def _asker(principal: Principal, end_user: str | None) -> _Asker:
    key = principal.key
    return key.tenant_id, key.project_id, key.account_id, key.id, end_user


def _request_rules(
    snapshot: Snapshot, tenant: TenantRecord, asker: _Asker, model_id: ModelId
) -> Iterator[Rule]:
    tenant_id, project_id, account_id, key_id, end_user = asker
    places = [scope_place(Scope.TENANT, tenant_id, None)]
    if project_id is not None:
        places.append(scope_place(Scope.PROJECT, tenant_id, project_id))
    if account_id is not None:
        places.append(scope_place(Scope.ACCOUNT, tenant_id, account_id))
    places.append(scope_place(Scope.KEY, tenant_id, key_id))
    if end_user is not None:
        places.append(scope_place(Scope.END_USER, tenant_id, end_user))
    zone = zone_of(tenant)
    for quota in _quotas(snapshot, places):
        if quota.tenant_id == tenant_id and quota.model_id in (None, model_id):
            yield Rule(quota, _member(quota, asker), zone)


def _attempt_rules(
    snapshot: Snapshot, asker: _Asker, model_id: ModelId, provider_id: str
) -> Iterator[Rule]:
    places = [
        scope_place(Scope.PLATFORM, None, None),
        scope_place(Scope.PROVIDER, None, provider_id),
        scope_place(Scope.MODEL, None, model_id),
    ]
    for quota in _quotas(snapshot, places):
        if quota.tenant_id is None and quota.model_id in (None, model_id):
            yield Rule(quota, _member(quota, asker), UTC_ZONE)


def _quotas(snapshot: Snapshot, places: Sequence[str]) -> Iterator[QuotaRecord]:
    for place in places:
        found = snapshot.quotas.get(place)
        if found is not None:
            yield from found.quotas


def _member(quota: QuotaRecord, asker: _Asker) -> str | None:
    """Whose counter of the rule it is."""
    if quota.per is None:
        return None
    tenant_id, project_id, account_id, key_id, end_user = asker
    ids: dict[Scope, str | None] = {
        Scope.TENANT: tenant_id,
        Scope.PROJECT: project_id,
        Scope.ACCOUNT: account_id,
        Scope.KEY: key_id,
        Scope.END_USER: end_user,
    }
    id_ = ids[quota.per]
    if id_ is None:
        return nobody_of(tenant_id)
    return scope_place(quota.per, tenant_id, id_)
