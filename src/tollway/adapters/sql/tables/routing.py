"""Providers, models and where models lead; and the one row every configuration write changes.

The routing strategy is a column of the model: it is one word, and never shared between models.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    false,
)

from tollway.adapters.sql.tables.base import (
    created_and_version,
    metadata,
    name_is_unique_per_owner,
)

providers = Table(
    "providers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id")),  # NULL: the platform's
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("base_url", Text, nullable=False),
    Column("residency", Text),
    Column("enabled", Boolean, nullable=False),
    Column("managed_by", Text),
    *created_and_version(),
    Index(None, "version"),
)
name_is_unique_per_owner(providers)

provider_config = Table(
    "provider_config",
    metadata,
    Column("provider_id", Text, ForeignKey("providers.id"), primary_key=True),
    Column("stream_usage", Text, nullable=False),
    Column("connect_timeout_s", Float),
    Column("headers_timeout_s", Float),
    Column("first_token_timeout_s", Float),
    Column("idle_timeout_s", Float),
    Column("total_timeout_s", Float),
    # What each of its accounts takes; NULL: that is learned.
    Column("requests_at_once", Integer),
    Column("requests_per_minute", Integer),
    Column("tokens_per_minute", Integer),
    Column("translate_responses", Boolean, nullable=False, server_default=false()),
    Column("extra", JSON(none_as_null=True)),
    Column("version", BigInteger, nullable=False),
)

provider_credentials = Table(
    "provider_credentials",
    metadata,
    Column("id", Text, primary_key=True),
    Column("provider_id", Text, ForeignKey("providers.id"), nullable=False),
    Column("reference", Text),
    Column("envelope", LargeBinary),
    Column("weight", Integer, nullable=False),
    *created_and_version(),
    CheckConstraint("(reference IS NULL) <> (envelope IS NULL)", name="one_secret"),
    Index(None, "provider_id"),
)

models = Table(
    "models",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id")),  # NULL: the platform's
    Column("name", Text, nullable=False),
    Column("strategy", Text, nullable=False),
    Column("max_output_tokens", Integer),
    Column("fallbacks", JSON(none_as_null=True)),
    Column("cache_affinity", Boolean, nullable=False, server_default=false()),
    Column("enabled", Boolean, nullable=False),
    Column("managed_by", Text),
    *created_and_version(),
    Index(None, "version"),
)
name_is_unique_per_owner(models)

model_targets = Table(
    "model_targets",
    metadata,
    Column("model_id", Text, ForeignKey("models.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("provider_id", Text, ForeignKey("providers.id"), nullable=False),
    Column("model", Text, nullable=False),
    Column("weight", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Index(None, "provider_id"),
)

# Platform models opened to a tenant, or to each tenant of a group. `holder` is the tenant's id or
# `group:NAME`; the tenant's id stands once more for its foreign key and for row-level security.
grants = Table(
    "grants",
    metadata,
    Column("holder", Text, primary_key=True),
    Column("model_id", Text, ForeignKey("models.id"), primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id")),
    *created_and_version(),
    Index(None, "model_id"),
    Index(None, "version"),
)

# Never changed: a price from another day on is another row.
prices = Table(
    "prices",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id")),  # NULL: everybody's
    Column("provider_kind", Text),  # NULL: whoever serves the model
    Column("provider_id", Text),
    Column("model", Text, nullable=False),
    Column("effective_from_s", BigInteger, nullable=False),
    Column("rates", JSON, nullable=False),
    Column("source", Text, nullable=False),
    *created_and_version(),
    Index(None, "model"),
)

# What was removed from the snapshot, and when: a publisher that was away must learn of it.
tombstones = Table(
    "tombstones",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Index(None, "version"),
)

snapshot_version = Table(
    "snapshot_version",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("one = 1", name="one_row"),
)
