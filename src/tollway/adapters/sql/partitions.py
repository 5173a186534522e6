"""The ledger's days as partitions (PostgreSQL): which there are, making one, dropping one. SQLite
has no partitions; there each of these does nothing.

They lie in a schema of their own, where no role of a tenant may even look: whoever reads the ledger
goes through `ledger_entries`, whose policies then hold. There is no default partition: it would
collect what belongs to a day in silence, and keep that day from getting one.
"""

from collections.abc import Collection

from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from tollway.adapters.sql.engine import NOT_ALLOWED, POSTGRES
from tollway.app.ports import StoreUnavailableError

SCHEMA = "ledger_days"


def has_partitions(connection: Connection) -> bool:
    """Whether this database partitions the ledger."""
    return connection.dialect.name == POSTGRES


def partition_of(day: str) -> str:
    """The table that holds this day, quoted."""
    return f'{SCHEMA}."d{day.replace("-", "")}"'


def partitioned_days(connection: Connection) -> set[str]:
    """Every day that has its partition."""
    if not has_partitions(connection):
        return set()
    names = connection.execute(
        text(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = 'ledger_entries'::regclass"
        )
    )
    return {f"{name[1:5]}-{name[5:7]}-{name[7:9]}" for (name,) in names}


def make_partitions(connection: Connection, days: Collection[str]) -> None:
    """Those of the days that lack theirs get one. Held until the transaction's end: a lock that
    keeps others from making or dropping one, and nobody from reading or writing. Raises
    StoreUnavailableError where the login may not."""
    if not has_partitions(connection):
        return
    try:
        connection.exec_driver_sql("LOCK TABLE ONLY ledger_entries IN SHARE UPDATE EXCLUSIVE MODE")
        for day in sorted(set(days) - partitioned_days(connection)):
            for statement in partition_ddl(day):
                connection.exec_driver_sql(statement)
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != NOT_ALLOWED:
            raise
        raise StoreUnavailableError(
            f"a day of the ledger cannot be made by this login, which must own it: {error.orig}"
        ) from error


def partition_ddl(day: str) -> tuple[str, ...]:
    """Made first and attached then: that locks out nobody, where PARTITION OF would. Row security
    without any policy: should somebody be given rights on it, they still see nothing."""
    name = partition_of(day)
    return (
        f"CREATE TABLE {name} (LIKE ledger_entries INCLUDING ALL)",
        f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE ledger_entries ATTACH PARTITION {name} FOR VALUES IN ('{day}')",
    )


def hold_partition(connection: Connection, day: str) -> None:
    """Nobody writes this day until the transaction's end."""
    if has_partitions(connection):
        name = partition_of(day)
        connection.exec_driver_sql(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")


def keep_partitions(connection: Connection) -> None:
    """Until the transaction's end none is dropped. To be said first: what a transaction sees begins
    with its next statement, and a partition that was dropped is gone from older views as well,
    while its closing is not in them yet (PostgreSQL manual, 13.6)."""
    if has_partitions(connection):
        connection.exec_driver_sql("LOCK TABLE ONLY ledger_entries IN ACCESS SHARE MODE")


def drop_partition(connection: Connection, day: str) -> None:
    """The day and its entries are gone when the transaction is committed. Gives up before others
    would notice: everybody else waits behind whoever waits for this lock."""
    connection.exec_driver_sql("SET LOCAL lock_timeout = '500ms'")
    connection.exec_driver_sql(f"DROP TABLE {partition_of(day)}")
