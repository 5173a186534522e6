"""Which quotas concern a request: looked up by the places of whoever asks and of whatever answers,
and remembered until the configuration changes.
"""

from collections.abc import Iterator, Sequence

from tollway.domain.access import Principal
from tollway.domain.hold import NO_RULES, Rule, RuleSet
from tollway.domain.ids import ModelId
from tollway.domain.model import ModelRecord
from tollway.domain.quota import QuotaRecord, Scope, nobody_of, scope_place
from tollway.domain.snapshot import EMPTY, Snapshot
from tollway.domain.tenant import TenantRecord
from tollway.domain.window import UTC_ZONE, Zone

_MAX_KNOWN = 20_000
_Asker = tuple[str, str | None, str | None, str, str | None]


class Limits:
    """One per worker."""

    __slots__ = ("_asked", "_served", "_served_each", "_snapshot")

    def __init__(self) -> None:
        self._snapshot = EMPTY
        self._asked: dict[tuple[str, str, str | None, str | None, str, str | None], RuleSet] = {}
        self._served: dict[tuple[str, str], tuple[QuotaRecord, ...]] = {}
        self._served_each: dict[tuple[str, str, _Asker], RuleSet] = {}

    def of_request(
        self, snapshot: Snapshot, principal: Principal, model: ModelRecord, *, end_user: str | None
    ) -> RuleSet:
        """The rules of tenant, project, account, key and end user."""
        if snapshot is not self._snapshot:
            self._begin(snapshot)
        key = principal.key
        place = (model.id, key.tenant_id, key.project_id, key.account_id, key.id, end_user)
        known = self._asked.get(place)
        if known is None:
            known = RuleSet(_request_rules(snapshot, principal.tenant, place[1:], model.id))
            if len(self._asked) >= _MAX_KNOWN:
                self._asked.clear()
            self._asked[place] = known
        return known

    def of_attempt(
        self,
        snapshot: Snapshot,
        principal: Principal,
        model: ModelRecord,
        *,
        provider_id: str,
        end_user: str | None,
    ) -> RuleSet:
        """The rules of the platform, the provider and the model behind a name."""
        if snapshot is not self._snapshot:
            self._begin(snapshot)
        place = (model.id, provider_id)
        quotas = self._served.get(place)
        if quotas is None:
            quotas = self._served[place] = tuple(_attempt_quotas(snapshot, model.id, provider_id))
        if not quotas:
            return NO_RULES
        key = principal.key
        asker = (key.tenant_id, key.project_id, key.account_id, key.id, end_user)
        known = self._served_each.get((*place, asker))
        if known is None:
            known = RuleSet(Rule(quota, _member(quota, asker), UTC_ZONE) for quota in quotas)
            if len(self._served_each) >= _MAX_KNOWN:
                self._served_each.clear()
            self._served_each[*place, asker] = known
        return known

    @staticmethod
    def of_caller(snapshot: Snapshot, principal: Principal) -> tuple[Rule, ...]:
        """The rules of tenant, project, account and key, whatever the model."""
        key = principal.key
        asker = (key.tenant_id, key.project_id, key.account_id, key.id, principal.subject)
        return tuple(_request_rules(snapshot, principal.tenant, asker, None))

    def _begin(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._asked.clear()
        self._served.clear()
        self._served_each.clear()


def zone_of(tenant: TenantRecord) -> Zone:
    """The time zone of a tenant's windows."""
    return Zone(tenant.timezone, tenant.timezone_before, tenant.timezone_since_s)


def _request_rules(
    snapshot: Snapshot, tenant: TenantRecord, asker: _Asker, model_id: ModelId | None
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
        narrowed = model_id is not None and quota.model_id not in (None, model_id)
        if quota.tenant_id == tenant_id and not narrowed:
            yield Rule(quota, _member(quota, asker), zone)


def _attempt_quotas(
    snapshot: Snapshot, model_id: ModelId, provider_id: str
) -> Iterator[QuotaRecord]:
    places = [
        scope_place(Scope.PLATFORM, None, None),
        scope_place(Scope.PROVIDER, None, provider_id),
        scope_place(Scope.MODEL, None, model_id),
    ]
    for quota in _quotas(snapshot, places):
        if quota.tenant_id is None and quota.model_id in (None, model_id):
            yield quota


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
