"""The ledger and what is derived from it. No foreign keys: entries outlive what they name, and each
would cost a look-up per row.

Indices: the primary keys, nothing else. An entry is found by its request id, which begins with the
day; retention removes days, the front of the key; sums come from the roll-ups. Rows are stored
in key order (WITHOUT ROWID): one tree to write instead of a table and its index.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, Integer, Table, Text

from tollway.adapters.sql.tables.base import metadata
from tollway.domain.receipt import Receipt
from tollway.domain.rollup import COUNTS, MEASURES

_TYPES: dict[str, type[BigInteger | Boolean | Integer | JSON]] = {
    "attempt": Integer,
    "seq": Integer,
    "started_ns": BigInteger,
    "ended_ns": BigInteger,
    "first_byte_ns": BigInteger,
    "stream": Boolean,
    "tags": JSON,
    "input": BigInteger,
    "cached_input": BigInteger,
    "cache_write": BigInteger,
    "output": BigInteger,
    "reasoning": BigInteger,
    "audio": BigInteger,
    "image": BigInteger,
    "cost_nusd": BigInteger,
    "status": Integer,
    "upstream_status": Integer,
}
_ENTRY_KEY = ("request_id", "attempt", "kind", "seq")
_REQUIRED = {"started_ns", "ended_ns", "endpoint", "stream", "tags"} | {
    "usage_source",
    "payer",
    "status",
    "outcome",
}


def _entry_column(name: str) -> Column[Any]:
    kind = _TYPES.get(name, Text)
    if name in _ENTRY_KEY:
        return Column(name, kind, primary_key=True, autoincrement=False)
    return Column(name, kind, nullable=name not in _REQUIRED)


def _sums() -> list[Column[Any]]:
    return [Column(name, BigInteger, nullable=name not in COUNTS) for name in MEASURES]


def _group(*names: str) -> list[Column[Any]]:
    return [Column(name, Text, primary_key=True) for name in names]


# The columns after `day` are the fields of `Receipt` in its order; `tags` is a JSON object. On
# PostgreSQL a day is a partition (`partitions.py`), and there is none for whatever is left over.
ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("day", Text, primary_key=True),
    *[_entry_column(name) for name in Receipt._fields],
    sqlite_with_rowid=False,
    postgresql_partition_by="LIST (day)",
)

# What the entries that retention has removed came to. Two grains: by quarter of an hour
# (`quarter_s` above 0), end user and model, as long as a running window may begin or end inside of
# such a day; then one row for a tenant's day, everything else empty. That there is a row says: this
# tenant's day is closed, nothing is booked on it any more.
ledger_closings = Table(
    "ledger_closings",
    metadata,
    Column("day", Text, primary_key=True),
    Column("tenant_id", Text, primary_key=True),
    Column("quarter_s", BigInteger, primary_key=True, autoincrement=False),
    *_group("project_id", "account_id", "key_id", "model_id", "provider_id", "payer", "end_user"),
    *_sums(),
    sqlite_with_rowid=False,
)

# `tenant_id` stands before the time: reports ask for one tenant's range.
usage_rollups_15m = Table(
    "usage_rollups_15m",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("quarter_s", BigInteger, primary_key=True, autoincrement=False),
    *_group("project_id", "account_id", "key_id", "model", "provider_id", "endpoint", "payer"),
    *_sums(),
    sqlite_with_rowid=False,
)

# End users only per day: per quarter, a client that names a new one in each request would make the
# roll-ups as large as the ledger.
usage_rollups_day = Table(
    "usage_rollups_day",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    *_group("project_id", "account_id", "key_id", "model", "provider_id", "endpoint", "payer"),
    *_group("end_user"),
    *_sums(),
    sqlite_with_rowid=False,
)

ship_cursors = Table(
    "ship_cursors",
    metadata,
    Column("source", Text, primary_key=True),
    Column("segment", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),  # the offset behind the last shipped record
)

# Outcomes that cannot be entries. The key is the SHA-256 of the payload: shipping one again adds
# nothing.
ledger_quarantine = Table(
    "ledger_quarantine",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("payload", Text, nullable=False),
)
