"""Platform models opened to tenants and groups. All that one holder has is published together, so
whatever changes there moves the version of the holder's rows, or leaves a tombstone after the last.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, and_, or_, select

from tollway.adapters.sql.repositories.owners import living
from tollway.adapters.sql.repositories.unit import Unit
from tollway.adapters.sql.tables import grants
from tollway.app.ports_directory import Page
from tollway.app.views import GrantView
from tollway.domain.ids import ModelId, TenantId

_GRANTS = select(grants).where(living(grants))
_GROUP = "group:"


class SqlGrants:
    """Implements `app.ports_directory.Grants`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def get(self, model_id: ModelId, holder: str) -> GrantView | None:
        row = self._unit.first(
            _GRANTS.where(grants.c.model_id == model_id, grants.c.holder == holder)
        )
        return None if row is None else _view(row)

    def page(
        self, at: Page, *, holders: Sequence[str] | None = None, model_id: ModelId | None = None
    ) -> list[GrantView]:
        query = _GRANTS
        if holders is not None:
            query = query.where(grants.c.holder.in_(holders))
        if model_id is not None:
            query = query.where(grants.c.model_id == model_id)
        if at.after is not None:
            holder, _, model = at.after.rpartition("|")
            query = query.where(
                or_(
                    grants.c.holder > holder,
                    and_(grants.c.holder == holder, grants.c.model_id > model),
                )
            )
        query = query.order_by(grants.c.holder, grants.c.model_id).limit(at.limit)
        return [_view(row) for row in self._unit.rows(query)]

    def add(self, grant: GrantView) -> None:
        self._unit.add(
            grants,
            holder=grant.holder,
            model_id=grant.model_id,
            tenant_id=grant.tenant_id,
            created_s=self._unit.now_s,
        )
        self._unit.dig_up("grant", grant.holder)

    def remove(self, model_id: ModelId, holder: str) -> None:
        if self._unit.remove(grants, grants.c.model_id == model_id, grants.c.holder == holder):
            _mark(self._unit, holder)


def forget_grants(unit: Unit, model_id: ModelId) -> None:
    """A model that is gone is nobody's any more."""
    rows = unit.rows(select(grants.c.holder).where(grants.c.model_id == model_id))
    unit.remove(grants, grants.c.model_id == model_id)
    for row in rows:
        _mark(unit, row.holder)


def _mark(unit: Unit, holder: str) -> None:
    """What the holder has is less now."""
    if not unit.change(grants, grants.c.holder == holder):
        unit.bury("grant", holder)


def _view(row: Row[Any]) -> GrantView:
    return GrantView(
        ModelId(row.model_id),
        None if row.tenant_id is None else TenantId(row.tenant_id),
        None if row.tenant_id is not None else row.holder.removeprefix(_GROUP),
        row.created_s,
        row.version,
    )
