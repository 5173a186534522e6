"""What a counter has by the ledger is what `spent` says of each of its rows, added up."""

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from tests.fakes.quotas import quota
from tests.fakes.receipts import an_outcome
from tests.fakes.stores import STORES, store
from tollway.adapters.sql.counting import SqlCounts
from tollway.adapters.sql.engine import writing
from tollway.adapters.sql.ledger import SqlLedger
from tollway.adapters.sql.tables import models
from tollway.domain.hold import CounterRef
from tollway.domain.quota import METRICS, UPSTREAM_SCOPES, Metric, Scope, nobody_of, spent
from tollway.domain.window import Period, Window, Zone, counted_from_s, window_at

NOON_S = 1_795_000_000
BERLIN = Zone("Europe/Berlin")


@pytest.fixture(params=STORES)
def engine(request, tmp_path):
    with store(request.param, tmp_path) as made:
        with writing(made) as connection:
            connection.execute(
                insert(models).values(
                    id="mdl_1",
                    name="small",
                    strategy="priority",
                    enabled=True,
                    created_s=0,
                    version=1,
                )
            )
        yield made


def rows(seed, count=400):
    """Requests of three weeks around now, of two tenants; some failed over, some amended."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        started_s = NOON_S - draw.choice([draw.randrange(60), draw.randrange(86_400 * 21)])
        day = datetime.fromtimestamp(started_s, UTC).strftime("%Y%m%d")
        made.append(
            an_outcome(
                f"req_{day}{draw.getrandbits(48):012x}{number:08x}",
                started_ns=started_s * 1_000_000_000 + draw.randrange(1_000_000_000),
                tenant_id=draw.choice(["ten_a", "ten_b"]),
                project_id=draw.choice([None, "prj_1", "prj_2"]),
                account_id=draw.choice([None, "acc_1"]),
                key_id=draw.choice(["key_1", "key_2"]),
                model=(model := draw.choice(["small", "large"])),
                model_id={"small": "mdl_1", "large": "mdl_2"}[model],
                provider_id=draw.choice(["prv_1", "prv_2"]),
                end_user=draw.choice([None, "ann", "bob"]),
                input=draw.randrange(1000),
                cached_input=draw.choice([None, 5]),
                output=draw.choice([None, draw.randrange(500)]),
                reasoning=draw.choice([None, 7]),
                cost_nusd=draw.choice([None, draw.randrange(10**6)]),
                payer=draw.choice(["reported", "reported", "failed_over", "failed"]),
            )
        )
    return made


def expected(ref, receipts):
    """By hand: every row that the counter is about, as `spent` counts it."""
    record, place = ref.quota, METRICS.index(ref.quota.metric)
    start_s = counted_from_s(record.period, ref.window)
    total = 0
    for row in receipts:
        began_s = row.started_ns // 1_000_000_000
        if not start_s <= began_s or (
            record.period is not Period.MINUTE and began_s >= ref.window.end_s
        ):
            continue
        if record.scope not in UPSTREAM_SCOPES and row.payer == "failed_over":
            continue
        if record.tenant_id not in (None, row.tenant_id):
            continue
        own = {
            Scope.PROJECT: row.project_id,
            Scope.ACCOUNT: row.account_id,
            Scope.KEY: row.key_id,
            Scope.END_USER: row.end_user,
            Scope.PROVIDER: row.provider_id,
            Scope.MODEL: row.model_id,
        }
        if record.scope in own and own[record.scope] != record.scope_id:
            continue
        if record.model_id not in (None, row.model_id):
            continue
        if record.per is not None:
            member = {**own, Scope.TENANT: row.tenant_id}[record.per]
            if record.per in (Scope.ACCOUNT, Scope.END_USER) and member is not None:
                infix = "user:" if record.per is Scope.END_USER else ""
                member = f"{row.tenant_id}/{infix}{member}"
            if (nobody_of(row.tenant_id) if member is None else member) != ref.member:
                continue
        total += spent(row)[place]
    return total


SCOPES = [
    {},
    {"scope": "project", "scope_id": "prj_1"},
    {"scope": "account", "scope_id": "acc_1"},
    {"scope": "key", "scope_id": "key_1"},
    {"scope": "end_user", "scope_id": "ann"},
    {"scope": "platform"},
    {"scope": "provider", "scope_id": "prv_1"},
    {"scope": "model", "scope_id": "mdl_1"},
    {"model_id": "mdl_1"},
    {"per": Scope.KEY, "member": "key_2"},
    {"per": Scope.PROJECT, "member": "prj_2"},
    {"per": Scope.ACCOUNT, "member": "ten_a/acc_1"},
    {"per": Scope.ACCOUNT, "member": "ten_a/-"},
    {"per": Scope.END_USER, "member": "ten_a/user:bob"},
    {"scope": "platform", "per": Scope.TENANT, "member": "ten_b"},
    {"scope": "provider", "scope_id": "prv_2", "per": Scope.END_USER, "member": "ten_b/user:ann"},
]


def refs():
    """Every scope by every metric and period, in a zone of its own."""
    for given in SCOPES:
        for metric in ("requests", "tokens", "input_tokens", "output_tokens", "cost"):
            for period in ("minute", "hour", "day", "month", "total"):
                changes = dict(given)
                member = changes.pop("member", None)
                record = quota(1, metric, period, **changes)
                window = window_at(record.period, BERLIN, NOON_S)
                yield CounterRef(record, member, window)


def test_sums_are_those_of_the_rows(engine):
    """400 rows, 400 counters: each is exact, and so is the journal's place."""
    receipts = rows(1)
    ledger = SqlLedger(engine)
    ledger.append("here-0", receipts[:250], (1, 500))
    ledger.append("here-0", receipts[250:], (1, 900))
    asked = list(refs())
    used, upto = SqlCounts(engine).sums(asked)
    assert upto == {"here-0": (1, 900)}
    wrong = [
        (ref, sum(found.values()), wanted)
        for ref, found in zip(asked, used, strict=True)
        if sum(found.values()) != (wanted := expected(ref, receipts))
    ]
    assert wrong == []
    assert sum(bool(sum(found.values())) for found in used) > 200


