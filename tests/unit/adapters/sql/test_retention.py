"""Entries go, what they came to stays: counters, roll-ups and `ledger verify` do not notice."""

import random
import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select, text, update

from tests.fakes.clock import FixedClock
from tests.fakes.quotas import quota
from tests.fakes.receipts import an_outcome
from tests.fakes.stores import STORES, store
from tollway.adapters.sql.counting import SqlCounts
from tollway.adapters.sql.engine import reading, writing
from tollway.adapters.sql.ledger import SqlLedger
from tollway.adapters.sql.ledger_reading import SqlLedgerReader
from tollway.adapters.sql.partitions import partitioned_days
from tollway.adapters.sql.retention import SqlRetention
from tollway.adapters.sql.tables import (
    ledger_closings,
    ledger_entries,
    models,
    tenant_settings,
    tenants,
)
from tollway.app.jobs.retain import Retained, Retention
from tollway.app.ports import StoreUnavailableError
from tollway.domain.hold import CounterRef
from tollway.domain.ledger_check import check_attempts, compare
from tollway.domain.quota import Metric, Scope
from tollway.domain.window import Period, Zone, window_at

NOON_S = 1_795_000_000
TODAY = datetime.fromtimestamp(NOON_S, UTC).date()
KEPT = {"ten_a": 3, "ten_b": 20, "ten_c": None}
ZONES = [Zone("Asia/Kolkata"), Zone("America/New_York")]


@pytest.fixture(params=STORES)
def engine(request, tmp_path):
    with store(request.param, tmp_path) as made:
        with writing(made) as connection:
            for version, (name, days) in enumerate(KEPT.items(), 1):
                made_of = {"id": name, "slug": name, "name": name, "salt": b"s", "active": True}
                connection.execute(insert(tenants).values(**made_of, created_s=0, version=1))
                settings = {"timezone": "UTC", "timezone_since_s": 0, "content_logging": False}
                connection.execute(
                    insert(tenant_settings).values(
                        tenant_id=name,
                        retention_days=days,
                        models="all",
                        version=version,
                        **settings,
                    )
                )
            for number, name in enumerate(("small", "large"), 1):
                connection.execute(
                    insert(models).values(
                        id=f"mdl_{number}",
                        name=name,
                        strategy="priority",
                        enabled=True,
                        created_s=0,
                        version=1,
                    )
                )
        yield made


def outcomes(seed, count=300, days=42):
    """Of so many days, by three tenants and nobody; every payer."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        started_s = NOON_S - draw.randrange(86_400 * days)
        day = datetime.fromtimestamp(started_s, UTC).strftime("%Y%m%d")
        model = draw.choice([1, 2])
        made.append(
            an_outcome(
                f"req_{day}{seed:012x}{number:08x}",
                started_ns=started_s * 10**9 + draw.randrange(10**9),
                tenant_id=draw.choice([*KEPT, *KEPT, None]),
                project_id=draw.choice([None, "prj_1"]),
                account_id=draw.choice([None, "acc_1"]),
                key_id=draw.choice(["key_1", "key_2"]),
                model=("small", "large")[model - 1],
                model_id=f"mdl_{model}",
                end_user=draw.choice([None, "ann", "bob"]),
                input=draw.randrange(1000),
                cached_input=draw.choice([None, 5]),
                output=draw.choice([None, draw.randrange(500)]),
                payer=draw.choice(["reported", "estimated", "failed_over", "failed"]),
                usage_source=draw.choice(["provider", "estimated"]),
                outcome=draw.choice(["finished", "failed"]),
            )
        )
    return made


def filled(engine, seed=1, **options):
    rows = outcomes(seed, **options)
    ledger = SqlLedger(engine)
    ledger.append("a", rows, (1, 1))
    later = [row._replace(output=(row.output or 0) + 9) for row in rows[::7]]
    ledger.append("a", later, (1, 2))
    return ledger, rows, later


def counters():
    """Totals and months of every kind of rule, in zones whose months begin within a day."""
    rules = [
        {"scope": "tenant"},
        {"scope": "key", "scope_id": "key_1"},
        {"scope": "end_user", "scope_id": "ann"},
        {"model_id": "mdl_1"},
        {"per": Scope.END_USER, "member": "ten_a/user:bob"},
        {"scope": "model", "scope_id": "mdl_2"},
        {"scope": "platform"},
    ]
    for rule in rules:
        for metric in (Metric.REQUESTS, Metric.TOKENS):
            for period in (Period.TOTAL, Period.MONTH):
                for zone in ZONES if period is Period.MONTH else [Zone()]:
                    fields = dict(rule)
                    member = fields.pop("member", None)
                    upstream = fields.get("scope") in ("model", "platform")
                    owner = None if upstream else "ten_a"
                    record = quota(1, tenant_id=owner, metric=metric, period=period, **fields)
                    yield CounterRef(record, member, window_at(period, zone, NOON_S))


def counted(engine):
    return SqlCounts(engine).sums(list(counters()))[0]


def findings(engine):
    """All that `ledger verify` would say of roll-ups and attempts (no prices here)."""
    reader, found = SqlLedgerReader(engine), []
    for day in reader.days():
        with reader.open(day) as book:
            found += [
                one for one in check_attempts(day, book.rows(), reader.price) if one.check == "days"
            ]
            for table, expected, there in book.rollups():
                found += compare(table, expected, there)
    return found


def left(engine):
    """How many entries each tenant has, by day."""
    entry = ledger_entries.c
    query = select(entry.day, entry.tenant_id, func.count()).group_by(entry.day, entry.tenant_id)
    with reading(engine) as connection:
        return {(day, tenant): count for day, tenant, count in connection.execute(query)}


def retention(engine, *, default=None, at_s=NOON_S, batch=30):
    database = SqlRetention(engine, batch_rows=batch)
    database.today = lambda: None  # the days of these tests are not those of the server
    return Retention(database, FixedClock(at_s * 10**9), default)


def age(day):
    return (TODAY - date.fromisoformat(day)).days


@pytest.mark.parametrize("default", [None, 10])
def test_entries_go_when_their_time_is_over(engine, default):
    """Each tenant's by its own choice, the others' by the platform's; no entry before or after."""
    filled(engine)
    before = left(engine)
    run = retention(engine, default=default).run_once()
    kept = {
        (day, tenant): count
        for (day, tenant), count in before.items()
        if (limit := KEPT.get(tenant) or default) is None or age(day) <= limit
    }
    assert left(engine) == kept
    assert run.entries == sum(before.values()) - sum(kept.values()) > 100


