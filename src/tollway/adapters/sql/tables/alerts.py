"""Events, who is told of them, and how far that is. An event is known by `once`: a second one of
the same name is none, whoever notices it.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)

from tollway.adapters.sql.tables.base import (
    created_and_version,
    metadata,
    name_is_unique_per_owner,
)

# The URL is sealed with its path: for many receivers that is the whole secret.
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id")),  # NULL: the platform's
    Column("name", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("recipients", JSON, nullable=False),
    Column("kinds", JSON),
    Column("enabled", Boolean, nullable=False),
    Column("address", LargeBinary),
    Column("secret", LargeBinary),
    Column("secret_before", LargeBinary),
    *created_and_version(),
    Index(None, "tenant_id"),
)
name_is_unique_per_owner(webhooks)

# No foreign key to a tenant: what happened outlives it for a month.
events = Table(
    "events",
    metadata,
    Column("id", Text, primary_key=True),
    Column("once", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("until_s", BigInteger, nullable=False),
    Column("tenant_id", Text),
    Column("at_s", BigInteger, nullable=False),
    Column("title", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("data", JSON, nullable=False),
    Index(None, "tenant_id"),
    Index(None, "at_s"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("webhook_id", Text, ForeignKey("webhooks.id"), primary_key=True),
    Column("event_id", Text, ForeignKey("events.id"), primary_key=True),
    Column("state", Text, nullable=False),  # waiting | delivered | failed
    Column("attempts", Integer, nullable=False),
    Column("next_s", BigInteger, nullable=False),  # while taken: when it is anybody's again
    Column("done_s", BigInteger),
    Column("reason", Text, nullable=False),
    Index(None, "event_id"),
    Index(None, "state", "next_s"),
)

# Until when a job has looked at everything.
job_marks = Table(
    "job_marks",
    metadata,
    Column("job", Text, primary_key=True),
    Column("at_s", BigInteger, nullable=False),
)
