"""What is noticed, once each, on a real ledger and store: whoever looks, and however often."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from sqlalchemy import insert, select, update

from tests.fakes.clock import FixedClock
from tests.fakes.quotas import quota
from tests.fakes.receipts import an_outcome
from tests.fakes.stores import STORES, store
from tollway.adapters.sql.alerts import SqlAlerts
from tollway.adapters.sql.counting import SqlCounts
from tollway.adapters.sql.directory import SqlConfiguration
from tollway.adapters.sql.engine import reading, writing
from tollway.adapters.sql.ledger import SqlLedger
from tollway.adapters.sql.tables import api_keys, events, peppers, quotas
from tollway.adapters.system.entropy import system_entropy
from tollway.app.jobs.alert import KEPT_S, Alerts, pause_s
from tollway.app.ports_alerts import Ejected
from tollway.app.views import QuotaView, TenantSettings, TenantView
from tollway.domain.ids import TenantId
from tollway.domain.quota import Scope


@pytest.mark.parametrize(
    ("took_s", "rest_s"),
    [(0, 5), (0.1, 5), (0.5, 9.5), (2, 38), (4, 60), (20, 60), (60, 60), (90, 90), (3600, 3600)],
)
def test_how_long_nothing_is_looked_at(took_s, rest_s):
    """A look takes a twentieth of the time, but one that was slow for want of a core keeps nobody
    waiting for more than a minute; and never more than half of the time is spent on it."""
    assert pause_s(took_s) == rest_s


NOON_S = 1_795_003_200  # 2026-11-18 12:00 UTC
DAY_S, HOUR_S = 86_400, 3_600
SPENT_NUSD = 1_000_000_000


class World:
    """A database with one tenant, a clock that a test moves, and the job."""

    def __init__(self, engine):
        self.engine = engine
        self.clock = FixedClock(NOON_S * 1_000_000_000)
        self.store = SqlAlerts(engine)
        self.places = iter(range(1, 1000))
        self.jobs = [self.job(), self.job()]
        with self.work() as uow:
            tenant = TenantView(TenantId("ten_a"), "acme", "Acme", TenantSettings("UTC"))
            uow.tenants.add(tenant, b"salt")
            uow.commit()

    def job(self):
        """As one gateway has it."""
        return Alerts(self.store, SqlCounts(self.engine), self.clock, system_entropy)

    def work(self):
        return SqlConfiguration(self.engine, self.clock).begin()

    @property
    def now_s(self):
        return self.clock.wall_ns() // 1_000_000_000

    def at(self, at_s):
        """It is then."""
        self.clock = FixedClock(at_s * 1_000_000_000)
        self.jobs = [self.job(), self.job()]

    def limit(self, *given, **changes):
        """A limit of the tenant."""
        record = quota(*given, **changes)
        with self.work() as uow:
            uow.quotas.add(QuotaView(record))
            uow.commit()
        return record

    def use(self, count, *, at_s=None, **changes):
        """So many requests were shipped, of a second each."""
        at_s = self.now_s if at_s is None else at_s
        day = datetime.fromtimestamp(at_s, UTC).strftime("%Y%m%d")
        place = next(self.places)
        made = [
            an_outcome(
                f"req_{day}{place:012x}{number:08x}",
                **{"tenant_id": "ten_a", "started_ns": at_s * 1_000_000_000, **changes},
            )
            for number in range(count)
        ]
        SqlLedger(self.engine).append("here-0", made, (place, 1))

    def look(self):
        """Every gateway looks; what there is then, as (kind, once's own end, percent)."""
        for job in self.jobs:
            job.run_once()
        return self.known()

    def known(self):
        with reading(self.engine) as connection:
            rows = connection.execute(select(events).order_by(events.c.id)).all()
        return [(row.kind, row.data) for row in rows]

    def percents(self):
        """Of what there is."""
        return sorted(data["percent"] for _, data in self.look())


@pytest.fixture(params=STORES)
def world(request, tmp_path):
    with store(request.param, tmp_path) as engine:
        yield World(engine)


def test_each_share_once_in_a_window(world):
    """However often it is looked at, by however many; and again in the next window."""
    world.limit(10, period="day", alert_at=(50, 100))
    world.use(4)
    assert world.percents() == []
    world.use(1)
    assert world.percents() == [50]
    world.use(7)
    assert world.percents() == [50, 100]
    assert world.percents() == [50, 100]
    world.at(NOON_S + DAY_S)
    assert world.percents() == [50, 100]
    world.use(5)
    assert world.percents() == [50, 50, 100]
    kind, data = world.known()[-1]
    assert kind == "quota.threshold_reached"
    assert (data["used"], data["limit"], data["metric"]) == (5, 10, "requests")
    assert (data["window_start"], data["resets_at"]) == (
        "2026-11-19T00:00:00Z",
        "2026-11-20T00:00:00Z",
    )


def test_all_gateways_at_the_same_moment(world):
    """The name is unique in the database, not in whoever looks."""
    world.limit(1, period="day", alert_at=(100,))
    world.use(1)
    seen = [job._reached(NOON_S, NOON_S) for job in world.jobs]
    found = [list(one) for one in seen]
    assert [len(one) for one in found] == [1, 1]
    kept = [
        world.store.keep([(f"evt_{number}", event)], at_s=NOON_S)
        for number, (event,) in enumerate(found)
    ]
    assert kept == [1, 0]


def test_what_is_shipped_after_its_window_counts_there(world):
    """The window is over, and so is the look at it; the outcome came late."""
    world.limit(10, period="hour", alert_at=(50,))
    world.look()
    world.at(NOON_S + HOUR_S + 60)
    world.use(5, at_s=NOON_S + HOUR_S - 1)
    assert world.percents() == [50]
    assert world.known()[0][1]["window_start"] == "2026-11-18T12:00:00Z"


def test_a_gateway_that_was_away_misses_no_window(world):
    """Each of the hours meanwhile, and none from before the limit was there."""
    world.use(9, at_s=NOON_S - HOUR_S)
    world.limit(10, period="hour", alert_at=(50,))
    world.look()
    for hour in range(6):
        world.use(5, at_s=NOON_S + hour * HOUR_S)
    world.at(NOON_S + 6 * HOUR_S)
    assert len(world.percents()) == 6


def test_members_have_alerts_of_their_own(world):
    """Each key is told of by itself, and which it is."""
    world.limit(4, period="day", per=Scope.KEY, alert_at=(50,))
    world.use(2, key_id="key_1")
    world.use(1, key_id="key_2")
    assert [data["member"] for _, data in world.look()] == ["key_1"]
    world.use(3, key_id="key_2")
    assert {data["member"] for _, data in world.look()} == {"key_1", "key_2"}


def test_money_is_told_in_dollars(world):
    """As the API writes it; and another limit has alerts of its own."""
    record = world.limit(10 * SPENT_NUSD, "cost", "month", alert_at=(80,))
    world.use(8, cost_nusd=SPENT_NUSD)
    [(_, data)] = world.look()
    assert (data["used"], data["limit"]) == ("8", "10")
    with world.work() as uow:
        uow.quotas.save(QuotaView(replace(record, limit=20 * SPENT_NUSD)))
        uow.commit()
    world.use(7, cost_nusd=SPENT_NUSD)
    assert len(world.look()) == 1
    world.use(1, cost_nusd=SPENT_NUSD)
    assert sorted(data["limit"] for _, data in world.look()) == ["10", "20"]


def test_a_total_is_told_of_once_for_ever(world):
    """Its name is kept as long as its window: what is old otherwise goes."""
    world.limit(2, period="total", alert_at=(100,))
    world.limit(2, period="day", alert_at=(100,))
    world.use(2)
    assert len(world.look()) == 2
    world.at(NOON_S + 2 * KEPT_S)
    assert world.jobs[0].forget() == 1
    assert [data["period"] for _, data in world.look()] == ["total"]
    assert world.known()[0][1]["resets_at"] is None


def test_an_increase_that_ends_is_told_once(world):
    """At its end, not before, also to a gateway that was away; never of ones long over."""
    raised = {"raised_to": 20, "raised_until_s": NOON_S + 100}
    world.limit(10, period="day", **raised)
    world.limit(10, "tokens", "day", raised_to=20, raised_until_s=NOON_S - DAY_S)
    assert world.look() == []
    world.at(NOON_S + 99)
    assert world.look() == []
    world.at(NOON_S + 100)
    assert [kind for kind, _ in world.look()] == ["quota.increase_ended"]
    world.at(NOON_S + 5 * HOUR_S)
    [(_, data)] = world.look()
    assert (data["limit"], data["raised_to"]) == (10, 20)
    assert data["raised_until"] == "2026-11-18T12:01:40Z"


def test_a_limit_of_a_tenant_that_is_gone_tells_nothing(world):
    """Deleted tenants are asked about by nobody."""
    world.limit(1, period="day", alert_at=(100,))
    world.use(1)
    with world.work() as uow:
        uow.tenants.save(replace(uow.tenants.get("ten_a"), deleted_s=NOON_S))
        uow.commit()
    assert world.look() == []


def key(world, key_id, expires_s, *, created_s=NOON_S - 90 * DAY_S, revoked_s=None):
    with writing(world.engine) as connection:
        if not connection.execute(select(peppers)).first():
            connection.execute(insert(peppers).values(version=1, wrapped=b"", created_s=0))
        connection.execute(
            insert(api_keys).values(
                id=key_id,
                tenant_id="ten_a",
                env="live",
                name=key_id.upper(),
                prefix="p",
                last4="1234",
                digest=key_id.encode(),
                pepper_version=1,
                created_s=created_s,
                expires_s=expires_s,
                revoked_s=revoked_s,
                version=1,
            )
        )


def test_a_key_is_told_of_before_and_when_it_expires(world):
    """A week before, a day before, then. Not of a revoked one, nor of one made for an hour."""
    end_s = NOON_S + 10 * DAY_S
    key(world, "key_1", end_s)
    key(world, "key_2", end_s, revoked_s=NOON_S)
    key(world, "key_3", end_s + HOUR_S, created_s=end_s)
    told = []
    for at_s in range(NOON_S, end_s + 2 * DAY_S, 6 * HOUR_S):
        world.at(at_s)
        told.append((at_s, len(world.look())))
    steps = [at_s for (_, before), (at_s, after) in pairwise(told) if after > before]
    assert steps == [end_s - 7 * DAY_S, end_s - DAY_S, end_s]
    assert sorted(kind for kind, _ in world.known()) == ["key.expired", *["key.expiring"] * 2]
    assert {data["key_id"] for _, data in world.known()} == {"key_1"}


def test_a_key_with_another_end_is_told_of_again(world):
    """The end is part of the name."""
    key(world, "key_1", NOON_S + DAY_S)
    world.at(NOON_S)
    world.look()
    with writing(world.engine) as connection:
        connection.execute(update(api_keys).values(expires_s=NOON_S + 3 * DAY_S))
    world.at(NOON_S + 2 * DAY_S)
    assert sorted(data["expires_at"] for _, data in world.look()) == [
        "2026-11-19T12:00:00Z",
        "2026-11-21T12:00:00Z",
    ]


def test_no_alert_without_an_alert_at(world):
    """Limits that ask for none are not even looked at."""
    world.limit(1, period="day")
    world.use(5)
    assert world.look() == []
    with reading(world.engine) as connection:
        assert connection.execute(select(quotas)).all()


def test_a_target_that_does_not_answer_is_told_once_an_hour(world):
    """Whoever sees it; its provider's owner is told."""
    seen = [
        Ejected("prv_1", "lab", None, "big", "timeout"),
        Ejected("prv_2", "own", "ten_a", "small", "refused"),
    ]
    for job in world.jobs:
        job._ejected = lambda: seen
    assert [job.run_once() for job in world.jobs] == [2, 0]
    with reading(world.engine) as connection:
        rows = connection.execute(select(events).order_by(events.c.title)).all()
    assert [(row.title, row.tenant_id, row.data["cause"]) for row in rows] == [
        ("Provider lab: big does not answer", None, "timeout"),
        ("Provider own: small does not answer", "ten_a", "refused"),
    ]
    world.at(NOON_S + HOUR_S - 1)
    for job in world.jobs:
        job._ejected = lambda: seen
    assert [job.run_once() for job in world.jobs] == [0, 0]
    world.at(NOON_S + HOUR_S)
    for job in world.jobs:
        job._ejected = lambda: seen[:1]
    assert [job.run_once() for job in world.jobs] == [1, 0]
