"""`tollway ledger retain`: says what would go, removes it, and leaves a ledger that verifies."""

from datetime import UTC, datetime, timedelta

from click.testing import CliRunner

from tests.fakes.receipts import an_outcome
from tollway.adapters.sql.engine import SqlOptions, open_engine, sqlite_url
from tollway.adapters.sql.ledger import SqlLedger
from tollway.adapters.sql.migrate import upgrade
from tollway.cli.root import root


def run(tmp_path, *given):
    done = CliRunner().invoke(
        root, ["ledger", *given, "--data-dir", str(tmp_path)], catch_exceptions=False
    )
    return done.exit_code, done.output


def test_retain(tmp_path, monkeypatch):
    """Nothing without a setting; with one, exactly what was announced."""
    engine = open_engine(SqlOptions(sqlite_url(str(tmp_path / "tollway.db"))))
    upgrade(engine)
    now, rows = datetime.now(UTC), []
    for number in range(20):
        at = now - timedelta(days=number % 5 * 10)
        rows.append(
            an_outcome(
                f"req_{at:%Y%m%d}{number:020x}", started_ns=int(at.timestamp()) * 10**9, cost_nusd=0
            )
        )
    SqlLedger(engine).append("a", rows, (1, 1))
    engine.dispose()
    assert run(tmp_path, "retain", "--dry-run") == (0, "Nothing is over.\n")
    monkeypatch.setenv("TOLLWAY_LEDGER_RETENTION_DAYS", "25")
    code, words = run(tmp_path, "retain", "--dry-run")
    assert code == 0
    assert [line.split()[1:] for line in words.splitlines()] == [
        ["goes", "stays"],
        ["4", "0"],
        ["4", "0"],
    ]
    assert run(tmp_path, "retain") == (0, "8 entries removed, 0 days as a whole.\n")
    assert run(tmp_path, "retain", "--dry-run") == (0, "Nothing is over.\n")
    code, words = run(tmp_path, "verify")
    assert (code, words.startswith("12 rows")) == (0, True)
