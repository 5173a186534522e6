"""The model of a tenant's requests that name none. Only adds."""

import sqlalchemy as sa
from alembic import op

revision = "r0009"
down_revision = "r0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column; without a value all is as before."""
    op.add_column("tenant_settings", sa.Column("default_model", sa.Text(), nullable=True))
