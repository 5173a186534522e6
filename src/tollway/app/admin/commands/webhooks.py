"""Webhooks: made, changed, tested and taken away. A URL and a signing secret go in sealed and come
out in no answer, no error and no row of the audit; a new secret is shown once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tollway.app.admin.checks import check_name
from tollway.app.admin.hook_sealing import seal_webhook
from tollway.app.admin.outcome import Kind, Rejected
from tollway.app.admin.reach import owner_for, webhook_in_reach
from tollway.app.admin.work import Work, changes_between
from tollway.app.ports_alerts import Sealed
from tollway.app.ports_directory import Page
from tollway.app.views import WebhookView
from tollway.domain.brand import ENV_PREFIX
from tollway.domain.event import EventKind, event_id
from tollway.domain.ids import TenantId, WebhookId, make_id
from tollway.domain.notice import Notice, NoticeFormat
from tollway.domain.notice_mail import recipients_problem
from tollway.domain.notice_signing import SECRET_BYTES, new_secret, parse_secret
from tollway.domain.policy import Action
from tollway.domain.result import Err, Ok, Result
from tollway.domain.webhook_url import parse_webhook_url

MAX_WEBHOOKS = 20  # of one owner
TEST_KIND = "webhook.test"
_CHANGED = ("name", "place", "recipients", "kinds", "enabled")


@dataclass(frozen=True, slots=True)
class WebhookSpec:
    """What a webhook shall be. `kinds` None: every kind. `secret`: one that the receiver has
    already, as `whsec_...`; None makes one."""

    tenant_id: TenantId | None
    name: str
    format: NoticeFormat
    url: str | None = field(default=None, repr=False)
    recipients: tuple[str, ...] = ()
    kinds: tuple[str, ...] | None = None
    enabled: bool = True
    secret: str | None = field(default=None, repr=False)


class IssuedWebhook(NamedTuple):
    """A webhook and the written form of its new secret, which is shown nowhere else. None: it has
    none, or one that was brought along."""

    view: WebhookView
    secret: str | None


class Trial(NamedTuple):
    """A test that is on record, and still to be sent."""

    view: WebhookView
    sealed: Sealed
    notice: Notice


def create_webhook(
    work: Work, spec: WebhookSpec, *, mail_configured: bool
) -> Result[IssuedWebhook, Rejected]:
    """A new one. Without a tenant it is that of the actor's one, the platform's for its
    administrators."""
    owned = owner_for(work, Action.WEBHOOK_WRITE, spec.tenant_id)
    if isinstance(owned, Err):
        return owned
    view = WebhookView(
        WebhookId(make_id("whk", work.entropy(10))),
        owned.value,
        spec.name,
        spec.format,
        recipients=spec.recipients,
        kinds=spec.kinds,
        enabled=spec.enabled,
    )
    wrong = (
        work.denied(Action.WEBHOOK_WRITE, kind="webhook", tenant_id=view.tenant_id)
        or _check(view, spec.url)
        or _mail_problem(view, mail_configured)
        or _room_problem(work, view)
    )
    drawn = _drawn(work, spec.format, spec.secret) if wrong is None else Err(wrong)
    if isinstance(drawn, Err):
        return drawn
    secrets, shown = drawn.value
    view = replace(view, place=_place(view, spec.url))
    work.uow.webhooks.add(view, seal_webhook(work.box, view, url=spec.url, secrets=secrets))
    _record(work, "webhook.created", view, _facts(view))
    return Ok(IssuedWebhook(_stored(work, view), shown))


def update_webhook(
    work: Work, wanted: WebhookView, *, url: str | None = None
) -> Result[WebhookView, Rejected]:
    """Another name, URL (None keeps it), recipients or kinds; on or off. Owner and format stay, and
    so does the secret."""
    found = _found(work, wanted.id)
    if isinstance(found, Err):
        return found
    before = found.value
    after = replace(
        before,
        name=wanted.name,
        recipients=wanted.recipients,
        kinds=wanted.kinds,
        enabled=wanted.enabled,
    )
    wrong = _check(after, url, moves=url is not None) or _taken(work, after)
    if wrong is not None:
        return Err(wrong)
    sealed = None
    if url is not None:
        after = replace(after, place=_place(after, url))
        moved = seal_webhook(work.box, after, url=url, secrets=())
        sealed = moved._replace(secrets=_sealed(work, after).secrets)
    if after == before and sealed is None:
        return Ok(before)
    work.uow.webhooks.save(after, sealed)
    changes = changes_between(before, after, _CHANGED)
    _record(work, "webhook.changed", after, {**changes, "url_replaced": url is not None})
    return Ok(_stored(work, after))


def rotate_webhook_secret(
    work: Work, webhook_id: WebhookId, *, given: str | None = None
) -> Result[IssuedWebhook, Rejected]:
    """A new secret, or the given one. The one before signs along until the next rotation, so that
    the receiver changes over when it likes."""
    found = _found(work, webhook_id)
    if isinstance(found, Err):
        return found
    view = found.value
    if view.format is not NoticeFormat.JSON:
        return Err(Rejected("", _UNSIGNED, Kind.CONFLICT))
    drawn = _drawn(work, view.format, given)
    if isinstance(drawn, Err):
        return drawn
    secrets, shown = drawn.value
    before = _sealed(work, view)
    fresh = seal_webhook(work.box, view, url=None, secrets=secrets).secrets
    work.uow.webhooks.save(view, before._replace(secrets=(*fresh, *before.secrets[:1])))
    _record(work, "webhook.secret_rotated", view, {"place": view.place})
    return Ok(IssuedWebhook(_stored(work, view), shown))


def delete_webhook(work: Work, webhook_id: WebhookId) -> Result[None, Rejected]:
    """It is gone, with what was on its way to it."""
    found = _found(work, webhook_id)
    if isinstance(found, Err):
        return found
    work.uow.webhooks.remove(webhook_id)
    _record(work, "webhook.deleted", found.value, _facts(found.value))
    return Ok(None)


def begin_webhook_test(work: Work, webhook_id: WebhookId) -> Result[Trial, Rejected]:
    """Put a test on record. It is sent outside of the transaction, which holds up others; also to a
    webhook that is turned off."""
    found = _found(work, webhook_id, Action.WEBHOOK_TEST)
    if isinstance(found, Err):
        return found
    view = found.value
    tenant = None if view.tenant_id is None else work.uow.tenants.get(view.tenant_id)
    notice = Notice(
        id=event_id(work.uow.now_s, work.entropy(5)),
        kind=TEST_KIND,
        at_s=work.uow.now_s,
        tenant_id=view.tenant_id,
        tenant_name=None if tenant is None else tenant.name,
        title=f"This is a test of the webhook {view.name}.",
        facts=(),
        data={"webhook_id": view.id},
    )
    _record(work, "webhook.tested", view, {"place": view.place, "notice": notice.id})
    return Ok(Trial(view, _sealed(work, view), notice))


_UNSIGNED = "Only webhooks of the format json are signed: this one has no secret."


def _found(
    work: Work, webhook_id: WebhookId, action: Action = Action.WEBHOOK_WRITE
) -> Result[WebhookView, Rejected]:
    """The webhook, if the actor may do this to it."""
    found = webhook_in_reach(work, webhook_id)
    if isinstance(found, Err):
        return found
    view = found.value
    wrong = work.denied(action, kind="webhook", tenant_id=view.tenant_id)
    wrong = wrong or work.stale(view.version)
    return Ok(view) if wrong is None else Err(wrong)


def _check(view: WebhookView, url: str | None, *, moves: bool = True) -> Rejected | None:
    """`moves`: whether a URL is (to be) given."""
    wrong = check_name(view.name) or _check_kinds(view.kinds)
    if wrong is not None:
        return wrong
    if view.format is NoticeFormat.EMAIL:
        if url is not None:
            return Rejected("url", "A mail has recipients, and no URL.")
        problem = recipients_problem(view.recipients)
        return None if problem is None else Rejected("recipients", problem)
    if view.recipients:
        return Rejected("recipients", "Only mails have recipients; all else has a URL.")
    if not moves:
        return None
    parsed = parse_webhook_url(url or "", tenant_owned=view.tenant_id is not None)
    return Rejected("url", parsed.error) if isinstance(parsed, Err) else None


def _check_kinds(kinds: Sequence[str] | None) -> Rejected | None:
    if kinds is None:
        return None
    known = [kind.value for kind in EventKind]
    if not kinds or not set(kinds) <= set(known) or len(set(kinds)) < len(kinds):
        return Rejected("kinds", f"Name some of {', '.join(known)}, each once; or null for all.")
    return None


def _mail_problem(view: WebhookView, mail_configured: bool) -> Rejected | None:
    if view.format is not NoticeFormat.EMAIL or mail_configured:
        return None
    return Rejected(
        "format",
        f"This gateway has no mail server. Its operator sets {ENV_PREFIX}SMTP_URL and "
        f"{ENV_PREFIX}SMTP_FROM.",
        Kind.CONFLICT,
    )


def _room_problem(work: Work, view: WebhookView) -> Rejected | None:
    there = work.uow.webhooks.page(Page(MAX_WEBHOOKS), owners=[view.tenant_id])
    if len(there) >= MAX_WEBHOOKS:
        return Rejected("", f"There are {MAX_WEBHOOKS} webhooks already, the most.", Kind.CONFLICT)
    return _taken(work, view)


def _taken(work: Work, view: WebhookView) -> Rejected | None:
    same = work.uow.webhooks.find(view.tenant_id, view.name)
    if same is None or same.id == view.id:
        return None
    return Rejected("name", f"There is a webhook {view.name!r} already.", Kind.CONFLICT)


def _drawn(
    work: Work, notice_format: NoticeFormat, given: str | None
) -> Result[tuple[tuple[bytes, ...], str | None], Rejected]:
    """The secret to seal, and its written form where it has to be shown."""
    if notice_format is not NoticeFormat.JSON:
        return Ok(((), None)) if given is None else Err(Rejected("secret", _UNSIGNED))
    shown = new_secret(work.entropy(SECRET_BYTES)) if given is None else None
    parsed = parse_secret(given or shown or "")
    if isinstance(parsed, Err):
        return Err(Rejected("secret", parsed.error))
    return Ok(((parsed.value,), shown))


def _place(view: WebhookView, url: str | None) -> str:
    """What may be shown of a URL that was checked."""
    if url is None:
        return ""
    parsed = parse_webhook_url(url, tenant_owned=view.tenant_id is not None)
    assert isinstance(parsed, Ok), "it was checked"
    return parsed.value.place


def _facts(view: WebhookView) -> dict[str, object]:
    return {
        "name": view.name,
        "format": view.format.value,
        "place": view.place,
        "recipients": view.recipients,
        "kinds": view.kinds,
        "enabled": view.enabled,
    }


def _record(work: Work, fact: str, view: WebhookView, changes: dict[str, object]) -> None:
    work.record(fact, kind="webhook", object_id=view.id, tenant_id=view.tenant_id, changes=changes)


def _stored(work: Work, view: WebhookView) -> WebhookView:
    stored = work.uow.webhooks.get(view.id)
    assert stored is not None, "what was just written is there"
    return stored


def _sealed(work: Work, view: WebhookView) -> Sealed:
    sealed = work.uow.webhooks.sealed(view.id)
    assert sealed is not None, "what was just read is there"
    return sealed
