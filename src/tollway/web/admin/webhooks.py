"""`/webhooks` and `/events`: who is told what happens, and what did. A URL is taken and never
shown; a signing secret is in the answer to its making, and nowhere else ever.
"""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field, StrictBool

from tollway.app.admin.commands import webhooks as commands
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.queries import webhooks as queries
from tollway.app.admin.reach import webhook_in_reach
from tollway.app.admin.work import Work
from tollway.app.views import DeliveryView, WebhookView
from tollway.domain.event import EventKind, EventRecord
from tollway.domain.ids import TenantId, WebhookId
from tollway.domain.notice import NoticeFormat
from tollway.domain.notice_delivery import Delivered
from tollway.domain.policy import Action
from tollway.domain.result import Err, Result
from tollway.domain.webhook_url import MAX_URL_CHARS
from tollway.web.admin.callers import Caller, route, tagged
from tollway.web.admin.forms import Form
from tollway.web.admin.paging import Listed, Paging, listed
from tollway.web.admin.problems import ProblemError
from tollway.web.admin.times import moment, moment_of

router = APIRouter(tags=["webhooks"])
WebhookPath = Annotated[
    str,
    PathParameter(max_length=64, description="A webhook's id.", examples=["whk_0123456789abcdef"]),
]
OfTenant = Annotated[str | None, Query(max_length=64, description="This tenant's.")]
Name = Annotated[str, Field(max_length=200, examples=["on call"])]
Url = Annotated[
    str | None,
    Field(
        max_length=MAX_URL_CHARS,
        description="Where notices are posted; of a tenant's webhook https and public. It is kept "
        "sealed and never shown again, but for its host.",
        examples=["https://hooks.example.com/tollway"],
        json_schema_extra={"writeOnly": True},
    ),
]
Recipients = Annotated[
    list[Annotated[str, Field(max_length=254)]],
    Field(
        max_length=10, description="Of the format email: addresses.", examples=[["a@example.com"]]
    ),
]
Kinds = Annotated[
    list[EventKind] | None,
    Field(max_length=20, description="Which kinds of events; null: all.", examples=[None]),
]
Secret = Annotated[
    str | None,
    Field(
        max_length=200,
        description="Of the format json: a signing secret that the receiver has already, as "
        "whsec_ and base64. Without one a new secret is made.",
        examples=[None],
        json_schema_extra={"writeOnly": True},
    ),
]


class WebhookIn(Form):
    """A new webhook: with `url`, or of the format email with `recipients`. Without `tenant_id` it
    is the platform's, which is told everything, or of the one tenant you administer."""

    tenant_id: Annotated[str | None, Field(max_length=64, examples=["ten_0123456789abcdef"])] = None
    name: Name
    format: NoticeFormat = Field(examples=["json"], description="What the receiver understands.")
    url: Url = None
    recipients: Recipients = Field(default_factory=list)
    kinds: Kinds = None
    enabled: StrictBool = True
    secret: Secret = None


class WebhookChange(Form):
    """What shall be different; a field that is not sent stays."""

    name: Name | None = None
    url: Url = None
    recipients: Recipients | None = None
    kinds: Kinds = None
    enabled: StrictBool | None = None


class SecretChange(Form):
    """Another signing secret: a new one, or this one."""

    secret: Secret = None


class WebhookOut(BaseModel):
    """A webhook, without its secrets."""

    id: str = Field(examples=["whk_0123456789abcdef"])
    tenant_id: str | None
    name: str
    format: NoticeFormat
    place: str = Field(
        description="Scheme and host of the URL; empty of a mail.",
        examples=["https://hooks.example.com"],
    )
    recipients: list[str]
    kinds: list[EventKind] | None
    enabled: bool
    created_at: datetime


class NewWebhookOut(WebhookOut):
    """A webhook with a new signing secret. `secret` is shown this once; null in the answer to a
    repeated request, and where none was made."""

    secret: str | None = Field(examples=["whsec_..."])


class WebhookTrialOut(BaseModel):
    """What became of a test. `reason`: why it was not delivered, or what was odd about it."""

    delivered: bool
    reason: str | None = Field(examples=[None])


