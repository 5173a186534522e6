"""Limits, and the gateways that count for them. What was counted stands in no table of its own: it
follows from the ledger.
"""

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text

from tollway.adapters.sql.tables.base import created_and_version, metadata

# `place` is what the data plane finds a rule by (`domain.quota.place_of`), `counter` what it counts
# under: two rules on one counter would contradict each other.
quotas = Table(
    "quotas",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id")),  # NULL: the platform's
    Column("name", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("counter", Text, nullable=False, unique=True),
    Column("scope", Text, nullable=False),
    Column("scope_id", Text),
    Column("model_id", Text, ForeignKey("models.id")),
    Column("per", Text),
    Column("metric", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("mode", Text, nullable=False),
    Column("precision", Text, nullable=False),
    Column("on_outage", Text, nullable=False),
    Column("raised_to", BigInteger),
    Column("raised_until_s", BigInteger, nullable=False),
    Column("alert_at", JSON, nullable=False),
    Column("set_by", Text, nullable=False),  # platform | tenant: whose administrators may change it
    Column("managed_by", Text),
    *created_and_version(),
    Index(None, "tenant_id"),
    Index(None, "place"),
    Index(None, "version"),
)

# One row for each gateway that serves from this database; a row that is not renewed is of one that
# is gone.
gateways = Table(
    "gateways",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workers", Integer, nullable=False),
    Column("shares_counters", Boolean, nullable=False),  # over Redis
    Column("began_s", BigInteger, nullable=False),
    Column("seen_s", BigInteger, nullable=False),
)
