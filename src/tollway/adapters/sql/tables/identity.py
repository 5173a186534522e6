"""Tenants, their settings, people, projects and keys. No secret is stored: keys as digests, peppers
wrapped by the master key.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from tollway.adapters.sql.tables.base import created_and_version, metadata

tenants = Table(
    "tenants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("deleted_s", BigInteger),
    Column("managed_by", Text),
    *created_and_version(),
    Index(None, "version"),  # what changed since: the publisher's question
)

tenant_settings = Table(
    "tenant_settings",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenants.id"), primary_key=True),
    Column("timezone", Text, nullable=False),
    # The zone before, and until when it was: windows that ran then go on to their end in it.
    Column("timezone_before", Text),
    Column("timezone_since_s", BigInteger, nullable=False, server_default="0"),
    Column("retention_days", Integer),
    Column("content_logging", Boolean, nullable=False),
    Column("cache", JSON(none_as_null=True)),
    Column("models", Text, nullable=False),
    Column("grant_group", Text),
    Column("weight", Float, nullable=False, server_default="1"),
    Column("allowed_residency", JSON(none_as_null=True)),
    Column("default_model", Text),
    # Nothing reads it: a quota with `per` says the same. It goes with the next release.
    Column("default_quotas", JSON(none_as_null=True)),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("models IN ('all', 'listed')", name="models"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("platform_admin", Boolean, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("password_hash", Text),
    Column("managed_by", Text),
    *created_and_version(),
)

memberships = Table(
    "memberships",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenants.id"), primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), primary_key=True),
    Column("role", Text, nullable=False),
    Column("models", JSON(none_as_null=True)),
    Column("source", Text, nullable=False, server_default="manual"),
    *created_and_version(),
    CheckConstraint("role IN ('tenant_admin', 'user', 'viewer')", name="role"),
    Index(None, "account_id"),
    Index(None, "version"),
)

projects = Table(
    "projects",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("models", JSON(none_as_null=True)),
    Column("managed_by", Text),
    *created_and_version(),
    UniqueConstraint("tenant_id", "name"),
    UniqueConstraint("tenant_id", "id"),  # what the keys' foreign key points at
    Index(None, "version"),
)

peppers = Table(
    "peppers",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_s", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id"), nullable=False),
    Column("project_id", Text),
    Column("account_id", Text, ForeignKey("accounts.id")),
    Column("env", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("last4", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("pepper_version", Integer, ForeignKey("peppers.version"), nullable=False),
    Column("models", JSON(none_as_null=True)),
    Column("endpoints", JSON(none_as_null=True)),
    Column("ip_allow", JSON(none_as_null=True)),
    Column("tags", JSON(none_as_null=True)),
    Column("not_before_s", BigInteger),
    Column("expires_s", BigInteger),
    Column("revoked_s", BigInteger),
    Column("created_by", Text),
    Column("replaces", Text),
    Column("managed_by", Text),
    *created_and_version(),
    # Both columns, so that a key cannot name another tenant's project.
    ForeignKeyConstraint(["tenant_id", "project_id"], ["projects.tenant_id", "projects.id"]),
    Index(None, "tenant_id", "name"),
    Index(None, "account_id"),
    Index(None, "expires_s"),
    Index(None, "version"),
)
