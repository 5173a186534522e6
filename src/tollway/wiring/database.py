"""The database of a process that speaks SQL."""

from sqlalchemy import Engine

from tollway.adapters.sql.engine import SqlOptions, open_engine, sqlite_url
from tollway.adapters.sql.migrate import check
from tollway.adapters.sql.migrate import upgrade as upgrade_schema
from tollway.config import Settings, SettingsError
from tollway.domain.result import Err


def database_url(settings: Settings) -> str:
    """The configured database, or the embedded one."""
    return settings.database_url or sqlite_url(settings.sqlite_path)


def open_database(settings: Settings, *, upgrade: bool) -> Engine:
    """An engine on a database with the right schema. Raises SettingsError that says what to do.

    The embedded database is brought up to date on the way; one that others share only by the
    command that says so.
    """
    if settings.database_url is not None and not settings.database_url.startswith("sqlite"):
        raise SettingsError("TOLLWAY_DATABASE_URL: only sqlite:///FILE is supported so far.")
    engine = open_engine(SqlOptions(database_url(settings)))
    verdict = upgrade_schema(engine) if upgrade else check(engine)
    if isinstance(verdict, Err):
        engine.dispose()
        raise SettingsError(verdict.error)
    return engine
