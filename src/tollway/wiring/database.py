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
from tollway.app.ports import StoreUnavailableError
from tollway.config import Settings, SettingsError
from tollway.domain.result import Err, Ok, Result

_ASKED_S = 8.0  # for one statement, where a person or a worker waits


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
    engine = _open(SqlOptions(database_url(settings)))
    return _fitting(
        engine, upgrade_schema(engine) if upgrade and not is_shared(settings) else check(engine)
    )


def check_database(engine: Engine) -> None:
    """Raises SettingsError that says what to do when this program cannot use the database, and
    StoreUnavailableError while that cannot be known."""
    _fitting(engine, check(engine))


def find_database(settings: Settings) -> tuple[Engine, bool]:
    """A prompt engine, and whether its schema was found right; False while the database is away,
    then `check_database` is to be asked again. Raises SettingsError."""
    engine = prompt_database(settings)
    try:
        check_database(engine)
    except StoreUnavailableError:
        return engine, False
    return engine, True


def prompt_database(settings: Settings) -> Engine:
    """An engine for what is to be known soon or not at all. Its schema is not looked at."""
    url = database_url(settings)
    return _open(SqlOptions(url, statement_timeout_s=_ASKED_S, answer_timeout_s=_ASKED_S + 2))


def migrate_database(settings: Settings) -> bool:
    """Bring the schema up to date, whoever shares it; whether there was anything to do. Raises
    SettingsError."""
    engine = _open(
        SqlOptions(database_url(settings), answer_timeout_s=None)
    )  # a large table may take its time
    verdict = upgrade_schema(engine)
    _fitting(engine, verdict).dispose()
    return isinstance(verdict, Ok) and verdict.value


def _open(options: SqlOptions) -> Engine:
    try:
        return open_engine(options)
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
