"""Limits, the gateways that count for them, and when a tenant changed its time zone. Only adds."""

import sqlalchemy as sa
from alembic import op

from tollway.adapters.sql.tenancy import security_ddl

revision = "r0005"
down_revision = "r0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tables, then who may see them."""
    _quotas()
    _gateways()
    op.add_column("tenant_settings", sa.Column("timezone_before", sa.Text(), nullable=True))
    op.add_column(
        "tenant_settings",
        sa.Column("timezone_since_s", sa.BigInteger(), nullable=False, server_default="0"),
    )
    if op.get_bind().dialect.name == "postgresql":
        for statement in security_ddl(revision):
            op.get_bind().exec_driver_sql(statement)


def _quotas() -> None:
    op.create_table(
        "quotas",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("counter", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("scope_id", sa.Text(), nullable=True),
        sa.Column("model_id", sa.Text(), nullable=True),
        sa.Column("per", sa.Text(), nullable=True),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("precision", sa.Text(), nullable=False),
        sa.Column("on_outage", sa.Text(), nullable=False),
        sa.Column("raised_to", sa.BigInteger(), nullable=True),
        sa.Column("raised_until_s", sa.BigInteger(), nullable=False),
        sa.Column("alert_at", sa.JSON(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("managed_by", sa.Text(), nullable=True),
        sa.Column("created_s", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_quotas_tenant_id")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_quotas_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quotas")),
        sa.UniqueConstraint("counter", name=op.f("uq_quotas_counter")),
    )
    for column in ("tenant_id", "place", "version"):
        op.create_index(op.f(f"ix_quotas_{column}"), "quotas", [column])


def _gateways() -> None:
    op.create_table(
        "gateways",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workers", sa.Integer(), nullable=False),
        sa.Column("shares_counters", sa.Boolean(), nullable=False),
        sa.Column("began_s", sa.BigInteger(), nullable=False),
        sa.Column("seen_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateways")),
    )
