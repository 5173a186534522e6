"""The database of a process that speaks SQL."""

from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from tollway.adapters.sql.engine import (
    DriverMissingError,
    SqlOptions,
    open_engine,
    sqlite_url,
)
from tollway.adapters.sql.migrate import check
from tollway.adapters.sql.migrate import upgrade as upgrade_schema
from tollway.config import Settings, SettingsError
from tollway.domain.result import Err, Ok, Result


def database_url(settings: Settings) -> str:
    """The configured database, or the embedded one."""
    return settings.database_url or sqlite_url(settings.sqlite_path)


def is_shared(settings: Settings) -> bool:
    """Whether other machines may use the database too."""
    url = settings.database_url
    return url is not None and not url.startswith("sqlite")


def open_database(settings: Settings, *, upgrade: bool) -> Engine:
    """An engine on a database with the right schema. Raises SettingsError that says what to do.

    With `upgrade` the embedded database is brought up to date on the way; one that others share is
    so only by the command that says so (`migrate_database`).
    """
    engine = _open(settings)
    return _fitting(
        engine, upgrade_schema(engine) if upgrade and not is_shared(settings) else check(engine)
    )


def migrate_database(settings: Settings) -> bool:
    """Bring the schema up to date, whoever shares it; whether there was anything to do. Raises
    SettingsError."""
    engine = _open(settings)
    verdict = upgrade_schema(engine)
    _fitting(engine, verdict).dispose()
    return isinstance(verdict, Ok) and verdict.value


def _open(settings: Settings) -> Engine:
    try:
        return open_engine(SqlOptions(database_url(settings)))
    except DriverMissingError as error:
        raise SettingsError(str(error)) from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise SettingsError(
            "TOLLWAY_DATABASE_URL is postgresql://user:password@host/database or "
            f"sqlite:///FILE: {error}"
        ) from error


def _fitting(engine: Engine, verdict: Result[object, str]) -> Engine:
    if isinstance(verdict, Err):
        engine.dispose()
        raise SettingsError(verdict.error)
    return engine
