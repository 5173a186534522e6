"""`tollway usage`: tokens and cost, from the ledger's roll-ups."""

import json
from datetime import UTC, datetime, timedelta

import click

from tollway.adapters.control.client import ControlError
from tollway.app.admin.queries.usage import GROUPS, usage_report
from tollway.app.ports_admin import UsageRow
from tollway.cli.session import desk_for, fail, find_running
from tollway.domain.money import usd_text
from tollway.domain.result import Err

_COUNTS = ("requests", "input", "cached_input", "output", "reasoning")


@click.command(name="usage")
@click.option(
    "--by", default="tenant,model", show_default=True, help=f"Any of: {', '.join(GROUPS)}."
)
@click.option("--days", default=30, show_default=True, help="How far back.")
@click.option("--tenant", help="Only this tenant (slug).")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table")
@click.option("--data-dir", help="Where everything is kept (TOLLWAY_DATA_DIR).")
def command(*, by: str, days: int, tenant: str | None, output: str, data_dir: str | None) -> None:
    """Show who used how much. Cost is shown as soon as models have prices."""
    groups = [name.strip() for name in by.split(",") if name.strip()]
    with desk_for(data_dir) as desk:
        running = find_running(desk.settings)
        if running is not None:
            try:
                running.ship()
            except ControlError as error:
                click.echo(f"The newest usage may be missing: {error}", err=True)
        tenant_id = None
        if tenant is not None:
            with desk.configuration.read() as uow:
                found = uow.tenants.find(tenant)
            if found is None:
                fail(f"There is no tenant '{tenant}'.")
            tenant_id = found.id
        until = datetime.now(UTC) + timedelta(minutes=15)
        since = until - timedelta(days=days)
        report = usage_report(
            desk.usage,
            since_s=int(since.timestamp()),
            until_s=int(until.timestamp()),
            group_by=groups,
            tenant_id=tenant_id,
        )
    if isinstance(report, Err):
        fail(report.error.message)
    if output == "json":
        print(json.dumps([_as_json(groups, row) for row in report.value], indent=2))
    elif not report.value:
        print("No usage yet.")
    else:
        print(_table(groups, report.value))


def _as_json(groups: list[str], row: UsageRow) -> dict[str, object]:
    fields = {name: getattr(row, name) for name in (*_COUNTS, "estimated", "errors")}
    ids = {f"{name}_id": value for name, value in zip(groups, row.group, strict=True)}
    return {**dict(zip(groups, row.labels, strict=True)), **ids, **fields, "cost_usd": _cost(row)}


def _cost(row: UsageRow) -> str | None:
    return None if row.cost_nusd is None else usd_text(row.cost_nusd)


def _table(groups: list[str], rows: list[UsageRow]) -> str:
    """Columns as wide as their widest cell; numbers to the right. `-` is "not known"."""
    head = [*groups, *_COUNTS, "cost USD"]
    lines = [head]
    for row in rows:
        counts = [getattr(row, name) for name in _COUNTS]
        cells = ["-" if count is None else str(count) for count in counts]
        lines.append([*row.labels, *cells, _cost(row) or "-"])
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < len(groups) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
