"""News between machines: a committed version is told at once through PostgreSQL's LISTEN/NOTIFY.
What gets lost (a broken connection) is made good by the publishers' polling.
"""

import contextlib
import time
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from tollway.adapters.sql.engine import POSTGRES

CHANNEL = "tollway_version"
_RETRY_S = 1.0


def announce(connection: Connection, version: int) -> None:
    """Told to all listeners when the transaction commits, and only then."""
    if connection.dialect.name == POSTGRES:
        connection.execute(select(func.pg_notify(CHANNEL, str(version))))


class VersionListener:
    """Hears of versions on a connection of its own. One thread waits, any may close."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Any = None
        self._retry_at = 0.0
        # ValueError: closed under the waiting thread, its socket has no number any more.
        self._troubles = (engine.dialect.loaded_dbapi.Error, OSError, ValueError)

    def wait(self, timeout_s: float) -> bool:
        """Whether there was news within the time. Without a server to listen to (SQLite, or it is
        away) it just waits: the caller polls anyway."""
        began = time.monotonic()
        try:
            connection = self._listening(began)
            if connection is not None:
                heard = next(connection.notifies(timeout=timeout_s, stop_after=1), None)
                return heard is not None
        except self._troubles:  # polling stands behind us
            self.close()
            self._retry_at = began + _RETRY_S
        time.sleep(max(0.0, began + timeout_s - time.monotonic()))
        return False

    def close(self) -> None:
        """Let go of the connection; a thread that waits on it comes back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*self._troubles):
                connection.close()

    def _listening(self, now: float) -> Any:
        if self._engine.dialect.name != POSTGRES or now < self._retry_at:
            return None
        if self._connection is None:
            # Not of the pool: it stays open, and waits outside of any transaction.
            connection: Any = self._engine.dialect.connect(
                *self._engine.dialect.create_connect_args(self._engine.url)[0],
                **self._engine.dialect.create_connect_args(self._engine.url)[1],
                autocommit=True,
                connect_timeout=5,
                keepalives_idle=20,  # it only waits: a dead line would never show
                keepalives_interval=5,
                keepalives_count=3,
            )
            connection.execute(f"LISTEN {CHANNEL}")
            self._connection = connection
        return self._connection
