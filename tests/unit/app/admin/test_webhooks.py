"""Webhooks: who sets which, what is refused, what is sealed, and what is never on record."""

import json
from dataclasses import replace

import pytest

from tests.fakes import database
from tests.fakes.acting import (
    BOX,
    PLATFORM_ADMIN,
    acting,
    actor,
    done,
    facts,
    furnish,
    refused,
    said,
    work_of,
)
from tollway.adapters.sql.alerts import SqlAlerts
from tollway.app.admin.commands.webhooks import (
    MAX_WEBHOOKS,
    WebhookSpec,
    begin_webhook_test,
    create_webhook,
    delete_webhook,
    rotate_webhook_secret,
    update_webhook,
)
from tollway.app.admin.hook_sealing import open_webhook
from tollway.app.admin.queries.webhooks import (
    list_deliveries,
    list_events,
    list_webhooks,
)
from tollway.app.admin.reach import webhook_in_reach
from tollway.app.admin.work import Request
from tollway.app.ports_directory import Page
from tollway.domain.event import Event, EventKind
from tollway.domain.notice import NoticeFormat
from tollway.domain.notice_signing import new_secret, parse_secret

ADMIN = actor(ten_listed="tenant_admin")
VIEWER = actor("vera", ten_listed="viewer")
USER = actor("bob", ten_listed="user")
READER = actor("rita", read_only=True, ten_listed="tenant_admin")
STRANGER = actor("eve", ten_open="tenant_admin")
DUAL = actor("dora", ten_listed="tenant_admin", ten_open="tenant_admin")
URL = "https://hooks.example.com/private-way?token=private-token"
GIVEN = new_secret(b"g" * 24)


