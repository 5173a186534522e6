"""Webhooks, deliveries and events as rows: a webhook comes back as it was set, is found by its
owner, and goes with what was on its way to it.
"""

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from tests.fakes.database import NOW_S
from tollway.adapters.sql.alerts import SqlAlerts
from tollway.adapters.sql.tables import deliveries, events, webhooks
from tollway.app.ports_alerts import Sealed
from tollway.app.ports_directory import ConflictError, Page
from tollway.app.views import DeliveryView, TenantView, WebhookView
from tollway.domain.event import Event, EventKind
from tollway.domain.notice import NoticeFormat

FULL = WebhookView(
    "whk_full",
    "ten_a",
    "people",
    NoticeFormat.EMAIL,
    "https://hooks.example",
    ("a@example.com", "b@example.com"),
    ("key.expired", "key.expiring"),
    False,
)
SEALED = Sealed(b"address", (b"new", b"before"))


@pytest.fixture
def ready(configuration):
    with configuration.begin() as uow:
        for name in ("a", "b"):
            uow.tenants.add(TenantView(f"ten_{name}", name, name), b"salt")
        uow.commit()
    return configuration


@pytest.fixture
def uow(ready):
    with ready.begin() as uow:
        yield uow


def hook(name, owner="ten_a", **changes):
    return WebhookView(f"whk_{name}", owner, name, NoticeFormat.SLACK, **changes)


def add(uow, *views):
    for view in views:
        uow.webhooks.add(view, Sealed(b"address"))


def found(uow, at=None, **given):
    return [view.id for view in uow.webhooks.page(at or Page(), **given)]


def happened(id_, tenant_id="ten_a"):
    facts = (("Key", "one"), ("Key", "two"))
    data = {"number": 1, "none": None}
    return id_, Event(EventKind.KEY_EXPIRED, id_, NOW_S, tenant_id, f"title {id_}", facts, data)


def test_a_webhook_comes_back_as_it_was_set(uow):
    """Every field of it, and what it keeps closed, which stays where nothing new is given."""
    uow.webhooks.add(FULL, SEALED)
    kept = replace(FULL, created_s=uow.now_s, version=uow.version)
    assert uow.webhooks.get(FULL.id) == uow.webhooks.find("ten_a", "people") == kept
    assert uow.webhooks.sealed(FULL.id) == SEALED
    changed = replace(kept, name="new", recipients=(), kinds=None, enabled=True, place="")
    uow.webhooks.save(changed)
    assert uow.webhooks.get(FULL.id) == replace(changed, version=uow.version)
    assert uow.webhooks.sealed(FULL.id) == SEALED
    uow.webhooks.save(changed, Sealed(None, (b"only",)))
    assert uow.webhooks.sealed(FULL.id) == Sealed(None, (b"only",))
    uow.webhooks.save(changed, Sealed(b"third", (b"3", b"2", b"1")))
    assert uow.webhooks.sealed(FULL.id) == Sealed(b"third", (b"3", b"2"))
    assert uow.webhooks.sealed("whk_none") is None


@pytest.mark.parametrize("owner", ["ten_a", None])
def test_one_name_for_one_owner(uow, owner):
    """The database itself keeps out a second, the platform's too."""
    add(uow, hook("1", "ten_b"), hook("2", owner))
    with pytest.raises(ConflictError):
        add(uow, replace(hook("3", owner), name="2"))


def test_lists_narrow_and_continue(uow):
    """By owner, the platform among them; behind an id."""
    add(uow, hook("1"), hook("2", "ten_b"), hook("3", None))
    assert found(uow) == ["whk_1", "whk_2", "whk_3"]
    assert found(uow, Page(1, "whk_1")) == ["whk_2"]
    assert found(uow, owners=["ten_a", None]) == ["whk_1", "whk_3"]
    assert found(uow, owners=[None]) == ["whk_3"]
    assert found(uow, owners=[]) == []
    assert uow.webhooks.get("whk_1", owners=["ten_b", None]) is None
    assert uow.webhooks.find("ten_a", "2") is uow.webhooks.find("ten_b", "3") is None


def test_of_deleted_tenants_there_are_none(uow):
    """But to be sealed anew; restored, they are there as they were."""
    add(uow, hook("1"), hook("2", "ten_b"))
    tenant = uow.tenants.get("ten_a")
    uow.tenants.save(replace(tenant, deleted_s=uow.now_s))
    assert found(uow) == ["whk_2"]
    assert uow.webhooks.get("whk_1") is uow.webhooks.find("ten_a", "1") is None
    assert uow.webhooks.sealed("whk_1") is None
    every = uow.webhooks.every("", 10)
    assert [view.id for view, _ in every] == ["whk_1", "whk_2"]
    assert [sealed for _, sealed in every] == [Sealed(b"address")] * 2
    assert [view.id for view, _ in uow.webhooks.every("whk_1", 1)] == ["whk_2"]
    uow.tenants.save(tenant)
    assert found(uow) == ["whk_1", "whk_2"]


