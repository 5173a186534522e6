"""The configuration the data plane serves from, read in one transaction. Decides nothing."""

from sqlalchemy import Engine, select

from tollway.adapters.sql.engine import reading
from tollway.adapters.sql.rows import (
    read_keys,
    read_models,
    read_providers,
    read_tenants,
    read_version,
)
from tollway.adapters.sql.tables import peppers
from tollway.domain.snapshot import SnapshotRows

_PEPPERS = select(peppers.c.version, peppers.c.wrapped).order_by(peppers.c.version)


class SqlSnapshotStore:
    """Implements `app.ports.SnapshotStore`. Rows of deleted tenants are left out."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def version(self) -> int:
        """The newest committed version; 0 before the first configuration write."""
        with reading(self._engine) as connection:
            return read_version(connection)

    def load(self) -> SnapshotRows:
        """All rows at one version. 100,000 keys take about a second."""
        with reading(self._engine) as connection:
            return SnapshotRows(
                version=read_version(connection),
                peppers=tuple((row[0], row[1]) for row in connection.execute(_PEPPERS)),
                tenants=read_tenants(connection),
                keys=read_keys(connection),
                providers=read_providers(connection),
                models=read_models(connection),
            )
