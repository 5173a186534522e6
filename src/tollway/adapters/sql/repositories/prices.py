"""The price book. Rows are added and, as mistakes, removed; never changed."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Row, insert, select

from tollway.adapters.sql.repositories.owners import living, of_owners
from tollway.adapters.sql.repositories.unit import Unit, paged
from tollway.adapters.sql.tables import prices
from tollway.app.ports_directory import Page
from tollway.app.views import PriceView
from tollway.domain.ids import ProviderId, TenantId

_PRICES = select(prices).where(living(prices))
_BATCH = 500  # rows of one statement; SQLite binds at most 32,766 values


class SqlPrices:
    """Implements `app.ports_directory.Prices`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def get(self, price_id: str) -> PriceView | None:
        row = self._unit.first(_PRICES.where(prices.c.id == price_id))
        return None if row is None else _view(row)

    def page(
        self,
        at: Page,
        *,
        owners: Sequence[TenantId | None] | None = None,
        model: str | None = None,
    ) -> list[PriceView]:
        query = _PRICES if owners is None else _PRICES.where(of_owners(prices, owners))
        if model is not None:
            query = query.where(prices.c.model == model)
        return [_view(row) for row in self._unit.rows(paged(query, prices.c.id, at))]

    def add(self, price: PriceView) -> None:
        self._unit.add(prices, **self._columns(price))

    def add_seed(self, prices_: Sequence[PriceView]) -> int:
        if not self._missing(prices_):
            return 0
        version = self._unit.moved()  # our turn: what is not there now, nobody else adds
        new = self._missing(prices_)
        for batch in _batches(new):
            rows = [{**self._columns(price), "version": version} for price in batch]
            self._unit.connection.execute(insert(prices), rows)
        return len(new)

    def _missing(self, prices_: Sequence[PriceView]) -> list[PriceView]:
        known: set[str] = set()
        for batch in _batches(prices_):
            ids = [price.id for price in batch]
            found = self._unit.rows(select(prices.c.id).where(prices.c.id.in_(ids)))
            known.update(row.id for row in found)
        return [price for price in prices_ if price.id not in known]

    def remove(self, price_id: str) -> None:
        self._unit.remove(prices, prices.c.id == price_id)

    def _columns(self, price: PriceView) -> dict[str, Any]:
        return {
            "id": price.id,
            "tenant_id": price.tenant_id,
            "provider_kind": price.provider_kind,
            "provider_id": price.provider_id,
            "model": price.model,
            "effective_from_s": price.effective_from_s,
            "rates": dict(price.rates),
            "source": price.source,
            "created_s": self._unit.now_s,
        }


def _batches(entries: Sequence[PriceView]) -> Iterator[Sequence[PriceView]]:
    for start in range(0, len(entries), _BATCH):
        yield entries[start : start + _BATCH]


def _view(row: Row[Any]) -> PriceView:
    return PriceView(
        id=row.id,
        model=row.model,
        effective_from_s=row.effective_from_s,
        rates=row.rates,
        tenant_id=None if row.tenant_id is None else TenantId(row.tenant_id),
        provider_kind=row.provider_kind,
        provider_id=None if row.provider_id is None else ProviderId(row.provider_id),
        source=row.source,
        created_s=row.created_s,
        version=row.version,
    )
