"""Limits. They are published by place: what a place has left after one is gone must be told too."""

from typing import Any

from sqlalchemy import ColumnElement, Row, and_, or_, select

from tollway.adapters.sql.repositories.owners import living, of_owners
from tollway.adapters.sql.repositories.unit import Unit, paged
from tollway.adapters.sql.rows import QUOTA_COLUMNS, quota_record
from tollway.adapters.sql.tables import api_keys, gateways, quotas
from tollway.app.ports_directory import EVERY, Page, QuotaFilter, QuotaReach
from tollway.app.views import QuotaView
from tollway.domain.gateways import LIVE_S, GatewayRecord
from tollway.domain.ids import ModelId, QuotaId
from tollway.domain.quota import QuotaRecord, Scope, counter_name, place_of

_QUOTAS = select(quotas).where(living(quotas))


class SqlQuotas:
    """Implements `app.ports_directory.Quotas`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def get(self, quota_id: QuotaId, *, reach: QuotaReach | None = None) -> QuotaView | None:
        query = _QUOTAS.where(quotas.c.id == quota_id)
        row = self._unit.first(query if reach is None else query.where(_within(reach)))
        return None if row is None else _view(row)

    def twin(self, quota: QuotaRecord) -> QuotaView | None:
        row = self._unit.first(_QUOTAS.where(quotas.c.counter == counter_name(quota, None)))
        return None if row is None else _view(row)

    def page(
        self, at: Page, *, reach: QuotaReach | None = None, only: QuotaFilter = EVERY
    ) -> list[QuotaView]:
        query = _QUOTAS if reach is None else _QUOTAS.where(_within(reach))
        for name, wanted in only._asdict().items():
            if wanted is not None:
                query = query.where(quotas.c[name] == str(wanted))
        return [_view(row) for row in self._unit.rows(paged(query, quotas.c.id, at))]

    def naming(self, scope: Scope, scope_id: str) -> list[QuotaView]:
        named = and_(quotas.c.scope == scope.value, quotas.c.scope_id == scope_id)
        if scope is Scope.MODEL:
            named = of_model(ModelId(scope_id))
        return [_view(row) for row in self._unit.rows(_QUOTAS.where(named).order_by(quotas.c.id))]

    def add(self, view: QuotaView) -> None:
        place = place_of(view.quota)
        self._unit.add(quotas, id=view.id, **_columns(view), created_s=self._unit.now_s)
        self._unit.dig_up("quota", place)

    def save(self, view: QuotaView) -> None:
        self._unit.change(quotas, quotas.c.id == view.id, **_columns(view))

    def remove(self, quota_id: QuotaId) -> None:
        forget_quotas(self._unit, quotas.c.id == quota_id)

    def gateways(self) -> list[GatewayRecord]:
        live = gateways.c.seen_s > self._unit.now_s - LIVE_S
        return [
            GatewayRecord(row.id, row.workers, row.shares_counters, row.began_s, row.seen_s)
            for row in self._unit.rows(select(gateways).where(live))
        ]


def forget_quotas(unit: Unit, *which: ColumnElement[bool]) -> None:
    """These limits are gone."""
    places = [row.place for row in unit.rows(select(quotas.c.place).distinct().where(*which))]
    unit.remove(quotas, *which)
    for place in places:
        if not unit.change(quotas, quotas.c.place == place):
            unit.bury("quota", place)


def of_model(model_id: ModelId) -> ColumnElement[bool]:
    """The limits on a model, whoever's."""
    named = (quotas.c.scope == Scope.MODEL.value) & (quotas.c.scope_id == model_id)
    return or_(quotas.c.model_id == model_id, named)


def _within(reach: QuotaReach) -> ColumnElement[bool]:
    all_of = of_owners(quotas, reach.owners)
    return or_(all_of, _concerning(reach)) if reach.within else all_of


def _concerning(reach: QuotaReach) -> ColumnElement[bool]:
    """What somebody's own use may meet. Who has no account has no keys either."""
    place, of = quotas.c.scope, quotas.c.scope_id
    concern = [place == Scope.TENANT.value]
    if reach.account_id is not None:
        own = (api_keys.c.account_id == reach.account_id, api_keys.c.tenant_id.in_(reach.within))
        keys = select(api_keys.c.id).where(*own)
        projects = select(api_keys.c.project_id).where(*own, api_keys.c.project_id.is_not(None))
        concern += [
            and_(place == Scope.ACCOUNT.value, of == reach.account_id),
            and_(place == Scope.KEY.value, of.in_(keys)),
            and_(place == Scope.PROJECT.value, of.in_(projects)),
        ]
    return and_(quotas.c.tenant_id.in_(reach.within), or_(*concern))


def _columns(view: QuotaView) -> dict[str, Any]:
    quota = view.quota
    return {
        "tenant_id": quota.tenant_id,
        "name": quota.name,
        "place": place_of(quota),
        "counter": counter_name(quota, None),
        "scope": quota.scope.value,
        "scope_id": quota.scope_id,
        "model_id": quota.model_id,
        "per": None if quota.per is None else quota.per.value,
        "metric": quota.metric.value,
        "period": quota.period.value,
        "amount": quota.limit,
        "mode": quota.mode.value,
        "precision": quota.precision.value,
        "on_outage": quota.on_outage.value,
        "raised_to": quota.raised_to,
        "raised_until_s": quota.raised_until_s,
        "alert_at": list(quota.alert_at),
        "set_by": view.set_by,
        "managed_by": view.managed_by,
    }


def _view(row: Row[Any]) -> QuotaView:
    record = quota_record([getattr(row, column.name) for column in QUOTA_COLUMNS])
    return QuotaView(record, row.set_by, row.managed_by, row.created_s, row.version)
