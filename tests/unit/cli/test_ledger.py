"""`tollway ledger verify`: clean when all agrees, and what was doctored when it does not."""

import json
import random
import threading
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from sqlalchemy import insert, text

from tests.fakes.database import NOW_S
from tests.fakes.receipts import an_outcome
from tollway.adapters.sql.engine import SqlOptions, open_engine, sqlite_url, writing
from tollway.adapters.sql.ledger import SqlLedger
from tollway.adapters.sql.migrate import upgrade
from tollway.adapters.sql.tables import prices
from tollway.cli.root import root
from tollway.domain.pricing import Price, cost_nusd, read_rates
from tollway.domain.receipt import usage_of

RATES = {"input": "1", "output": "2"}
PRICE = Price("prc_1", 0, read_rates(RATES).value)
# Endings as `settle` writes them: payer, outcome, source of usage.
ENDINGS = [
    ("reported", "finished", "provider"),
    ("estimated", "finished", "estimated"),
    ("cut", "broken", "estimated"),
    ("client_gone", "client_gone", "none"),
    ("killed", "killed", "estimated"),
    ("failed", "failed", "none"),
    ("failed_over", "failed", "none"),
]


@pytest.fixture
def engine(tmp_path):
    engine = open_engine(SqlOptions(sqlite_url(str(tmp_path / "tollway.db"))))
    upgrade(engine)
    with writing(engine) as connection:
        connection.execute(
            insert(prices).values(
                id="prc_1",
                model="*",
                effective_from_s=0,
                rates=RATES,
                source="admin",
                created_s=0,
                version=1,
            )
        )
    yield engine
    engine.dispose()


def outcomes(seed, count=300):
    """Attempts of three days with every ending."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        started_s = NOW_S - draw.randrange(3 * 86_400)
        day = datetime.fromtimestamp(started_s, UTC).strftime("%Y%m%d")
        payer, outcome, source = draw.choice(ENDINGS)
        counted = source != "none"
        row = an_outcome(
            f"req_{day}{seed:012x}{number:08x}",
            started_ns=started_s * 1_000_000_000,
            payer=payer,
            outcome=outcome,
            usage_source=source,
            input=draw.randrange(500) if counted else 0,
            output=draw.randrange(500) if counted else 0,
            tenant_id=draw.choice(["ten_a", "ten_b"]),
            key_id=draw.choice(["key_1", "key_2"]),
            end_user=draw.choice([None, "ann"]),
        )
        cost = cost_nusd(PRICE, usage_of(row)) if counted else 0
        made.append(row._replace(cost_nusd=cost, price_version="prc_1" if counted else None))
    return made


def verify(tmp_path, *options):
    """Exit code and report."""
    given = ["ledger", "verify", "-o", "json", "--data-dir", str(tmp_path), *options]
    result = CliRunner().invoke(root, given, catch_exceptions=False)
    return result.exit_code, json.loads(result.output)


def test_a_ledger_that_was_only_appended_to_is_clean(engine, tmp_path):
    """Every ending, twice shipped, some amended."""
    rows = outcomes(1)
    ledger = SqlLedger(engine)
    ledger.append("a", rows, (1, 1))
    ledger.append("a", rows, (1, 1))
    later = [
        row._replace(output=row.output + 5, cost_nusd=row.cost_nusd + 10_000)
        for row in rows[:40]
        if row.price_version
    ]
    ledger.append("a", later, (1, 2))
    code, report = verify(tmp_path)
    assert report["findings"] == []
    assert (code, report["rows"], report["days"]) == (0, 300 + len(later), 4)


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("UPDATE usage_rollups_15m SET requests = requests + 1 WHERE SUM", "usage_rollups_15m"),
        ("UPDATE usage_rollups_day SET output = output - 1 WHERE SUM", "usage_rollups_day"),
        ("DELETE FROM usage_rollups_day WHERE SUM", "usage_rollups_day"),
        ("UPDATE ledger_entries SET cost_nusd = cost_nusd + 1 WHERE ROW", "costs"),
        ("UPDATE ledger_entries SET payer = 'reported', outcome = 'broken' WHERE ROW", "payers"),
        ("UPDATE ledger_entries SET seq = 3 WHERE ROW", "outcomes"),
        ("UPDATE ledger_entries SET day = '1999-01-01' WHERE ROW", "days"),
        ("UPDATE ledger_entries SET price_version = 'prc_none' WHERE ROW", "costs"),
    ],
)
def test_whatever_is_doctored_is_named(engine, tmp_path, statement, check):
    """Exit code 1, and the rule that it breaks."""
    SqlLedger(engine).append("a", outcomes(2), (1, 1))
    table = statement.split()[1] if statement.startswith("UPDATE") else statement.split()[2]
    row = "(SELECT min(request_id) FROM ledger_entries WHERE price_version IS NOT NULL)"
    key = "tenant_id, key_id, endpoint, payer"
    group = f"(SELECT {key} FROM {table} WHERE output > 0 LIMIT 1)"
    statement = statement.replace("ROW", f"request_id = {row}")
    statement = statement.replace("SUM", f"({key}) = {group}")
    with writing(engine) as connection:
        assert connection.execute(text(statement)).rowcount
    code, report = verify(tmp_path)
    assert code == 1
    assert check in {finding["check"] for finding in report["findings"]}


def test_rows_that_vanished_are_missed(engine, tmp_path):
    """The roll-ups still know of them."""
    SqlLedger(engine).append("a", outcomes(3), (1, 1))
    with writing(engine) as connection:
        connection.execute(text("DELETE FROM ledger_entries"))
    code, report = verify(tmp_path)
    assert code == 1
    assert all(finding["words"] == "has no rows in the ledger" for finding in report["findings"])


def test_only_the_days_that_are_asked_for(engine, tmp_path):
    """From one to another."""
    SqlLedger(engine).append("a", outcomes(4), (1, 1))
    day = datetime.fromtimestamp(NOW_S - 86_400, UTC).strftime("%Y-%m-%d")
    code, report = verify(tmp_path, "--from", day, "--to", day)
    assert (code, report["days"]) == (0, 1)


def test_a_shipper_at_work_makes_no_difference(engine, tmp_path):
    """Each day is read from one state."""
    ledger = SqlLedger(engine)
    over = threading.Event()

    def ship():
        for seed in range(5, 40):
            ledger.append("a", outcomes(seed, 60), (1, seed))
        over.set()

    shipping = threading.Thread(target=ship)
    shipping.start()
    looks = 0
    while not over.is_set() or looks == 0:
        code, report = verify(tmp_path)
        assert code == 0, report["findings"][:3]
        looks += 1
    shipping.join()


def test_in_words(engine, tmp_path):
    """What people read."""
    SqlLedger(engine).append("a", outcomes(6, 30), (1, 1))
    done = CliRunner().invoke(root, ["ledger", "verify", "--data-dir", str(tmp_path)])
    assert "30 rows, " in done.output
    assert "agrees with itself" in done.output
    with writing(engine) as connection:
        connection.execute(text("UPDATE ledger_entries SET payer = 'nobody'"))
    done = CliRunner().invoke(root, ["ledger", "verify", "--data-dir", str(tmp_path)])
    assert done.exit_code == 1
    assert "payers: 30 wrong" in done.output
    assert "more" in done.output
