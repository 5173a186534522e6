"""What the keeper's jobs of alerts read and write. An event is once what its name says, by a unique
column: several keepers may notice it at the same moment. A delivery is taken by moving the time it
is due at, so it is nobody's for good.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, insert, or_, select, update

from tollway.adapters.sql.engine import reading, take_turn, upsert, writing
from tollway.adapters.sql.limits import read_limits
from tollway.adapters.sql.repositories.owners import living
from tollway.adapters.sql.repositories.webhooks import event_record, sealed_of, webhook_view
from tollway.adapters.sql.tables import (
    api_keys,
    deliveries,
    events,
    job_marks,
    quotas,
    tenants,
    webhooks,
)
from tollway.app.ports_alerts import Due, KeyEnd, WatchedQuota
from tollway.domain.event import Event
from tollway.domain.ids import EventId, KeyId, TenantId, WebhookId

_JOB = "alerts"
_PER_OWNER = 4
_WAITING, _DELIVERED, _FAILED = "waiting", "delivered", "failed"


class SqlAlerts:
    """Implements `app.ports_alerts.AlertStore`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def mark_s(self) -> int | None:
        with reading(self._engine) as connection:
            query = select(job_marks.c.at_s).where(job_marks.c.job == _JOB)
            return connection.execute(query).scalar()

    def watched(self) -> list[WatchedQuota]:
        with reading(self._engine) as connection:
            limits = read_limits(connection)
        return [limit for limit in limits if limit.quota.alert_at]

    def ended_increases(self, after_s: int, until_s: int) -> list[WatchedQuota]:
        ended = (quotas.c.raised_until_s > after_s, quotas.c.raised_until_s <= until_s)
        with reading(self._engine) as connection:
            return read_limits(connection, quotas.c.raised_to.is_not(None), *ended)

    def key_ends(self, after_s: int, until_s: int) -> list[KeyEnd]:
        columns = (
            api_keys.c.id,
            api_keys.c.tenant_id,
            api_keys.c.name,
            api_keys.c.created_s,
            api_keys.c.expires_s,
        )
        query = select(*columns).where(
            api_keys.c.expires_s > after_s,
            api_keys.c.expires_s <= until_s,
            api_keys.c.revoked_s.is_(None),
            living(api_keys),
        )
        with reading(self._engine) as connection:
            return [
                KeyEnd(
                    KeyId(row.id), TenantId(row.tenant_id), row.name, row.created_s, row.expires_s
                )
                for row in connection.execute(query)
            ]

    def keep(self, found: Sequence[tuple[EventId, Event]], *, at_s: int) -> int:
        with writing(self._engine) as connection:
            take_turn(connection)
            new = [(id_, event) for id_, event in found if _is_new(connection, id_, event, at_s)]
            if new:
                _address(connection, new, at_s)
            mark = upsert(connection, job_marks).values(job=_JOB, at_s=at_s)
            connection.execute(
                mark.on_conflict_do_update(
                    index_elements=[job_marks.c.job],
                    set_={"at_s": mark.excluded.at_s},
                    where=job_marks.c.at_s < mark.excluded.at_s,
                )
            )
            return len(new)

    def due(self, now_s: int, *, limit: int, lease_s: int) -> list[Due]:
        with reading(self._engine) as connection:
            query = (
                select(deliveries.c.webhook_id, deliveries.c.event_id, deliveries.c.next_s)
                .add_columns(webhooks.c.tenant_id)
                .join(webhooks, webhooks.c.id == deliveries.c.webhook_id)
                .where(
                    deliveries.c.state == _WAITING,
                    deliveries.c.next_s <= now_s,
                    webhooks.c.enabled,
                    living(webhooks),
                )
                .order_by(deliveries.c.next_s, deliveries.c.event_id)
                .limit(limit * 32)
            )
            waiting = _fairly(connection.execute(query).all(), limit)
        return [
            taken
            for row in waiting
            if (taken := self._take(row, now_s=now_s, until_s=now_s + lease_s)) is not None
        ]

    def done(self, due: Due, *, now_s: int, reason: str = "", failed: bool = False) -> None:
        state = _FAILED if failed else _DELIVERED
        self._move(due, state=state, done_s=now_s, reason=reason)

    def again(self, due: Due, *, next_s: int, reason: str) -> None:
        self._move(due, next_s=next_s, reason=reason)

    def disable(self, webhook_id: WebhookId) -> None:
        with writing(self._engine) as connection:
            connection.execute(
                update(webhooks).where(webhooks.c.id == webhook_id).values(enabled=False)
            )

    def forget(self, before_s: int, now_s: int) -> int:
        over = (events.c.at_s < before_s, events.c.until_s < now_s)
        with writing(self._engine) as connection:
            old = select(events.c.id).where(events.c.at_s < before_s)
            connection.execute(delete(deliveries).where(deliveries.c.event_id.in_(old)))
            return connection.execute(delete(events).where(*over)).rowcount

    def _take(self, row: Row[Any], *, now_s: int, until_s: int) -> Due | None:
        """Ours, unless somebody was faster."""
        key = (
            deliveries.c.webhook_id == row.webhook_id,
            deliveries.c.event_id == row.event_id,
        )
        with writing(self._engine) as connection:
            taken = connection.execute(
                update(deliveries)
                .where(*key, deliveries.c.state == _WAITING, deliveries.c.next_s == row.next_s)
                .values(next_s=until_s, attempts=deliveries.c.attempts + 1)
            )
            if taken.rowcount != 1:
                return None
            attempts = connection.execute(select(deliveries.c.attempts).where(*key)).scalar_one()
            hook = connection.execute(select(webhooks).where(webhooks.c.id == row.webhook_id)).one()
            event = connection.execute(select(events).where(events.c.id == row.event_id)).one()
            name = select(tenants.c.name).where(tenants.c.id == event.tenant_id)
            tenant_name = connection.execute(name).scalar()
        return Due(webhook_view(hook), event_record(event), tenant_name, attempts, sealed_of(hook))

    def _move(self, due: Due, **values: object) -> None:
        with writing(self._engine) as connection:
            connection.execute(
                update(deliveries)
                .where(
                    deliveries.c.webhook_id == due.webhook.id,
                    deliveries.c.event_id == due.record.id,
                    deliveries.c.state == _WAITING,
                )
                .values(**values)
            )


