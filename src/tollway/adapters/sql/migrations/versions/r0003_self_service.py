"""Sign-in, grants, prices, the audit; and what tenants decide about their own objects. Only adds:
programs of the revision before go on working.
"""

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tables before those that refer to them."""
    _identity_links()
    _sessions()
    _access_tokens()
    _login_attempts()
    _grants()
    _prices()
    _tombstones()
    _audit_log()
    _idempotent_replies()
    _columns()


def _identity_links() -> None:
    op.create_table(
        "identity_links",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("created_s", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_identity_links_account_id")
        ),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_identity_links")),
    )
    op.create_index(op.f("ix_identity_links_account_id"), "identity_links", ["account_id"])


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("created_s", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_s", sa.BigInteger(), nullable=False),
        sa.Column("expires_s", sa.BigInteger(), nullable=False),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("id_token", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_sessions_account_id")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_account_id"), "sessions", ["account_id"])
    op.create_index(op.f("ix_sessions_expires_s"), "sessions", ["expires_s"])


def _access_tokens() -> None:
    op.create_table(
        "access_tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("last4", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("read_only", sa.Boolean(), nullable=False),
        sa.Column("expires_s", sa.BigInteger(), nullable=True),
        sa.Column("revoked_s", sa.BigInteger(), nullable=True),
        sa.Column("last_used_s", sa.BigInteger(), nullable=True),
        sa.Column("created_s", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(account_id IS NULL) <> (tenant_id IS NULL)", name=op.f("ck_access_tokens_one_bearer")
        ),
        sa.CheckConstraint(
            "(tenant_id IS NULL) = (role IS NULL)", name=op.f("ck_access_tokens_role_of_tenant")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_access_tokens_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_access_tokens_tenant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_tokens")),
    )
    op.create_index(op.f("ix_access_tokens_account_id"), "access_tokens", ["account_id"])
    op.create_index(op.f("ix_access_tokens_tenant_id"), "access_tokens", ["tenant_id"])


def _login_attempts() -> None:
    op.create_table(
        "login_attempts",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_failure_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_login_attempts")),
    )


def _grants() -> None:
    op.create_table(
        "grants",
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("created_s", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_grants_model_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_grants_tenant_id")),
        sa.PrimaryKeyConstraint("holder", "model_id", name=op.f("pk_grants")),
    )
    op.create_index(op.f("ix_grants_model_id"), "grants", ["model_id"])
    op.create_index(op.f("ix_grants_version"), "grants", ["version"])


def _prices() -> None:
    op.create_table(
        "prices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("provider_kind", sa.Text(), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("effective_from_s", sa.BigInteger(), nullable=False),
        sa.Column("rates", sa.JSON(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_s", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_prices_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prices")),
    )
    op.create_index(op.f("ix_prices_model"), "prices", ["model"])


def _tombstones() -> None:
    op.create_table(
        "tombstones",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", name=op.f("pk_tombstones")),
    )
    op.create_index(op.f("ix_tombstones_version"), "tombstones", ["version"])


def _audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_s", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object_kind", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_object_id"), "audit_log", ["object_id"])
    op.create_index(op.f("ix_audit_log_tenant_id_seq"), "audit_log", ["tenant_id", "seq"])


def _idempotent_replies() -> None:
    op.create_table(
        "idempotent_replies",
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("actor_id", "key", name=op.f("pk_idempotent_replies")),
    )
    op.create_index(op.f("ix_idempotent_replies_created_s"), "idempotent_replies", ["created_s"])


def _columns() -> None:
    op.add_column("accounts", sa.Column("password_hash", sa.Text(), nullable=True))
    op.add_column("accounts", sa.Column("managed_by", sa.Text(), nullable=True))
    op.add_column("api_keys", sa.Column("created_by", sa.Text(), nullable=True))
    op.add_column("api_keys", sa.Column("replaces", sa.Text(), nullable=True))
    op.add_column("api_keys", sa.Column("managed_by", sa.Text(), nullable=True))
    op.create_index(op.f("ix_api_keys_account_id"), "api_keys", ["account_id"])
    op.create_index(op.f("ix_api_keys_version"), "api_keys", ["version"])
    op.add_column("memberships", sa.Column("models", sa.JSON(none_as_null=True), nullable=True))
    op.add_column(
        "memberships", sa.Column("source", sa.Text(), server_default="manual", nullable=False)
    )
    op.create_index(op.f("ix_memberships_version"), "memberships", ["version"])
    op.add_column("models", sa.Column("fallbacks", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("models", sa.Column("managed_by", sa.Text(), nullable=True))
    op.create_index(op.f("ix_models_version"), "models", ["version"])
    op.add_column("projects", sa.Column("models", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("projects", sa.Column("managed_by", sa.Text(), nullable=True))
    op.create_index(op.f("ix_projects_version"), "projects", ["version"])
    op.add_column("providers", sa.Column("managed_by", sa.Text(), nullable=True))
    op.create_index(op.f("ix_providers_version"), "providers", ["version"])
    op.add_column("tenant_settings", sa.Column("grant_group", sa.Text(), nullable=True))
    op.add_column(
        "tenant_settings", sa.Column("default_quotas", sa.JSON(none_as_null=True), nullable=True)
    )
    op.add_column("tenants", sa.Column("managed_by", sa.Text(), nullable=True))
    op.create_index(op.f("ix_tenants_version"), "tenants", ["version"])
