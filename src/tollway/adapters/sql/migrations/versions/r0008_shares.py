"""What a provider's account takes, a tenant's weight there, where its data may go. Only adds."""

import sqlalchemy as sa
from alembic import op

revision = "r0008"
down_revision = "r0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Columns; what is there takes what it did."""
    for name in ("requests_at_once", "requests_per_minute", "tokens_per_minute"):
        op.add_column("provider_config", sa.Column(name, sa.Integer(), nullable=True))
    op.add_column(
        "provider_config",
        sa.Column("translate_responses", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column(
        "tenant_settings", sa.Column("weight", sa.Float(), nullable=False, server_default="1")
    )
    op.add_column("tenant_settings", sa.Column("allowed_residency", sa.JSON(), nullable=True))
    op.add_column(
        "models",
        sa.Column("cache_affinity", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