class DeliveryOut(BaseModel):
    """One event on its way to one webhook. `state`: waiting | delivered | failed."""

    event_id: str = Field(examples=["evt_0123456789abcdef"])
    kind: EventKind
    title: str
    at: datetime
    state: str = Field(examples=["delivered"])
    attempts: int
    next_attempt_at: datetime | None
    done_at: datetime | None
    reason: str | None = Field(description="Why the last attempt failed.", examples=[None])


class FactOut(BaseModel):
    """One line of an event, for people."""

    label: str
    value: str


class EventOut(BaseModel):
    """Something that happened. `facts` are for people, `data` for programs."""

    id: str = Field(examples=["evt_0123456789abcdef"])
    kind: EventKind
    tenant_id: str | None
    at: datetime
    title: str
    facts: list[FactOut]
    data: dict[str, Any]


@router.get("/webhooks", **route(Action.WEBHOOK_LIST, "listWebhooks"))
def list_webhooks(
    caller: Caller, paging: Paging, *, tenant_id: OfTenant = None
) -> Listed[WebhookOut]:
    """The webhooks of your tenants; the platform's too, for its administrators."""
    tenant = None if tenant_id is None else TenantId(tenant_id)
    found = caller.read(lambda work: queries.list_webhooks(work, paging, tenant_id=tenant))
    return listed(found, paging, out=_out, key=lambda view: view.id)


@router.post(
    "/webhooks",
    status_code=201,
    response_model=NewWebhookOut,
    **route(Action.WEBHOOK_WRITE, "createWebhook"),
)
def create_webhook(caller: Caller, body: WebhookIn) -> Response:
    """A new webhook. Of the format json, keep the answer's `secret`: it is not shown again."""
    spec = commands.WebhookSpec(
        None if body.tenant_id is None else TenantId(body.tenant_id),
        body.name,
        body.format,
        body.url,
        tuple(body.recipients),
        _named(body.kinds),
        body.enabled,
        body.secret,
    )
    mail_configured = caller.services.mail_configured
    return caller.create(
        lambda work: commands.create_webhook(work, spec, mail_configured=mail_configured),
        out=_issued,
        location=lambda made: f"/api/v1/webhooks/{made.id}",
        secret=("secret",),
    )


@router.get("/webhooks/{webhook_id}", **route(Action.WEBHOOK_READ, "readWebhook"))
def read_webhook(caller: Caller, webhook_id: WebhookPath, response: Response) -> WebhookOut:
    """One webhook."""
    found = caller.read(lambda work: webhook_in_reach(work, WebhookId(webhook_id)))
    tagged(response, found.version)
    return _out(found)


@router.patch("/webhooks/{webhook_id}", **route(Action.WEBHOOK_WRITE, "updateWebhook"))
def update_webhook(
    *, caller: Caller, webhook_id: WebhookPath, body: WebhookChange, response: Response
) -> WebhookOut:
    """Another name, URL, recipients or kinds; on or off. The format stays, and so does the
    secret."""

    def act(work: Work) -> Result[WebhookView, Rejected]:
        found = webhook_in_reach(work, WebhookId(webhook_id))
        if isinstance(found, Err):
            return found
        return commands.update_webhook(work, _changed(found.value, body), url=body.url)

    changed = caller.write(act)
    tagged(response, changed.version)
    return _out(changed)


@router.delete(
    "/webhooks/{webhook_id}", status_code=204, **route(Action.WEBHOOK_WRITE, "deleteWebhook")
)
def delete_webhook(caller: Caller, webhook_id: WebhookPath) -> None:
    """It is gone, with what was on its way to it."""
    caller.write(lambda work: commands.delete_webhook(work, WebhookId(webhook_id)))


@router.post(
    "/webhooks/{webhook_id}/secret/rotate",
    response_model=NewWebhookOut,
    **route(Action.WEBHOOK_WRITE, "rotateWebhookSecret"),
)
def rotate_webhook_secret(
    caller: Caller, webhook_id: WebhookPath, body: SecretChange | None = None
) -> Response:
    """A new signing secret. The one before signs along until the next rotation, so the receiver can
    change over at any time in between."""
    given = None if body is None else body.secret
    return caller.create(
        lambda work: commands.rotate_webhook_secret(work, WebhookId(webhook_id), given=given),
        out=_issued,
        secret=("secret",),
        status=200,
    )


