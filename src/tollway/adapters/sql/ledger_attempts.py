"""The ledger's attempts as what a provider would charge for: each once, its corrections added,
under the provider's own name for the model. For comparing with invoices; reads only.
"""

from collections.abc import Collection, Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import Engine, select

from tollway.adapters.sql.engine import reading
from tollway.adapters.sql.partitions import keep_partitions
from tollway.adapters.sql.tables import ledger_closings, ledger_entries, providers
from tollway.domain.invoice import Charge, KnownProvider

_CHUNK = 20_000
_NS = 1_000_000_000


class SqlAttempts:
    """Raises StoreUnavailableError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def providers(self) -> list[KnownProvider]:
        """All of them, the platform's first."""
        table = providers.c
        query = select(table.id, table.name, table.kind, table.tenant_id)
        with reading(self._engine) as connection:
            found = [KnownProvider(*row) for row in connection.execute(query)]
        return sorted(found, key=lambda one: (one.tenant_id or "", one.name))

    def closed_days(self, from_day: str, to_day: str) -> list[str]:
        """The days among these of which entries were removed."""
        day = ledger_closings.c.day
        query = select(day).where(day >= from_day, day <= to_day).distinct().order_by(day)
        with reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def attempts(
        self, provider_ids: Collection[str], from_day: str, to_day: str
    ) -> Iterator[Charge]:
        """Every attempt at these providers whose request was admitted on these days (both
        included), from one state; those of a request stand together, by provider."""
        entry = ledger_entries.c
        query = (
            select(*(entry[name] for name in _COLUMNS))
            .where(
                entry.day >= from_day,
                entry.day <= to_day,
                entry.provider_id.in_(sorted(provider_ids)),
            )
            .order_by(entry.day, entry.request_id, entry.attempt, entry.kind.desc(), entry.seq)
        )
        with reading(self._engine) as connection:
            keep_partitions(connection)
            rows = connection.execution_options(yield_per=_CHUNK).execute(query)
            for _, request in groupby(rows, lambda row: row.request_id):
                attempts = [_charge(list(one)) for _, one in groupby(request, lambda r: r.attempt)]
                yield from sorted(attempts, key=lambda charge: charge.provider)


_COLUMNS = (
    "request_id",
    "attempt",
    "started_ns",
    "provider_id",
    "target_model",
    "model",
    "usage_source",
    "input",
    "audio",
    "image",
    "cached_input",
    "cache_write",
    "output",
    "reasoning",
    "cost_nusd",
)


def _charge(rows: list[Any]) -> Charge:
    """One attempt. Its last row says what it was; its numbers are the sum."""
    last = rows[-1]
    expected = last.usage_source != "none"  # without usage nothing will be charged
    figures = (
        int(expected),
        _total(rows, "input", "audio", "image"),
        _total(rows, "cached_input"),
        _total(rows, "cache_write"),
        _total(rows, "output", "reasoning"),
        _total(rows, "cost_nusd"),
    )
    return Charge(
        last.started_ns // _NS,
        last.provider_id,
        last.target_model or last.model or "",
        figures,
        last.request_id,
        last.attempt,
        expected=expected,
    )


def _total(rows: list[Any], *names: str) -> int:
    return sum(getattr(row, name) or 0 for row in rows for name in names)
