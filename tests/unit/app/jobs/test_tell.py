"""What becomes of deliveries: told once, tried again on its schedule, given up aloud."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from sqlalchemy import insert, select, update

from tests.fakes.clock import FixedClock
from tests.fakes.stores import STORES, store
from tollway.adapters.sql.alerts import SqlAlerts
from tollway.adapters.sql.directory import SqlConfiguration
from tollway.adapters.sql.engine import reading, writing
from tollway.adapters.sql.tables import deliveries, tenants, webhooks
from tollway.app.jobs.tell import Telling
from tollway.app.ports import SecretError
from tollway.app.ports_alerts import Sealed
from tollway.app.ports_directory import Page
from tollway.app.views import WebhookView
from tollway.domain.event import Event, EventKind, event_id
from tollway.domain.ids import TenantId, WebhookId
from tollway.domain.notice import NoticeFormat
from tollway.domain.notice_delivery import Delivered, Failed

NOW_S = 1_795_003_200
LEASE_S = 300


@dataclass
class Receivers:
    """Answers as a test says, by webhook; keeps what was sent."""

    answers: dict = field(default_factory=dict)
    sent: list = field(default_factory=list)

    def send_now(self, webhook, sealed, notice):
        answer = self.answers.get(webhook.id, Delivered())
        self.sent.append((webhook.id, notice.id, notice.title))
        if isinstance(answer, Exception):
            raise answer
        return answer


class World:
    def __init__(self, engine):
        self.engine, self.store, self.receivers = engine, SqlAlerts(engine), Receivers()
        self.now_s = NOW_S
        self.pool = ThreadPoolExecutor(4)
        with writing(engine) as connection:
            for one in ("ten_a", "ten_b"):
                connection.execute(
                    insert(tenants).values(
                        id=one, slug=one, name=one, active=True, salt=b"", created_s=0, version=0
                    )
                )

    def work(self):
        return SqlConfiguration(self.engine, FixedClock(NOW_S * 10**9)).begin()

    def hook(self, name, tenant_id=None, **changes):
        """A webhook of that id and name."""
        view = WebhookView(WebhookId(name), tenant_id, name, NoticeFormat.JSON, **changes)
        with self.work() as uow:
            uow.webhooks.add(view, Sealed(b"url", (b"new", b"old")))
            uow.commit()
        return view

    def event(self, once, tenant_id=None, kind=EventKind.KEY_EXPIRED):
        """Noticed now."""
        event = Event(kind, once, NOW_S, tenant_id and TenantId(tenant_id), once)
        assert self.store.keep([(event_id(NOW_S, once[-5:].encode().ljust(5)), event)], at_s=NOW_S)

    def tell(self):
        """One run; what was sent in it, as (webhook, title)."""
        before = len(self.receivers.sent)
        self.telling().run_once()
        return sorted((hook, title) for hook, _, title in self.receivers.sent[before:])

    def telling(self):
        clock = FixedClock(self.now_s * 10**9)
        return Telling(self.store, self.receivers, clock, senders=self.pool, draw=lambda: 0.5)

    def stand(self):
        """(state, attempts, due in s, reason) of every delivery."""
        with reading(self.engine) as connection:
            rows = connection.execute(select(deliveries).order_by(deliveries.c.event_id)).all()
        return [(row.state, row.attempts, row.next_s - self.now_s, row.reason) for row in rows]


@pytest.fixture(params=STORES)
def world(request, tmp_path):
    with store(request.param, tmp_path) as engine:
        made = World(engine)
        yield made
        made.pool.shutdown()


def test_who_is_told_of_what(world):
    """The platform of everything, a tenant of its own, each of the kinds it wants."""
    world.hook("all")
    world.hook("a", "ten_a")
    world.hook("b", "ten_b")
    world.hook("b_off", "ten_b", enabled=False)
    world.hook("b_quota", "ten_b", kinds=("quota.threshold_reached",))
    for tenant_id in (None, "ten_a", "ten_b"):
        world.event(f"of {tenant_id}", tenant_id)
    told = [*world.tell(), *world.tell(), *world.tell(), *world.tell()]
    assert sorted(told) == [
        ("a", "of ten_a"),
        ("all", "of None"),
        ("all", "of ten_a"),
        ("all", "of ten_b"),
        ("b", "of ten_b"),
    ]


def test_a_failure_is_tried_again_on_its_schedule(world):
    """Later and later, until it is given up after days, aloud."""
    world.hook("a", "ten_a")
    world.event("x", "ten_a")
    world.receivers.answers["a"] = Failed(True, "https://a.example: refused")
    waits = []
    while world.tell():
        [(state, attempts, wait_s, reason)] = world.stand()
        assert reason == "https://a.example: refused"
        if state == "waiting":
            assert world.tell() == []
            waits.append(wait_s)
            world.now_s += wait_s
    assert (state, attempts) == ("failed", 13)
    assert waits[:5] == [6, 31, 121, 601, 1801]
    assert 2.5 * 86_400 < sum(waits) < 3.2 * 86_400


def test_a_receiver_says_when(world):
    """No attempt before it wishes one."""
    world.hook("a", "ten_a")
    world.event("x", "ten_a")
    world.receivers.answers["a"] = Failed(True, "busy", 1000.0)
    world.tell()
    assert world.stand()[0][2] == 1001


def test_a_receiver_that_wants_no_more(world):
    """410: its webhook is switched off."""
    world.hook("a", "ten_a")
    world.event("x", "ten_a")
    world.event("y", "ten_a")
    world.receivers.answers["a"] = Failed(False, "gone", gone=True)
    assert len(world.tell()) == 1
    assert world.tell() == []
    with world.work() as uow:
        assert not uow.webhooks.get("a").enabled
    assert sorted(row[0] for row in world.stand()) == ["failed", "waiting"]


def test_what_does_not_open_is_tried_again(world):
    """A gateway with another master key: somebody else may have the right one."""
    world.hook("a", "ten_a")
    world.event("x", "ten_a")
    world.receivers.answers["a"] = SecretError("no")
    world.tell()
    assert world.stand()[0][:2] == ("waiting", 1)


def test_nobody_else_gets_what_somebody_is_sending(world):
    """Taken is not due; a sender that died has a lease, and then it is anybody's."""
    world.hook("a", "ten_a")
    world.event("x", "ten_a")
    [mine] = world.store.due(NOW_S, limit=10, lease_s=LEASE_S)
    assert mine.attempts == 1
    assert mine.sealed == Sealed(b"url", (b"new", b"old"))
    assert world.store.due(NOW_S + LEASE_S - 1, limit=10, lease_s=LEASE_S) == []
    world.now_s = NOW_S + LEASE_S
    assert world.tell() == [("a", "x")]
    assert world.stand()[0][:2] == ("delivered", 2)
    world.store.again(mine, next_s=0, reason="late")  # the first one wakes up
    assert world.stand()[0][0] == "delivered"


