"""Webhooks, what was told to them, and the events there were. A tenant's are for its administrators
and viewers; the platform's administrators see all.
"""

from collections.abc import Sequence

from tollway.app.admin.outcome import Rejected
from tollway.app.admin.reach import tenants_in_view, webhook_in_reach
from tollway.app.admin.work import Work
from tollway.app.ports_directory import Page
from tollway.app.views import DeliveryView, WebhookView
from tollway.domain.event import EventRecord
from tollway.domain.ids import TenantId, WebhookId
from tollway.domain.policy import Action
from tollway.domain.result import Err, Ok, Result

Owners = Sequence[TenantId | None] | None


def list_webhooks(
    work: Work, at: Page, *, tenant_id: TenantId | None = None
) -> Result[list[WebhookView], Rejected]:
    """A tenant's; without one, those of all tenants where the actor may, the platform's too for its
    administrators."""
    owners = _owners(work, Action.WEBHOOK_LIST, tenant_id, kind="webhook")
    return (
        owners if isinstance(owners, Err) else Ok(work.uow.webhooks.page(at, owners=owners.value))
    )


def list_deliveries(
    work: Work, webhook_id: WebhookId, at: Page
) -> Result[list[DeliveryView], Rejected]:
    """What was told to it, or will be; the newest first."""
    found = webhook_in_reach(work, webhook_id)
    return found if isinstance(found, Err) else Ok(work.uow.webhooks.deliveries(webhook_id, at))


def list_events(
    work: Work, at: Page, *, tenant_id: TenantId | None = None
) -> Result[list[EventRecord], Rejected]:
    """The newest first: a tenant's, or those of all tenants where the actor may."""
    owners = _owners(work, Action.EVENT_LIST, tenant_id, kind="event")
    return (
        owners if isinstance(owners, Err) else Ok(work.uow.webhooks.events(at, owners=owners.value))
    )


def _owners(
    work: Work, action: Action, tenant_id: TenantId | None, *, kind: str
) -> Result[Owners, Rejected]:
    """Whose are shown; None: everybody's."""
    shown = tenants_in_view(work, action, tenant_id, kind=kind)
    if isinstance(shown, Err):
        return shown
    return Ok(None if shown.value is None else [tenant.id for tenant in shown.value])
