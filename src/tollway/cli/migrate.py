"""`tollway migrate`: bring the database to this version's schema, or say whether it is."""

import click

from tollway.app.ports import StoreUnavailableError
from tollway.cli.session import command_settings, fail
from tollway.config import SettingsError
from tollway.wiring.database import migrate_database, open_database


@click.command(name="migrate")
@click.option("--check", is_flag=True, help="Change nothing; exit 1 when there is something to do.")
@click.option("--data-dir", help="Where everything is kept (TOLLWAY_DATA_DIR).")
def command(check: bool, data_dir: str | None) -> None:
    """Bring the database up to date. Safe to run at any time."""
    try:
        settings = command_settings(data_dir)
        if check:
            open_database(settings, upgrade=False).dispose()
        else:
            migrate_database(settings)
    except SettingsError as error:
        fail(str(error))
    except StoreUnavailableError as error:
        fail(f"The database cannot be used right now: {error}")
    print("The database is up to date.")