@pytest.fixture
def engine(tmp_path):
    engine = database.database(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def work(engine):
    with database.configuration(engine).begin() as uow:
        furnish(uow)
        yield work_of(uow, PLATFORM_ADMIN)


def spec(**changes):
    """A webhook of the tenant `ten_listed`."""
    return replace(WebhookSpec("ten_listed", "pager", NoticeFormat.JSON, URL), **changes)


def mail(**changes):
    return spec(
        **{"format": NoticeFormat.EMAIL, "url": None, "recipients": ("a@example.com",), **changes}
    )


def create(work, wanted=None, *, mail_configured=True):
    return create_webhook(work, wanted or spec(), mail_configured=mail_configured)


def opened(work, view):
    return open_webhook(BOX, view, work.uow.webhooks.sealed(view.id))


def test_made_changed_and_taken_away(work):
    """Each step is on record with what changed, and with no path and no secret."""
    issued = done(create(work))
    view = issued.view
    assert (view.id[:4], view.place) == ("whk_", "https://hooks.example.com")
    assert opened(work, view) == (URL, (parse_secret(issued.secret).value,))
    wanted = replace(view, name="louder", kinds=("key.expired",), enabled=False)
    changed = done(update_webhook(work, wanted, url="https://other.example/private-way"))
    assert (changed.place, changed.enabled) == ("https://other.example", False)
    secrets = (parse_secret(issued.secret).value,)
    assert opened(work, changed) == ("https://other.example/private-way", secrets)
    again = done(rotate_webhook_secret(work, view.id))
    done(begin_webhook_test(work, view.id))
    done(delete_webhook(work, view.id))
    assert refused(webhook_in_reach(work, view.id)) == ("not_found", "")
    rows = facts(work.uow)
    assert [(action, object_id) for action, object_id, _ in rows] == [
        (f"webhook.{what}", view.id)
        for what in ("created", "changed", "secret_rotated", "tested", "deleted")
    ]
    assert rows[1][2]["name"] == ["pager", "louder"]
    assert rows[1][2]["place"] == ["https://hooks.example.com", "https://other.example"]
    text = json.dumps(rows)
    for hidden in ("private", issued.secret, again.secret, "whsec_"):
        assert hidden not in text


def test_what_stays_is_not_on_record(work):
    """Nothing changed: no row, and no other version."""
    view = done(create(work)).view
    assert done(update_webhook(work, view)) == view
    assert len(facts(work.uow)) == 1


def test_the_same_url_again_is_on_record(work):
    """Nobody may learn from the audit whether it was the same."""
    view = done(create(work)).view
    done(update_webhook(work, view, url=URL))
    assert facts(work.uow)[1][2] == {"url_replaced": True}


def test_a_rotation_lets_two_secrets_sign(work):
    """The newest first; the next rotation drops the oldest. One can be brought along."""
    issued = done(create(work))
    first = parse_secret(issued.secret).value
    second = done(rotate_webhook_secret(work, issued.view.id))
    assert opened(work, second.view) == (URL, (parse_secret(second.secret).value, first))
    third = done(rotate_webhook_secret(work, issued.view.id, given=GIVEN))
    assert third.secret is None
    assert opened(work, third.view)[1] == (b"g" * 24, parse_secret(second.secret).value)


def test_only_json_is_signed(work):
    """Slack, Teams and mail have no secret, and take none."""
    for wanted in (spec(format=NoticeFormat.SLACK), mail(name="mail")):
        issued = done(create(work, wanted))
        assert issued.secret is None
        assert opened(work, issued.view) == (wanted.url, ())
        assert refused(rotate_webhook_secret(work, issued.view.id)) == ("conflict", "")
        other = replace(wanted, name="other", secret=GIVEN)
        assert refused(create(work, other)) == ("invalid", "secret")


def test_a_secret_can_be_brought_along(work):
    """It is not shown: who brought it has it."""
    issued = done(create(work, spec(secret=GIVEN)))
    assert (issued.secret, opened(work, issued.view)[1]) == (None, (b"g" * 24,))


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (spec(name=" "), "name"),
        (spec(url=None), "url"),
        (spec(url="http://hooks.example.com/private"), "url"),
        (spec(url="https://10.0.0.1/private"), "url"),
        (spec(url="https://user:private@hooks.example.com/"), "url"),
        (spec(url="private"), "url"),
        (spec(recipients=("a@example.com",)), "recipients"),
        (spec(kinds=()), "kinds"),
        (spec(kinds=("private",)), "kinds"),
        (spec(kinds=("key.expired", "key.expired")), "kinds"),
        (spec(secret="whsec_private"), "secret"),
        (spec(secret="private"), "secret"),
        (spec(secret=""), "secret"),
        (mail(recipients=()), "recipients"),
        (mail(recipients=("private",)), "recipients"),
        (mail(url=URL), "url"),
    ],
)
def test_what_cannot_be(work, wanted, field):
    """It says which part, and repeats nothing of it."""
    answer = create(work, wanted)
    assert refused(answer) == ("invalid", field)
    assert "private" not in said(answer)
    assert work.uow.webhooks.page(Page()) == []


def test_the_platforms_may_lead_anywhere(work):
    """Inside, and without TLS: its administrators run the machine."""
    issued = done(create(work, spec(tenant_id=None, url="http://10.0.0.1:8080/x")))
    assert (issued.view.tenant_id, issued.view.place) == (None, "http://10.0.0.1:8080")


@pytest.mark.parametrize(
    ("change", "url", "field"),
    [
        ({"name": ""}, None, "name"),
        ({"kinds": ()}, None, "kinds"),
        ({"recipients": ("a@example.com",)}, None, "recipients"),
        ({}, "http://hooks.example.com/private", "url"),
        ({}, "", "url"),
    ],
)
def test_a_change_is_checked_as_a_new_one_is(work, change, url, field):
    """The same bounds."""
    view = done(create(work)).view
    answer = update_webhook(work, replace(view, **change), url=url)
    assert refused(answer) == ("invalid", field)


def test_format_and_owner_stay(work):
    """Whatever a caller puts there."""
    view = done(create(work)).view
    moved = replace(view, tenant_id=None, format=NoticeFormat.SLACK, place="x", name="new")
    assert done(update_webhook(work, moved)) == replace(
        view, name="new", version=work.uow.webhooks.get(view.id).version
    )