@pytest.mark.parametrize("batch", [3, 10_000])
def test_counters_and_verify_do_not_notice(engine, batch):
    """Totals and months of every kind of rule are what they were, and all still agrees."""
    filled(engine, count=200)
    before = counted(engine)
    assert findings(engine) == []
    assert any(sum(found.values()) for found in before)
    run = retention(engine, default=10, batch=batch).run_once()
    assert run.entries > 50
    assert findings(engine) == []
    assert counted(engine) == before


def test_again_it_finds_nothing(engine):
    """By the same process and by another one."""
    filled(engine)
    job = retention(engine, default=10)
    assert job.run_once().entries > 0
    assert job.run_once() == Retained()
    assert retention(engine, default=10).run_once().entries == 0


def test_a_choice_changed_is_followed(engine):
    """Shorter: at the next run; longer: what is there stays."""
    filled(engine)
    job = retention(engine)
    job.run_once()
    with writing(engine) as connection:
        connection.execute(
            update(tenant_settings)
            .where(tenant_settings.c.tenant_id == "ten_b")
            .values(retention_days=5, version=9)
        )
    assert job.run_once().entries > 0
    assert max(age(day) for day, tenant in left(engine) if tenant == "ten_b") <= 5
    assert findings(engine) == []


def test_what_is_removed_is_never_booked_again(engine):
    """A batch that comes again after its days were closed adds nothing, and nothing is lost."""
    ledger, rows, _ = filled(engine)
    retention(engine, default=10).run_once()
    before, stays = counted(engine), left(engine)
    assert ledger.append("a", rows, (1, 3)) == 0
    gone = sum((day(row), row.tenant_id) not in stays for row in rows)
    assert ledger.quarantined() == gone > 50
    assert ledger.append("b", rows, (1, 3)) == 0  # set aside once
    assert ledger.quarantined() == gone
    assert (counted(engine), left(engine), findings(engine)) == (before, stays, [])


def day(row):
    digits = row.request_id[4:12]
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"


def test_neighbours_of_what_is_set_aside_are_booked(engine):
    """Of a closed day another tenant's first outcome, and what is of today."""
    ledger, rows, _ = filled(engine)
    retention(engine).run_once()
    known = {(day(row), row.tenant_id) for row in rows}
    late = next(row for row in rows if row.tenant_id == "ten_a" and age(day(row)) > 3)
    other = late._replace(request_id=f"{late.request_id[:12]}{'e' * 20}", tenant_id="ten_c")
    fresh = an_outcome(f"req_{TODAY:%Y%m%d}{'d' * 20}", started_ns=NOON_S * 10**9)
    new = late._replace(request_id=f"{late.request_id[:12]}{'f' * 20}")
    assert (day(late), "ten_a") in known
    assert ledger.append("a", [new, other, fresh], (1, 3)) == 2
    assert ledger.quarantined() == 1
    assert findings(engine) == []


