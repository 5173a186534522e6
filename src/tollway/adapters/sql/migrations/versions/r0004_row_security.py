"""Row-level security behind the repositories' filters. PostgreSQL only; SQLite has none."""

from alembic import op

from tollway.adapters.sql.tenancy import roles_ddl, security_ddl

revision = "r0004"
down_revision = "r0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Roles first, then what they may."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for statement in (*roles_ddl(), *security_ddl(revision)):
        op.get_bind().exec_driver_sql(statement)