def test_two_who_take_at_once_share(world):
    """Each delivery is one's."""
    for number in range(20):
        world.hook(f"h{number:02}", "ten_a" if number % 2 else None)
    world.event("x", "ten_a")
    with ThreadPoolExecutor(2) as both:
        found = both.map(lambda _: world.store.due(NOW_S, limit=30, lease_s=LEASE_S), range(2))
    taken = [due.webhook.id for one in found for due in one]
    assert len(taken) == len(set(taken))
    assert len(taken) >= 8


def test_a_slow_owner_leaves_room_for_others(world):
    """One for a webhook, few for an owner in each run."""
    for number in range(10):
        world.hook(f"a{number}", "ten_a")
    world.hook("b", "ten_b")
    world.event("x", "ten_a")
    world.event("y", "ten_a")
    world.event("z", "ten_b")
    first = world.tell()
    assert len(first) == 5
    assert ("b", "z") in first


def test_on_the_way_out_nothing_is_begun(world):
    """It is due again later."""
    world.hook("a", "ten_a")
    world.event("x", "ten_a")
    telling = world.telling()
    telling.leave()
    telling.run_once()
    assert world.receivers.sent == []
    assert world.stand()[0][:2] == ("waiting", 1)


def test_what_was_told_can_be_looked_up(world):
    """The newest first, a page at a time; gone with the webhook, the events stay."""
    world.hook("a", "ten_a")
    for name in ("x1", "x2", "x3"):
        world.event(name, "ten_a")
    world.tell()
    with world.work() as uow:
        listed = uow.webhooks.deliveries("a", Page(2))
        assert [row.title for row in listed] == ["x3", "x2"]
        assert sorted(row.state for row in listed) == ["waiting", "waiting"]
        rest = uow.webhooks.deliveries("a", Page(2, listed[-1].event_id))
        assert [(row.title, row.state, row.done_s) for row in rest] == [("x1", "delivered", NOW_S)]
        uow.webhooks.remove("a")
        assert len(uow.webhooks.events(Page(10), owners=["ten_a"])) == 3
        assert uow.webhooks.events(Page(10), owners=["ten_b", None]) == []
        uow.commit()
    assert world.stand() == []


def test_of_a_tenant_that_is_deleted_nothing_is_told(world):
    """It waits for the tenant to be restored."""
    world.hook("a", "ten_a")
    world.event("x", "ten_a")
    with writing(world.engine) as connection:
        connection.execute(update(tenants).where(tenants.c.id == "ten_a").values(deleted_s=NOW_S))
    assert world.tell() == []
    with writing(world.engine) as connection:
        connection.execute(update(tenants).values(deleted_s=None))
        assert connection.execute(select(webhooks.c.id)).all()
    assert world.tell() == [("a", "x")]
