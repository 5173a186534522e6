"""Models with their targets. Those of deleted tenants do not exist."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, or_, select

from tollway.adapters.sql.repositories.grants import forget_grants
from tollway.adapters.sql.repositories.owners import living, of_owners, owned_by
from tollway.adapters.sql.repositories.quotas import forget_quotas, of_model
from tollway.adapters.sql.repositories.unit import Unit, listed, names, paged
from tollway.adapters.sql.tables import grants, model_targets, models
from tollway.app.ports_directory import Page
from tollway.app.views import ModelView
from tollway.domain.ids import ModelId, ProviderId, TenantId
from tollway.domain.model import Strategy, Target

_MODELS = select(models).where(living(models))
_TARGETS = select(model_targets).order_by(model_targets.c.model_id, model_targets.c.position)


class SqlModels:
    """Implements `app.ports_directory.Models`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def get(self, model_id: ModelId) -> ModelView | None:
        rows = self._unit.rows(_MODELS.where(models.c.id == model_id))
        return next(iter(self._views(rows)), None)

    def find(self, owner: TenantId | None, name: str) -> ModelView | None:
        rows = self._unit.rows(_MODELS.where(owned_by(models, owner), models.c.name == name))
        return next(iter(self._views(rows)), None)

    def page(
        self,
        at: Page,
        *,
        owners: Sequence[TenantId | None] | None = None,
        granted_to: Sequence[str] = (),
    ) -> list[ModelView]:
        query = _MODELS
        if owners is not None:
            granted = select(grants.c.model_id).where(grants.c.holder.in_(granted_to))
            query = query.where(or_(of_owners(models, owners), models.c.id.in_(granted)))
        return self._views(self._unit.rows(paged(query, models.c.id, at)))

    def add(self, model: ModelView) -> None:
        self._unit.add(
            models,
            id=model.id,
            tenant_id=model.tenant_id,
            created_s=self._unit.now_s,
            **_columns(model),
        )
        self._add_targets(model)

    def save(self, model: ModelView) -> None:
        self._unit.change(models, models.c.id == model.id, **_columns(model))
        self._unit.remove(model_targets, model_targets.c.model_id == model.id)
        self._add_targets(model)

    def remove(self, model_id: ModelId) -> None:
        forget_grants(self._unit, model_id)
        forget_quotas(self._unit, of_model(model_id))
        self._unit.remove(model_targets, model_targets.c.model_id == model_id)
        if self._unit.remove(models, models.c.id == model_id):
            self._unit.bury("model", model_id)

    def _add_targets(self, model: ModelView) -> None:
        for position, target in enumerate(model.targets):
            self._unit.insert(
                model_targets,
                model_id=model.id,
                position=position,
                provider_id=target.provider_id,
                model=target.model,
                weight=target.weight,
                priority=target.priority,
            )

    def _views(self, rows: Sequence[Row[Any]]) -> list[ModelView]:
        ids = [row.id for row in rows]
        targets: defaultdict[str, list[Target]] = defaultdict(list)
        if ids:
            for row in self._unit.rows(_TARGETS.where(model_targets.c.model_id.in_(ids))):
                targets[row.model_id].append(
                    Target(ProviderId(row.provider_id), row.model, row.weight, row.priority)
                )
        return [_view(row, tuple(targets[row.id])) for row in rows]


def _columns(model: ModelView) -> dict[str, Any]:
    return {
        "name": model.name,
        "strategy": model.strategy.value,
        "max_output_tokens": model.max_output_tokens,
        "cache_affinity": model.cache_affinity,
        "fallbacks": listed(model.fallbacks or None),
        "enabled": model.enabled,
        "managed_by": model.managed_by,
    }


def _view(row: Row[Any], targets: tuple[Target, ...]) -> ModelView:
    return ModelView(
        id=ModelId(row.id),
        name=row.name,
        targets=targets,
        tenant_id=None if row.tenant_id is None else TenantId(row.tenant_id),
        strategy=Strategy(row.strategy),
        fallbacks=names(row.fallbacks) or (),
        max_output_tokens=row.max_output_tokens,
        cache_affinity=row.cache_affinity,
        enabled=row.enabled,
        managed_by=row.managed_by,
        created_s=row.created_s,
        version=row.version,
    )
