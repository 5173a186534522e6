"""What removed entries came to; on PostgreSQL, a partition of the ledger for each day.

Entries are copied, counted on both sides, and only then is the old table dropped. The release
before goes on shipping beside this one, into the partitions that are made ahead here.
"""

import sqlalchemy as sa
from alembic import op

from tollway.adapters.sql.partitions import SCHEMA, partition_ddl
from tollway.adapters.sql.tenancy import security_ddl

revision = "r0006"
down_revision = "r0005"
branch_labels = None
depends_on = None

_KEY, _COLUMNS = "pk_ledger_entries", "day, request_id, attempt, kind, seq"


def upgrade() -> None:
    """The closings everywhere; partitions where there are such."""
    _ledger_closings()
    if op.get_bind().dialect.name != "postgresql":
        return
    _partition()
    for statement in security_ddl(revision):
        op.get_bind().exec_driver_sql(statement)


def _ledger_closings() -> None:
    keys = ("project_id", "account_id", "key_id", "model_id", "provider_id", "payer", "end_user")
    counts = ("requests", "attempts", "errors", "estimated", "unpriced")
    numbers = ("input", "cached_input", "cache_write", "output", "reasoning", "audio", "image")
    op.create_table(
        "ledger_closings",
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("quarter_s", sa.BigInteger(), autoincrement=False, nullable=False),
        *[sa.Column(name, sa.Text(), nullable=False) for name in keys],
        *[sa.Column(name, sa.BigInteger(), nullable=False) for name in counts],
        *[sa.Column(name, sa.BigInteger(), nullable=True) for name in (*numbers, "cost_nusd")],
        sa.PrimaryKeyConstraint(
            "day", "tenant_id", "quarter_s", *keys, name=op.f("pk_ledger_closings")
        ),
        sqlite_with_rowid=False,
    )


def _partition() -> None:
    bind = op.get_bind()
    for statement in (
        "LOCK TABLE ledger_entries IN ACCESS EXCLUSIVE MODE",
        f"ALTER TABLE ledger_entries RENAME CONSTRAINT {_KEY} TO {_KEY}_before",
        "ALTER TABLE ledger_entries RENAME TO ledger_entries_before",
        "CREATE TABLE ledger_entries (LIKE ledger_entries_before) PARTITION BY LIST (day)",
        f"ALTER TABLE ledger_entries ADD CONSTRAINT {_KEY} PRIMARY KEY ({_COLUMNS})",
        f"CREATE SCHEMA {SCHEMA}",
    ):
        bind.exec_driver_sql(statement)
    found = bind.exec_driver_sql(
        "SELECT DISTINCT day FROM ledger_entries_before UNION "
        "SELECT to_char((now() AT TIME ZONE 'UTC')::date + ahead, 'YYYY-MM-DD') "
        "FROM generate_series(0, 7) AS ahead"
    )
    for (day,) in found.all():
        for statement in partition_ddl(day):
            bind.exec_driver_sql(statement)
    count = bind.exec_driver_sql("SELECT count(*) FROM ledger_entries_before").scalar_one()
    copied = bind.exec_driver_sql(
        "INSERT INTO ledger_entries SELECT * FROM ledger_entries_before"
    ).rowcount
    if copied != count:
        raise RuntimeError(f"of {count} entries {copied} were copied; nothing was changed")
    bind.exec_driver_sql("DROP TABLE ledger_entries_before")
