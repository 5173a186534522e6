"""The price book as the shipper reads it: every entry, also of tenants that were deleted since."""

from typing import Any

from sqlalchemy import Engine, func, select

from tollway.adapters.sql.engine import reading
from tollway.adapters.sql.tables import prices, providers
from tollway.app.pricing import PriceList
from tollway.domain.price_book import Entry, price_kinds

_MARK = select(
    select(func.max(prices.c.version)).scalar_subquery(),
    select(func.count()).select_from(prices).scalar_subquery(),
    select(func.max(providers.c.version)).scalar_subquery(),
    select(func.count()).select_from(providers).scalar_subquery(),
)
_ENTRIES = select(*[prices.c[name] for name in Entry._fields])
_PROVIDERS = select(providers.c.id, providers.c.kind, providers.c.base_url)


class SqlPriceSource:
    """Implements `app.pricing.PriceSource`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def mark(self) -> tuple[Any, ...]:
        """The newest versions, and how many there are: what is removed has no version."""
        with reading(self._engine) as connection:
            return tuple(connection.execute(_MARK).one())

    def read(self) -> PriceList:
        """All entries."""
        with reading(self._engine) as connection:
            entries = [Entry(*row) for row in connection.execute(_ENTRIES)]
            kinds = {
                id_: price_kinds(kind, base_url)
                for id_, kind, base_url in connection.execute(_PROVIDERS)
            }
        return PriceList(entries, kinds)