@router.post("/webhooks/{webhook_id}/test", **route(Action.WEBHOOK_TEST, "testWebhook"))
def test_webhook(caller: Caller, webhook_id: WebhookPath) -> WebhookTrialOut:
    """Send a notice of the kind `webhook.test`, now and once. The request succeeds whatever the
    receiver does: look at `delivered`."""
    found = caller.read(lambda work: webhook_in_reach(work, WebhookId(webhook_id)))
    with caller.services.trials.turn(found.tenant_id) as mine:
        if not mine:
            raise ProblemError(
                429,
                "too_many_requests",
                "Too many webhooks are being tested just now. Try again in some seconds.",
                headers={"retry-after": "5"},
            )
        trial = caller.write(lambda work: commands.begin_webhook_test(work, found.id))
        outcome = caller.services.notices.send_now(*trial)
    if isinstance(outcome, Delivered):
        return WebhookTrialOut(delivered=True, reason=outcome.remark or None)
    return WebhookTrialOut(delivered=False, reason=outcome.reason)


@router.get("/webhooks/{webhook_id}/deliveries", **route(Action.WEBHOOK_READ, "listDeliveries"))
def list_deliveries(caller: Caller, webhook_id: WebhookPath, paging: Paging) -> Listed[DeliveryOut]:
    """What was told to it, and what is on its way; the newest first."""
    found = caller.read(lambda work: queries.list_deliveries(work, WebhookId(webhook_id), paging))
    return listed(found, paging, out=_delivery, key=lambda view: view.event_id)


@router.get("/events", **route(Action.EVENT_LIST, "listEvents"))
def list_events(caller: Caller, paging: Paging, *, tenant_id: OfTenant = None) -> Listed[EventOut]:
    """What happened in your tenants, whether anybody was told or not; the newest first."""
    tenant = None if tenant_id is None else TenantId(tenant_id)
    found = caller.read(lambda work: queries.list_events(work, paging, tenant_id=tenant))
    return listed(found, paging, out=_event, key=lambda record: record.id)


def _changed(view: WebhookView, body: WebhookChange) -> WebhookView:
    if "kinds" in body.model_fields_set:
        view = replace(view, kinds=_named(body.kinds))
    return replace(
        view,
        name=view.name if body.name is None else body.name,
        recipients=view.recipients if body.recipients is None else tuple(body.recipients),
        enabled=view.enabled if body.enabled is None else body.enabled,
    )


def _named(kinds: list[EventKind] | None) -> tuple[str, ...] | None:
    return None if kinds is None else tuple(kind.value for kind in kinds)


def _issued(issued: commands.IssuedWebhook) -> NewWebhookOut:
    return NewWebhookOut(**_out(issued.view).model_dump(), secret=issued.secret)


def _out(view: WebhookView) -> WebhookOut:
    return WebhookOut(
        id=view.id,
        tenant_id=view.tenant_id,
        name=view.name,
        format=view.format,
        place=view.place,
        recipients=list(view.recipients),
        kinds=None if view.kinds is None else [EventKind(kind) for kind in view.kinds],
        enabled=view.enabled,
        created_at=moment_of(view.created_s),
    )


def _delivery(view: DeliveryView) -> DeliveryOut:
    return DeliveryOut(
        event_id=view.event_id,
        kind=EventKind(view.kind),
        title=view.title,
        at=moment_of(view.at_s),
        state=view.state,
        attempts=view.attempts,
        next_attempt_at=moment(view.next_s if view.done_s is None else None),
        done_at=moment(view.done_s),
        reason=view.reason or None,
    )


def _event(record: EventRecord) -> EventOut:
    event = record.event
    return EventOut(
        id=record.id,
        kind=event.kind,
        tenant_id=event.tenant_id,
        at=moment_of(record.at_s),
        title=event.title,
        facts=[FactOut(label=label, value=value) for label, value in event.facts],
        data=dict(event.data),
    )