def test_each_members_sum_is_that_of_its_counter(engine):
    """All members of a limit at once: everyone who used something, and nobody twice."""
    receipts = rows(2)
    SqlLedger(engine).append("here-0", receipts, (1, 1))
    counts = SqlCounts(engine)
    seen = 0
    for ref in refs():
        if ref.quota.period is not Period.MINUTE:
            found = counts.members(ref.quota, ref.window)
            assert found.get(ref.member, 0) == expected(ref, receipts), ref
            everybody = CounterRef(replace(ref.quota, per=None), None, ref.window)
            assert sum(found.values()) == expected(everybody, receipts)
            seen += len(found)
    assert seen > 400


def test_a_minute_is_told_by_its_buckets(engine):
    """Each row in the ten seconds it began in."""
    day = datetime.fromtimestamp(NOON_S, UTC).strftime("%Y%m%d")
    made = [
        an_outcome(
            f"req_{day}{0:012x}{number:08x}",
            tenant_id="ten_a",
            started_ns=(NOON_S - 10 * number) * 1_000_000_000,
        )
        for number in range(12)
    ]
    SqlLedger(engine).append("here-0", made, (1, 1))
    window = window_at(Period.MINUTE, BERLIN, NOON_S)
    [used], _ = SqlCounts(engine).sums([CounterRef(quota(9, period="minute"), None, window)])
    assert used == {window.start_s - 10 * number: 1 for number in range(7)}


def test_requests_at_a_time_are_in_no_ledger(engine):
    """Nothing to sum."""
    ref = CounterRef(quota(9, "concurrency", "none"), None, Window(0, 1))
    assert SqlCounts(engine).sums([ref]) == ([{}], {})
    assert Metric.CONCURRENCY in METRICS
