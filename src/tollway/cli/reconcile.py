"""`tollway ledger reconcile`: a provider's usage export beside the ledger. Reads both, writes to
neither. Exit code 0 when they agree, 1 when not, 2 when the file cannot be compared.
"""

import json
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import click

from tollway.cli.outcomes import REFUSED, USAGE, CommandError
from tollway.cli.printing import cell, table
from tollway.cli.session import desk_for, fail
from tollway.domain.ids import day_of
from tollway.domain.invoice import FIGURES, Charge, KnownProvider, Report, Terms, reconcile
from tollway.domain.invoice_cells import InvoiceError
from tollway.domain.invoice_csv import Form, Line, read_invoice
from tollway.domain.money import usd_text
from tollway.wiring.desk import Desk

_MOST_BYTES = 512 * 1024 * 1024
_SHOWN = 50
_HOUR_S = 3600
_WORDS = {
    "differs": "differs",
    "not_in_ledger": "not in the ledger",
    "not_in_invoice": "not in the invoice",
}


@click.command(name="reconcile")
@click.option("--invoice", "path", required=True, type=click.Path(), metavar="FILE")
@click.option("--provider", "named", help="Whose invoice it is: the provider's name or id.")
@click.option("--from", "first", metavar="DAY", help="From this UTC day on (2027-01-31).")
@click.option("--to", "last", metavar="DAY", help="Up to this UTC day.")
@click.option("--tolerance", default="0", metavar="PERCENT", help="What counts as no difference.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table")
@click.option("--data-dir", help="Where everything is kept (TOLLWAY_DATA_DIR).")
def command(
    *,
    path: str,
    named: str | None,
    first: str | None,
    last: str | None,
    tolerance: str,
    output: str,
    data_dir: str | None,
) -> None:
    """Compare a provider's usage export (CSV) with the ledger, down to the requests it names.
    Exit code 0 when they agree, 1 when not, 2 when the file cannot be compared."""
    percent, days = _percent(tolerance), (_day("--from", first), _day("--to", last))
    form, lines = _read(path)
    with desk_for(data_dir) as desk:
        charges = _assigned(lines, form, desk.attempts.providers(), named)
        hourly = all(line.span_s == _HOUR_S for line in lines)
        terms = _terms(charges, days, "hour" if hourly else "day", percent)
        report = _compared(desk, charges, terms)
        names = {one.id: one.name for one in desk.attempts.providers()}
        last_day = _date(terms.until_s - 1).isoformat()
        closed = desk.attempts.closed_days(_date(terms.from_s).isoformat(), last_day)
        waiting = desk.waiting_outcomes()
    if closed:
        words = "their entries were removed (retention), so the ledger's side is not whole"
        click.echo(f"Of {closed[0]} to {closed[-1]}, {len(closed)} days: {words}.", err=True)
    if output == "json":
        print(json.dumps(_as_json(report, form, names, waiting), indent=2))
    else:
        _print(report, names, waiting)
    if not report.equal:
        sys.exit(REFUSED)


def _read(path: str) -> tuple[Form, list[Line]]:
    try:
        with open(path, "rb") as file:
            if file.seekable() and file.seek(0, 2) > _MOST_BYTES:
                fail(f"{path} has more than {_MOST_BYTES >> 20} MiB: compare it in parts.", USAGE)
            file.seek(0)
            form, lines = read_invoice(file)
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}", USAGE)
    except InvoiceError as error:
        fail(f"{path}: {error}", USAGE)
    if not lines:
        fail(f"{path} has no line that charges anything.", USAGE)
    return form, lines


def _percent(text: str) -> Decimal:
    try:
        percent = Decimal(text.removesuffix("%"))
    except InvalidOperation:
        percent = Decimal(-1)
    if not percent.is_finite() or not 0 <= percent <= 100:
        fail("--tolerance is a percentage from 0 to 100, as in 0.5.", USAGE)
    return percent


