"""The gateways that serve from this database: each says so every few seconds."""

from sqlalchemy import Engine, delete, exists, select

from tollway.adapters.sql.engine import reading, upsert, writing
from tollway.adapters.sql.tables import gateways, quotas
from tollway.domain.gateways import LIVE_S, GatewayRecord

_LIMITED = select(exists().select_from(quotas))


class SqlGateways:
    """Raises StoreUnavailableError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def beat(self, gateway: GatewayRecord) -> None:
        """It serves, now."""
        row = {
            "id": gateway.id,
            "workers": gateway.workers,
            "shares_counters": gateway.shares,
            "began_s": gateway.began_s,
            "seen_s": gateway.seen_s,
        }
        with writing(self._engine) as connection:
            insert = upsert(connection, gateways).values(**row)
            del row["id"]
            connection.execute(
                insert.on_conflict_do_update(index_elements=[gateways.c.id], set_=row)
            )

    def leave(self, id_: str) -> None:
        """It serves no more."""
        with writing(self._engine) as connection:
            connection.execute(delete(gateways).where(gateways.c.id == id_))

    def live(self, now_s: int) -> list[GatewayRecord]:
        """Those that were heard of lately."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(gateways).where(gateways.c.seen_s > now_s - LIVE_S))
            return [
                GatewayRecord(row.id, row.workers, row.shares_counters, row.began_s, row.seen_s)
                for row in rows
            ]

    def limited(self) -> bool:
        """Whether there is any limit to count for."""
        with reading(self._engine) as connection:
            return bool(connection.execute(_LIMITED).scalar_one())
