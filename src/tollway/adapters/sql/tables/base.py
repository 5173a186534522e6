"""The metadata all tables share, and the few column shapes they have in common."""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, MetaData, Table, text

# Names for all constraints: without one, a later migration could not drop it.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def created_and_version() -> list[Column[Any]]:
    """When the row was made (UTC seconds), and the snapshot that last changed it."""
    return [
        Column("created_s", BigInteger, nullable=False),
        Column("version", BigInteger, nullable=False),
    ]


def name_is_unique_per_owner(table: Table) -> None:
    """One name per tenant, and one among the platform's (tenant NULL). Two partial indices, since
    a plain unique constraint holds NULLs to be distinct."""
    for suffix, columns, owner in (
        ("tenant", (table.c.tenant_id, table.c.name), "tenant_id IS NOT NULL"),
        ("platform", (table.c.name,), "tenant_id IS NULL"),
    ):
        Index(
            f"uq_{table.name}_name_of_{suffix}",
            *columns,
            unique=True,
            sqlite_where=text(owner),
            postgresql_where=text(owner),
        )
