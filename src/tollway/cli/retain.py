"""`tollway ledger retain`: remove entries whose time is over, as the keeper does by itself, or say
which these are.
"""

import click

from tollway.app.jobs.retain import Retention
from tollway.cli.printing import table
from tollway.cli.session import desk_for


@click.command(name="retain")
@click.option("--dry-run", is_flag=True, help="Change nothing: say what would go.")
@click.option("--data-dir", help="Where everything is kept (TOLLWAY_DATA_DIR).")
def command(*, dry_run: bool, data_dir: str | None) -> None:
    """Remove entries of the ledger whose time is over (a tenant's `retention_days`,
    TOLLWAY_LEDGER_RETENTION_DAYS). What they came to stays. A running gateway does so hourly."""
    with desk_for(data_dir) as desk:
        if dry_run:
            _print_due(desk.retention)
            return
        retained = desk.retention.run_once()
    print(f"{retained.entries} entries removed, {retained.days} days as a whole.")


def _print_due(retention: Retention) -> None:
    counts = [(day, goes, stays) for day, goes, stays in retention.counts() if goes]
    if not counts:
        print("Nothing is over.")
        return
    rows = [(day, str(goes), str(stays)) for day, goes, stays in counts]
    print(table(("day", "goes", "stays"), rows))
