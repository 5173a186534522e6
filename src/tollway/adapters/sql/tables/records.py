"""What happened on the control plane: the audit, and answers kept for repeated requests."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from tollway.adapters.sql.tables.base import metadata

# Append-only. No foreign keys: a row outlives what it names. Each row's digest covers the digest
# of the row before.
audit_log = Table(
    "audit_log",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_s", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("object_kind", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("tenant_id", Text),
    Column("actor_id", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("changes", Text, nullable=False),  # JSON as it was hashed, byte for byte
    Column("request_id", Text),
    Column("address", Text),
    Column("previous", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Index(None, "tenant_id", "seq"),
    Index(None, "object_id"),
)

idempotent_replies = Table(
    "idempotent_replies",
    metadata,
    Column("actor_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_digest", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("location", Text),
    Column("body", LargeBinary, nullable=False),
    Column("created_s", BigInteger, nullable=False),
    Index(None, "created_s"),
)