def test_a_mail_needs_a_mail_server(work):
    """The words name the setting. What is there already can still be changed."""
    answer = create(work, mail(), mail_configured=False)
    assert refused(answer) == ("conflict", "format")
    assert "TOLLWAY_SMTP_URL" in said(answer)
    view = done(create(work, mail())).view
    assert done(update_webhook(work, replace(view, recipients=("b@example.com",)))).recipients == (
        "b@example.com",
    )
    assert refused(update_webhook(work, view, url=URL)) == ("invalid", "url")


def test_a_name_is_there_once_for_each_owner(work):
    """A 409, also by renaming."""
    done(create(work))
    other = done(create(work, spec(name="other"))).view
    assert refused(create(work)) == ("conflict", "name")
    assert refused(update_webhook(work, replace(other, name="pager"))) == ("conflict", "name")
    done(create(work, spec(tenant_id="ten_open")))
    done(create(work, spec(tenant_id=None)))


def test_each_owner_has_room_for_so_many(work):
    """The next one is a 409; others' are not counted."""
    for number in range(MAX_WEBHOOKS):
        last = done(create(work, spec(name=f"number {number}"))).view
    assert refused(create(work)) == ("conflict", "")
    done(create(work, spec(tenant_id="ten_open")))
    done(delete_webhook(work, last.id))
    done(create(work))


@pytest.mark.parametrize(
    ("who", "kind"),
    [(VIEWER, "forbidden"), (USER, "forbidden"), (READER, "forbidden"), (STRANGER, "not_found")],
)
def test_who_may_not(work, who, kind):
    """Nothing is written, and for others' administrators there is no such thing."""
    view = done(create(work)).view
    before = len(facts(work.uow))
    theirs = acting(work, who)
    for answer in (
        create(theirs, spec(name="another")),
        update_webhook(theirs, replace(view, enabled=False)),
        rotate_webhook_secret(theirs, view.id),
        begin_webhook_test(theirs, view.id),
        delete_webhook(theirs, view.id),
    ):
        assert refused(answer)[0] == kind
    assert len(facts(work.uow)) == before
    assert work.uow.webhooks.get(view.id) == view


def test_a_tenants_administrator_has_the_tenants(work):
    """Without saying whose; with two tenants it has to be said. The platform's are not theirs."""
    theirs = acting(work, ADMIN)
    issued = done(create(theirs, spec(tenant_id=None)))
    assert issued.view.tenant_id == "ten_listed"
    done(rotate_webhook_secret(theirs, issued.view.id))
    done(delete_webhook(theirs, issued.view.id))
    assert refused(create(acting(work, DUAL), spec(tenant_id=None))) == ("invalid", "tenant_id")
    platforms = done(create(work, spec(tenant_id=None))).view
    for answer in (
        webhook_in_reach(theirs, platforms.id),
        list_deliveries(theirs, platforms.id, Page()),
        delete_webhook(theirs, platforms.id),
        begin_webhook_test(theirs, platforms.id),
    ):
        assert refused(answer) == ("not_found", "")


def test_what_one_did_not_see_is_not_overwritten(work):
    """`If-Match` of another version is refused by each change."""
    view = done(create(work)).view
    late = acting(work, PLATFORM_ADMIN, request=Request(if_match=view.version + 1))
    for answer in (
        update_webhook(late, replace(view, name="new")),
        rotate_webhook_secret(late, view.id),
        delete_webhook(late, view.id),
    ):
        assert refused(answer) == ("precondition", "")


def test_a_test_is_put_together(work):
    """Of the tenant's name and the webhook's; a webhook that is turned off too."""
    issued = done(create(work, spec(enabled=False)))
    trial = done(begin_webhook_test(acting(work, ADMIN), issued.view.id))
    notice = trial.notice
    assert (notice.kind, notice.tenant_id, notice.tenant_name) == (
        "webhook.test",
        "ten_listed",
        "Listed",
    )
    assert notice.id.startswith("evt_")
    assert open_webhook(BOX, trial.view, trial.sealed)[0] == URL
    platforms = done(create(work, spec(tenant_id=None))).view
    assert done(begin_webhook_test(work, platforms.id)).notice.tenant_name is None