def _is_new(connection: Connection, id_: EventId, event: Event, at_s: int) -> bool:
    row = {
        "id": id_,
        "once": event.once,
        "until_s": event.until_s,
        "kind": event.kind.value,
        "tenant_id": event.tenant_id,
        "at_s": at_s,
        "title": event.title,
        "facts": [list(pair) for pair in event.facts],
        "data": dict(event.data),
    }
    added = upsert(connection, events).values(**row)
    ignoring = added.on_conflict_do_nothing(index_elements=[events.c.once])
    return connection.execute(ignoring.returning(events.c.id)).first() is not None


def _address(connection: Connection, new: Sequence[tuple[EventId, Event]], at_s: int) -> None:
    """Each to the platform's webhooks and to its tenant's, where they want its kind."""
    owners: Collection[str] = {event.tenant_id for _, event in new if event.tenant_id is not None}
    query = select(webhooks.c.id, webhooks.c.tenant_id, webhooks.c.kinds).where(
        webhooks.c.enabled,
        living(webhooks),
        or_(webhooks.c.tenant_id.is_(None), webhooks.c.tenant_id.in_(owners)),
    )
    hooks = connection.execute(query).all()
    rows = [
        {
            "webhook_id": hook.id,
            "event_id": id_,
            "state": _WAITING,
            "attempts": 0,
            "next_s": at_s,
            "reason": "",
        }
        for id_, event in new
        for hook in hooks
        if hook.tenant_id in (None, event.tenant_id)
        and (hook.kinds is None or event.kind.value in hook.kinds)
    ]
    if rows:
        connection.execute(insert(deliveries), rows)


def _fairly(waiting: Sequence[Row[Any]], limit: int) -> list[Row[Any]]:
    """One for a webhook, few for an owner: a slow receiver holds up its own alone."""
    chosen: list[Row[Any]] = []
    hooks: set[str] = set()
    owners: Counter[str | None] = Counter()
    for row in waiting:
        if row.webhook_id in hooks or owners[row.tenant_id] >= _PER_OWNER:
            continue
        chosen.append(row)
        hooks.add(row.webhook_id)
        owners[row.tenant_id] += 1
        if len(chosen) == limit:
            break
    return chosen