def _day(option: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        fail(f"{option} is a day, as in 2027-01-31.", USAGE)


def _assigned(
    lines: list[Line], form: Form, known: list[KnownProvider], named: str | None
) -> list[Charge]:
    """The charges under our providers' ids; with `--provider` those of others are left out."""
    only = None if named is None else _provider(named, known, "--provider")
    default = only.id if only is not None else _of_kind(form, known)
    found: dict[str, str | None] = {"": default}
    charges = []
    for line in lines:
        name = line.charge.provider
        if name not in found:
            found[name] = _line_provider(name, known, only, line.charge.line)
        provider_id = found[name]
        if provider_id is not None:
            charges.append(line.charge._replace(provider=provider_id))
        elif not name:
            raise CommandError("Say whose invoice it is: --provider NAME.", USAGE)
    if not charges:
        raise CommandError(f"The invoice has no line of {named}.", USAGE)
    return charges


def _line_provider(
    name: str, known: list[KnownProvider], only: KnownProvider | None, line: int
) -> str | None:
    if only is not None:
        return only.id if name.lower() in (only.name.lower(), only.id) else None
    return _provider(name, known, f"line {line}").id


def _provider(name: str, known: list[KnownProvider], where: str) -> KnownProvider:
    """The platform's provider goes before a tenant's of the same name."""
    found = [one for one in known if name.lower() in (one.id, one.name.lower())]
    if not found:
        have = ", ".join(sorted({one.name for one in known})) or "none"
        raise CommandError(f"{where}: there is no provider {name!r} (there are: {have}).", USAGE)
    if len(found) > 1 and found[0].tenant_id is not None:
        ids = ", ".join(one.id for one in found)
        raise CommandError(f"{where}: several tenants have a provider {name!r}: {ids}.", USAGE)
    return found[0]


def _of_kind(form: Form, known: list[KnownProvider]) -> str | None:
    found = [one.id for one in known if one.kind == form.provider_kind and one.tenant_id is None]
    return found[0] if len(found) == 1 else None


def _terms(
    charges: list[Charge], days: tuple[date | None, date | None], by: str, percent: Decimal
) -> Terms:
    first = days[0] or _date(min(charge.at_s for charge in charges))
    last = days[1] or _date(max(charge.at_s for charge in charges))
    if last < first:
        raise CommandError(f"Nothing to compare: {first} is after {last}.", USAGE)
    return Terms(_seconds(first), _seconds(last + timedelta(days=1)), by, percent)


def _compared(desk: Desk, charges: list[Charge], terms: Terms) -> Report:
    """A request is looked for on the day its id names, wherever the invoice puts it; and a request
    of midnight may have its attempt on the next day."""
    lines = [charge for charge in charges if terms.covers(charge.at_s)]
    if not lines:
        raise CommandError("The invoice has nothing of the days that were asked for.", USAGE)
    days = {
        (_date(terms.from_s) - timedelta(days=1)).isoformat(),
        (_date(terms.until_s)).isoformat(),
    }
    for line in lines:
        try:
            days.add(day_of(line.request_id or ""))
        except ValueError:
            continue  # not one of ours: it will not be found
    provider_ids = {charge.provider for charge in lines}
    return reconcile(lines, desk.attempts.attempts(provider_ids, min(days), max(days)), terms)


def _date(at_s: int) -> date:
    return datetime.fromtimestamp(at_s, UTC).date()


def _seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _as_json(report: Report, form: Form, names: dict[str, str], waiting: int) -> dict[str, Any]:
    def figures(values: Iterable[int | None]) -> dict[str, int | None]:
        return dict(zip(FIGURES, values, strict=True))

    return {
        "equal": report.equal,
        "form": form.name,
        "not_shipped": waiting,
        "groups": [
            {
                "bucket": group.bucket,
                "provider": names.get(group.provider, group.provider),
                "model": group.model,
                "invoice": figures(group.invoice),
                "ledger": figures(group.ledger),
                "difference": figures(
                    None if there is None else there - (here or 0)
                    for there, here in zip(group.invoice, group.ledger, strict=True)
                ),
                "differs": list(group.differs),
            }
            for group in report.groups
        ],
        "rows": [
            {
                **row._asdict(),
                "fields": [
                    {"name": name, "invoice": there, "ledger": here}
                    for name, there, here in row.fields
                ],
            }
            for row in report.rows
        ],
    }


def _print(report: Report, names: dict[str, str], waiting: int) -> None:
    rows = [
        (
            group.bucket,
            cell(names.get(group.provider, group.provider)),
            cell(group.model),
            figure,
            _number(figure, there),
            _number(figure, here),
            _number(figure, there - (here or 0)),
        )
        for group in report.groups
        for figure, there, here in zip(FIGURES, group.invoice, group.ledger, strict=True)
        if figure in group.differs and there is not None
    ]
    if rows:
        head = ("when", "provider", "model", "figure", "invoice", "ledger", "difference")
        print(table(head, rows))
    for row in report.rows[:_SHOWN]:
        _print_row(row._asdict())
    if len(report.rows) > _SHOWN:
        print(f"  and {len(report.rows) - _SHOWN} more requests: -o json has all")
    if waiting:
        print(f"{waiting} outcomes wait in the journals to be shipped.")
    differing = sum(bool(group.differs) for group in report.groups)
    print(
        f"{len(report.groups)} groups agree."
        if report.equal
        else f"{differing} of {len(report.groups)} groups and {len(report.rows)} requests differ."
    )


def _print_row(row: dict[str, Any]) -> None:
    where = "" if row["line"] is None else f"line {row['line']}, "
    fields = "; ".join(
        f"{name} {_number(name, there)} / {_number(name, here)}"
        for name, there, here in row["fields"]
    )
    print(
        f"  {cell(row['request_id'])}: {_WORDS[row['what']]} "
        f"({where}{row['bucket']}, {cell(row['model'])}): {fields or 'nothing charged'}"
    )


def _number(figure: str, value: object) -> str:
    if value is None:
        return "-"
    if figure == "cost_nusd" and isinstance(value, int):
        return f"{'-' if value < 0 else ''}{usd_text(abs(value))}"
    return cell(value)