def test_events_come_back_the_newest_first(ready, engine):
    """Whole, by owner, in parts."""
    kept = [happened("evt_1"), happened("evt_2", "ten_b"), happened("evt_3", None)]
    SqlAlerts(engine).keep(kept, at_s=NOW_S)
    with ready.read() as uow:
        records = uow.webhooks.events(Page())
        assert [(one.id, one.event) for one in records] == kept[::-1]
        assert {one.at_s for one in records} == {NOW_S}

        def ids(*given, **owners):
            return [one.id for one in uow.webhooks.events(Page(*given), **owners)]

        assert ids(1, "evt_3") == ["evt_2"]
        assert ids(owners=["ten_a"]) == ["evt_1"]
        assert ids(owners=["ten_b", None]) == ["evt_3", "evt_2"]
        assert ids(owners=[]) == []


def test_deliveries_say_how_far_it_is(ready, engine):
    """Waiting, taken, given up; the newest event first, of the one webhook."""
    with ready.begin() as uow:
        add(uow, hook("1"), hook("2", None))
        uow.commit()
    alerts = SqlAlerts(engine)
    alerts.keep([happened("evt_1"), happened("evt_2")], at_s=NOW_S)
    first = next(due for due in alerts.due(NOW_S, limit=9, lease_s=60) if due.webhook.tenant_id)
    alerts.done(first, now_s=NOW_S + 2, reason="gone", failed=True)
    with ready.read() as uow:
        given_up = DeliveryView(
            "evt_1", "key.expired", "title evt_1", NOW_S, "failed", 1, NOW_S + 60, NOW_S + 2, "gone"
        )
        waiting = DeliveryView(
            "evt_2", "key.expired", "title evt_2", NOW_S, "waiting", 0, NOW_S, None, ""
        )
        assert uow.webhooks.deliveries("whk_1", Page()) == [waiting, given_up]
        assert uow.webhooks.deliveries("whk_1", Page(1, "evt_2")) == [given_up]
        assert len(uow.webhooks.deliveries("whk_2", Page())) == 2


@pytest.mark.parametrize("scope", [None, ("ten_a",)], ids=["system", "tenant"])
def test_a_webhook_goes_with_what_was_on_its_way(ready, engine, scope):
    """And with nothing else; also in the scope of its tenant, which writes no events."""
    with ready.begin() as uow:
        add(uow, hook("1"), hook("2"))
        uow.commit()
    SqlAlerts(engine).keep([happened("evt_1")], at_s=NOW_S)
    with ready.begin(scope) as uow:
        uow.webhooks.remove("whk_1")
        uow.commit()
    with ready.read() as uow:
        assert found(uow) == ["whk_2"]
        assert len(uow.webhooks.deliveries("whk_2", Page())) == 1
        assert len(uow.webhooks.events(Page())) == 1


def test_a_purged_tenant_leaves_no_webhook(ready, engine):
    """What happened stays, for its month."""
    with ready.begin() as uow:
        add(uow, hook("1"), hook("2", "ten_b"))
        uow.commit()
    SqlAlerts(engine).keep([happened("evt_1"), happened("evt_2", "ten_b")], at_s=NOW_S)
    with ready.begin() as uow:
        uow.tenants.purge("ten_a")
        uow.commit()
    with engine.connect() as connection:
        assert connection.execute(select(webhooks.c.id)).scalars().all() == ["whk_2"]
        assert connection.execute(select(deliveries.c.webhook_id)).scalars().all() == ["whk_2"]
        assert connection.execute(select(func.count()).select_from(events)).scalar() == 2


def test_a_scope_reads_its_own(ready, engine):
    """Its webhooks, their deliveries and its events: not the platform's, not another's."""
    with ready.begin() as uow:
        add(uow, hook("1"), hook("2", "ten_b"), hook("3", None))
        uow.commit()
    kept = [happened("evt_1"), happened("evt_2", "ten_b"), happened("evt_3", None)]
    SqlAlerts(engine).keep(kept, at_s=NOW_S)
    with ready.read(("ten_a",)) as uow:
        own = ["ten_a"]
        assert found(uow, owners=own) == ["whk_1"]
        assert [one.id for one in uow.webhooks.events(Page(), owners=own)] == ["evt_1"]
        assert [one.event_id for one in uow.webhooks.deliveries("whk_1", Page())] == ["evt_1"]