def test_lists(work):
    """Each sees their tenant's; the platform's administrators see all; users have no list."""
    mine = done(create(work)).view
    others = done(create(work, spec(tenant_id="ten_open"))).view
    platforms = done(create(work, spec(tenant_id=None))).view
    everything = sorted((mine, others, platforms), key=lambda view: view.id)
    assert done(list_webhooks(work, Page())) == everything
    assert done(list_webhooks(work, Page(), tenant_id="ten_open")) == [others]
    for who in (ADMIN, VIEWER, READER):
        theirs = acting(work, who)
        assert done(list_webhooks(theirs, Page())) == [mine]
        assert done(webhook_in_reach(theirs, mine.id)) == mine
        assert refused(list_webhooks(theirs, Page(), tenant_id="ten_open")) == ("not_found", "")
        assert refused(webhook_in_reach(theirs, others.id)) == ("not_found", "")
    user = acting(work, USER)
    assert refused(list_webhooks(user, Page())) == ("forbidden", "")
    assert refused(webhook_in_reach(user, mine.id)) == ("forbidden", "")
    assert refused(list_events(user, Page())) == ("forbidden", "")


def test_a_deleted_tenants_are_absent(work):
    """Until it is restored."""
    view = done(create(work)).view
    tenant = work.uow.tenants.get("ten_listed")
    work.uow.tenants.save(replace(tenant, deleted_s=work.uow.now_s))
    assert refused(webhook_in_reach(work, view.id)) == ("not_found", "")
    assert done(list_webhooks(work, Page())) == []
    work.uow.tenants.save(tenant)
    assert done(webhook_in_reach(work, view.id)).name == "pager"


def event(tenant_id, once):
    return Event(EventKind.KEY_EXPIRED, once, 2_000_000_000, tenant_id, once)


def test_events_and_what_was_told(engine):
    """The newest first; of a tenant its own, of the platform all. What is told follows the kinds a
    webhook wants."""
    configuration = database.configuration(engine)
    with configuration.begin() as uow:
        furnish(uow)
        work = work_of(uow, PLATFORM_ADMIN)
        mine = done(create(work)).view
        deaf = done(create(work, spec(name="deaf", kinds=("key.expiring",)))).view
        platforms = done(create(work, spec(tenant_id=None))).view
        uow.commit()
    found = [
        ("evt_1", event("ten_listed", "mine")),
        ("evt_2", event("ten_open", "theirs")),
        ("evt_3", event(None, "the platform's")),
        ("evt_4", event("ten_listed", "mine again")),
    ]
    SqlAlerts(engine).keep(found, at_s=database.NOW_S)
    with configuration.read() as uow:
        work, theirs = work_of(uow, PLATFORM_ADMIN), work_of(uow, VIEWER)

        def ids(records):
            return [record.id for record in done(records)]

        assert ids(list_events(work, Page())) == ["evt_4", "evt_3", "evt_2", "evt_1"]
        assert ids(list_events(theirs, Page())) == ["evt_4", "evt_1"]
        assert ids(list_events(theirs, Page(1, "evt_4"))) == ["evt_1"]
        assert ids(list_events(work, Page(), tenant_id="ten_open")) == ["evt_2"]
        assert refused(list_events(theirs, Page(), tenant_id="ten_open")) == ("not_found", "")

        def told(who, view):
            return [one.event_id for one in done(list_deliveries(who, view.id, Page()))]

        assert told(theirs, mine) == ["evt_4", "evt_1"]
        assert told(theirs, deaf) == []
        assert told(work, platforms) == ["evt_4", "evt_3", "evt_2", "evt_1"]
        assert refused(list_deliveries(work_of(uow, STRANGER), mine.id, Page())) == (
            "not_found",
            "",
        )
