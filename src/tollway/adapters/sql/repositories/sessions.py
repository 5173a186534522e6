"""Signed-in browsers, and failures to sign in. Neither is published: no worker knows them."""

from typing import Any

from sqlalchemy import Row, delete, select, update

from tollway.adapters.sql.engine import upsert
from tollway.adapters.sql.repositories.unit import Unit
from tollway.adapters.sql.tables import login_attempts, sessions
from tollway.app.views import SessionView
from tollway.domain.ids import AccountId

_SESSIONS = select(sessions)


class SqlSessions:
    """Implements `app.ports_people.Sessions`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def get(self, digest: bytes) -> SessionView | None:
        row = self._unit.first(_SESSIONS.where(sessions.c.digest == digest))
        return _view(row) if row is not None else None

    def of_account(self, account_id: AccountId) -> list[SessionView]:
        query = _SESSIONS.where(sessions.c.account_id == account_id)
        return [_view(row) for row in self._unit.rows(query.order_by(sessions.c.created_s))]

    def add(self, session: SessionView) -> None:
        self._unit.insert(
            sessions,
            digest=session.digest,
            account_id=session.account_id,
            created_s=session.created_s,
            last_seen_s=session.last_seen_s,
            expires_s=session.expires_s,
            via=session.via,
            id_token=session.id_token,
        )

    def touch(self, digest: bytes, now_s: int) -> None:
        self._unit.connection.execute(
            update(sessions).where(sessions.c.digest == digest).values(last_seen_s=now_s)
        )

    def remove(self, digest: bytes) -> None:
        self._unit.remove(sessions, sessions.c.digest == digest)

    def remove_of(self, account_id: AccountId, *, but: bytes | None = None) -> int:
        others = delete(sessions).where(sessions.c.account_id == account_id)
        if but is not None:
            others = others.where(sessions.c.digest != but)
        return self._unit.connection.execute(others).rowcount

    def remove_expired(self, now_s: int) -> int:
        return self._unit.remove(sessions, sessions.c.expires_s <= now_s)

    def failures(self, subject: str) -> tuple[int, int]:
        row = self._unit.first(select(login_attempts).where(login_attempts.c.subject == subject))
        return (row.failures, row.last_failure_s) if row is not None else (0, 0)

    def fail(self, subject: str, now_s: int) -> None:
        failed = upsert(self._unit.connection, login_attempts).values(
            subject=subject, failures=1, last_failure_s=now_s
        )
        self._unit.connection.execute(
            failed.on_conflict_do_update(
                index_elements=[login_attempts.c.subject],
                set_={"failures": login_attempts.c.failures + 1, "last_failure_s": now_s},
            )
        )

    def forgive(self, subject: str) -> None:
        self._unit.remove(login_attempts, login_attempts.c.subject == subject)

    def uncount(self, subject: str) -> None:
        self._unit.connection.execute(
            update(login_attempts)
            .where(login_attempts.c.subject == subject, login_attempts.c.failures > 0)
            .values(failures=login_attempts.c.failures - 1)
        )


def _view(row: Row[Any]) -> SessionView:
    return SessionView(
        row.digest,
        AccountId(row.account_id),
        row.created_s,
        row.last_seen_s,
        row.expires_s,
        row.via,
        row.id_token,
    )