def test_a_crash_in_between_changes_nothing(engine, monkeypatch):
    """Entries and closings are one transaction: after the balances, before the removal."""
    filled(engine, count=200)
    before = (left(engine), counted(engine))

    def crash(*_):
        raise KeyboardInterrupt

    for name in ("delete", "drop_partition"):
        monkeypatch.setattr(f"tollway.adapters.sql.retention.{name}", crash)
    with pytest.raises(KeyboardInterrupt):
        retention(engine, default=10).run_once()
    monkeypatch.undo()
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(ledger_closings)).scalar() == 0
    assert (left(engine), counted(engine)) == before
    assert retention(engine, default=10).run_once().entries > 0
    assert (counted(engine), findings(engine)) == (before[1], [])


def test_closings_shrink_when_no_window_needs_them(engine):
    """Forty days on there is one row for a tenant's day, and all still agrees."""
    filled(engine, count=300)
    job = retention(engine, default=1)
    job.run_once()
    total = [ref for ref in counters() if ref.quota.period is Period.TOTAL]
    before = SqlCounts(engine).sums(total)[0]
    later = retention(engine, default=1, at_s=NOON_S + 50 * 86_400)
    assert later.run_once().compacted > 0
    with reading(engine) as connection:
        rows = connection.execute(select(ledger_closings)).all()
    assert {row.quarter_s for row in rows} == {0}
    assert len(rows) == len({(row.day, row.tenant_id) for row in rows})
    assert left(engine) == {}
    assert (SqlCounts(engine).sums(total)[0], findings(engine)) == (before, [])


def test_what_is_doctored_is_found_in_closed_days_too(engine):
    """A roll-up or a closing that was changed no longer agrees."""
    filled(engine)
    retention(engine, default=10).run_once()
    for table in ("usage_rollups_day", "usage_rollups_15m", "ledger_closings"):
        change = f"UPDATE {table} SET attempts = attempts + 1 WHERE tenant_id = 'ten_a'"
        with writing(engine) as connection:
            assert connection.execute(text(change)).rowcount
        assert findings(engine)
        with writing(engine) as connection:
            connection.execute(text(change.replace("+", "-")))
        assert findings(engine) == []


@pytest.mark.parametrize(("there", "removed"), [(TODAY.isoformat(), False), (None, True)])
def test_a_clock_that_runs_ahead_removes_nothing(engine, there, removed):
    """Where the database has a clock of its own, the earlier of both counts."""
    filled(engine, days=5)
    database = SqlRetention(engine)
    assert (database.today() is None) is (engine.dialect.name == "sqlite")
    database.today = lambda: there
    ahead = FixedClock((NOON_S + 400 * 86_400) * 10**9)
    run = Retention(database, ahead, 10).run_once()
    assert any(tenant == "ten_b" for _, tenant in left(engine)) is not removed
    assert (run.entries > 150) is removed


def until_done(work):
    """As the keeper does: what gave way to others is tried again."""
    while True:
        try:
            return work()
        except StoreUnavailableError:
            continue


def test_shipping_goes_on_meanwhile(engine):
    """New and old outcomes come while days are closed: none twice, none half."""
    _, rows, _ = filled(engine)
    faults = []

    def ship():
        ledger = SqlLedger(engine)
        try:
            for seed in range(20, 30):
                for batch in (outcomes(seed, 20, days=2), rows[seed - 20 :: 10]):
                    until_done(lambda batch=batch, seed=seed: ledger.append("b", batch, (2, seed)))
        except BaseException as error:
            faults.append(error)

    shipping = threading.Thread(target=ship)
    shipping.start()
    until_done(retention(engine, default=10, batch=20).run_once)
    shipping.join()
    assert faults == []
    assert findings(engine) == []
    requests = [ref for ref in counters() if ref.quota.metric is Metric.REQUESTS]
    platform = next(ref for ref in requests if ref.quota.scope is Scope.PLATFORM)
    assert SqlCounts(engine).sums([platform])[0] == [{0: 300 + 200}]


def test_partitions(engine):
    """A day that nobody keeps is dropped as a whole; the next days are there before they begin."""
    if engine.dialect.name != "postgresql":
        assert SqlRetention(engine).days() == []
        return
    filled(engine)
    run = retention(engine, default=10).run_once()
    with reading(engine) as connection:
        days = partitioned_days(connection)
        parents = connection.execute(text("SELECT count(*) FROM pg_class WHERE relname = 'd'"))
        assert parents.scalar() == 0
    assert run.days > 10
    assert all(age(one) <= 20 for one in days)
    assert {(TODAY + timedelta(days=number)).isoformat() for number in range(8)} <= days
