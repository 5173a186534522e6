"""Limits. They are published by place: what a place has left after one is gone must be told too."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, or_, select

from tollway.adapters.sql.repositories.owners import living, of_owners
from tollway.adapters.sql.repositories.unit import Unit, paged
from tollway.adapters.sql.rows import QUOTA_COLUMNS, quota_record
from tollway.adapters.sql.tables import gateways, quotas
from tollway.app.ports_directory import Page
from tollway.app.views import QuotaView
from tollway.domain.gateways import LIVE_S, GatewayRecord
from tollway.domain.ids import ModelId, QuotaId, TenantId
from tollway.domain.quota import QuotaRecord, Scope, counter_name, place_of

_QUOTAS = select(quotas).where(living(quotas))


class SqlQuotas:
    """Implements `app.ports_directory.Quotas`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def get(self, quota_id: QuotaId) -> QuotaView | None:
        row = self._unit.first(_QUOTAS.where(quotas.c.id == quota_id))
        return None if row is None else _view(row)

    def twin(self, quota: QuotaRecord) -> QuotaView | None:
        row = self._unit.first(_QUOTAS.where(quotas.c.counter == counter_name(quota, None)))
        return None if row is None else _view(row)

    def page(self, at: Page, *, owners: Sequence[TenantId | None] | None = None) -> list[QuotaView]:
        query = _QUOTAS if owners is None else _QUOTAS.where(of_owners(quotas, owners))
        return [_view(row) for row in self._unit.rows(paged(query, quotas.c.id, at))]

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
