"""Webhooks and what was told to them. No worker knows them, so nothing is published."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, select

from tollway.adapters.sql.repositories.owners import living, of_owners, owned_by
from tollway.adapters.sql.repositories.unit import Condition, Unit, listed, names, paged
from tollway.adapters.sql.tables import deliveries, events, webhooks
from tollway.app.ports_alerts import Sealed
from tollway.app.ports_directory import Page
from tollway.app.views import DeliveryView, WebhookView
from tollway.domain.event import Event, EventKind, EventRecord
from tollway.domain.ids import EventId, TenantId, WebhookId
from tollway.domain.notice import NoticeFormat

_WEBHOOKS = select(webhooks).where(living(webhooks))
Owners = Sequence[TenantId | None] | None


class SqlWebhooks:
    """Implements `app.ports_alerts.Webhooks`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def get(self, webhook_id: WebhookId, *, owners: Owners = None) -> WebhookView | None:
        query = _WEBHOOKS.where(webhooks.c.id == webhook_id)
        if owners is not None:
            query = query.where(of_owners(webhooks, owners))
        row = self._unit.first(query)
        return None if row is None else webhook_view(row)

    def find(self, tenant_id: TenantId | None, name: str) -> WebhookView | None:
        query = _WEBHOOKS.where(owned_by(webhooks, tenant_id), webhooks.c.name == name)
        row = self._unit.first(query)
        return None if row is None else webhook_view(row)

    def page(self, at: Page, *, owners: Owners = None) -> list[WebhookView]:
        query = _WEBHOOKS
        if owners is not None:
            query = query.where(of_owners(webhooks, owners))
        return [webhook_view(row) for row in self._unit.rows(paged(query, webhooks.c.id, at))]

    def add(self, webhook: WebhookView, sealed: Sealed) -> None:
        self._unit.add(
            webhooks,
            id=webhook.id,
            tenant_id=webhook.tenant_id,
            created_s=self._unit.now_s,
            **_changeable(webhook),
            **_closed(sealed),
        )

    def save(self, webhook: WebhookView, sealed: Sealed | None = None) -> None:
        closed = {} if sealed is None else _closed(sealed)
        self._unit.change(webhooks, webhooks.c.id == webhook.id, **_changeable(webhook), **closed)

    def remove(self, webhook_id: WebhookId) -> None:
        forget_webhooks(self._unit, webhooks.c.id == webhook_id)

    def sealed(self, webhook_id: WebhookId) -> Sealed | None:
        row = self._unit.first(_WEBHOOKS.where(webhooks.c.id == webhook_id))
        return None if row is None else sealed_of(row)

    def every(self, after: str, limit: int) -> list[tuple[WebhookView, Sealed]]:
        query = paged(select(webhooks), webhooks.c.id, Page(limit, after))
        return [(webhook_view(row), sealed_of(row)) for row in self._unit.rows(query)]

    def deliveries(self, webhook_id: WebhookId, at: Page) -> list[DeliveryView]:
        query = (
            select(deliveries, events.c.kind, events.c.title, events.c.at_s)
            .join(events, events.c.id == deliveries.c.event_id)
            .where(deliveries.c.webhook_id == webhook_id)
            .order_by(deliveries.c.event_id.desc())
            .limit(at.limit)
        )
        if at.after is not None:
            query = query.where(deliveries.c.event_id < at.after)
        return [_delivery(row) for row in self._unit.rows(query)]

    def events(self, at: Page, *, owners: Owners = None) -> list[EventRecord]:
        query = select(events).order_by(events.c.id.desc()).limit(at.limit)
        if owners is not None:
            query = query.where(of_owners(events, owners))
        if at.after is not None:
            query = query.where(events.c.id < at.after)
        return [event_record(row) for row in self._unit.rows(query)]


def forget_webhooks(unit: Unit, which: Condition) -> None:
    """They are gone, with what was on its way to them."""
    chosen = select(webhooks.c.id).where(which)
    unit.connection.execute(delete(deliveries).where(deliveries.c.webhook_id.in_(chosen)))
    unit.moved()
    unit.remove(webhooks, which)


def webhook_view(row: Row[Any]) -> WebhookView:
    """A row as administrators may see it."""
    return WebhookView(
        id=WebhookId(row.id),
        tenant_id=None if row.tenant_id is None else TenantId(row.tenant_id),
        name=row.name,
        format=NoticeFormat(row.format),
        place=row.place,
        recipients=tuple(row.recipients),
        kinds=names(row.kinds),
        enabled=row.enabled,
        created_s=row.created_s,
        version=row.version,
    )


def sealed_of(row: Row[Any]) -> Sealed:
    """What the row keeps closed."""
    secrets = (row.secret, row.secret_before)
    return Sealed(row.address, tuple(one for one in secrets if one is not None))


def event_record(row: Row[Any]) -> EventRecord:
    """A row of `events`."""
    return EventRecord(
        EventId(row.id),
        row.at_s,
        Event(
            EventKind(row.kind),
            row.once,
            row.until_s,
            None if row.tenant_id is None else TenantId(row.tenant_id),
            row.title,
            tuple((label, value) for label, value in row.facts),
            row.data,
        ),
    )


def _delivery(row: Row[Any]) -> DeliveryView:
    return DeliveryView(
        event_id=EventId(row.event_id),
        kind=row.kind,
        title=row.title,
        at_s=row.at_s,
        state=row.state,
        attempts=row.attempts,
        next_s=row.next_s,
        done_s=row.done_s,
        reason=row.reason,
    )


def _changeable(webhook: WebhookView) -> dict[str, Any]:
    return {
        "name": webhook.name,
        "format": webhook.format.value,
        "place": webhook.place,
        "recipients": list(webhook.recipients),
        "kinds": listed(webhook.kinds),
        "enabled": webhook.enabled,
    }


def _closed(sealed: Sealed) -> dict[str, bytes | None]:
    newest, before = (*sealed.secrets, None, None)[:2]
    return {"address": sealed.address, "secret": newest, "secret_before": before}
