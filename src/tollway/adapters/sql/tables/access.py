"""How people and machines sign in to the control plane. No secret is stored: passwords as argon2id
hashes, sessions and tokens as digests.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)

from tollway.adapters.sql.tables.base import created_and_version, metadata

# Whom an issuer means by a subject. The address alone would let another issuer take an account.
identity_links = Table(
    "identity_links",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("created_s", BigInteger, nullable=False),
    Index(None, "account_id"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("created_s", BigInteger, nullable=False),
    Column("last_seen_s", BigInteger, nullable=False),
    Column("expires_s", BigInteger, nullable=False),
    Column("via", Text, nullable=False),
    Column("id_token", Text),
    Index(None, "account_id"),
    Index(None, "expires_s"),
)

# A person's token has an account; a machine's has a tenant and a role there.
access_tokens = Table(
    "access_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id")),
    Column("tenant_id", Text, ForeignKey("tenants.id")),
    Column("role", Text),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("last4", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("read_only", Boolean, nullable=False),
    Column("expires_s", BigInteger),
    Column("revoked_s", BigInteger),
    Column("last_used_s", BigInteger),
    *created_and_version(),
    CheckConstraint("(account_id IS NULL) <> (tenant_id IS NULL)", name="one_bearer"),
    CheckConstraint("(tenant_id IS NULL) = (role IS NULL)", name="role_of_tenant"),
    Index(None, "account_id"),
    Index(None, "tenant_id"),
)

login_attempts = Table(
    "login_attempts",
    metadata,
    Column("subject", Text, primary_key=True),  # an address of e-mail, or of the network
    Column("failures", Integer, nullable=False),
    Column("last_failure_s", BigInteger, nullable=False),
)
