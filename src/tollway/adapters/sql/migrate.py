"""Brings the schema up to date, and says whether it is. Alembic is imported only when there is
something to do: a start-up that finds the newest revision pays one small query.
"""

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import ProgrammingError

from tollway.adapters.sql.engine import NOT_ALLOWED, POSTGRES, reading, take_turn, writing
from tollway.domain.brand import COMMAND, NAME
from tollway.domain.result import Err, Ok, Result

# Every revision, oldest first. A test compares it with the migration files.
REVISIONS = ("r0001", "r0002", "r0003", "r0004", "r0005", "r0006", "r0007", "r0008", "r0009")
HEAD = REVISIONS[-1]
SCRIPTS = "tollway.adapters.sql:migrations"


def check(engine: Engine) -> Result[None, str]:
    """Ok, or why this program cannot use the database. Raises StoreUnavailableError."""
    with reading(engine) as connection:
        return _verdict(_revision(connection))


def upgrade(engine: Engine) -> Result[bool, str]:
    """Ok(whether something was done), or why nothing can be done: a newer schema, rights that lack.

    One transaction, begun as a writer: of two processes that start at once the second waits, and
    then finds nothing to do. Raises StoreUnavailableError.
    """
    with reading(engine) as connection:
        revision = _revision(connection)
    if revision == HEAD:
        return Ok(False)
    with writing(engine) as connection:
        take_turn(connection)
        revision = _revision(connection)
        if revision == HEAD:
            return Ok(False)
        if revision is not None and revision not in REVISIONS:
            return Err(_newer(revision))
        try:
            _run(connection)
        except ProgrammingError as error:
            if getattr(error.orig, "sqlstate", None) != NOT_ALLOWED:
                raise
            return Err(
                f"The database refused the migration: {error.orig}. It needs its database's owner, "
                "with CREATEROLE or with its two roles made beforehand: docs/several-machines.md."
            )
    return Ok(True)


def _verdict(revision: str | None) -> Result[None, str]:
    if revision == HEAD:
        return Ok(None)
    if revision is None:
        return Err(f"The database is empty. Run `{COMMAND} migrate`.")
    if revision in REVISIONS:
        return Err(
            f"The database has schema {revision}, this {NAME} needs {HEAD}. "
            f"Run `{COMMAND} migrate`."
        )
    return Err(_newer(revision))


def _newer(revision: str) -> str:
    return (
        f"The database has schema {revision}, which this {NAME} does not know (it knows {HEAD}): "
        f"a newer {NAME} has migrated it. Install that version."
    )


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _run(connection: Connection) -> None:
    if connection.dialect.name == POSTGRES:  # a large table may take its time
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    from alembic import command  # noqa: PLC0415  # 0.3 s of imports that a usual start does not need
    from alembic.config import Config  # noqa: PLC0415  # the same

    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
