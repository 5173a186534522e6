"""`tollway ledger`: whether the ledger agrees with what comes of it, and with what providers
charge. Beside the database.
"""

import json
import sys
from collections import Counter
from typing import Any

import click

from tollway.app.jobs.recount import recount
from tollway.cli import reconcile, retain
from tollway.cli.outcomes import REFUSED
from tollway.cli.session import desk_for, find_running
from tollway.domain.ledger_check import Finding, check_attempts, compare
from tollway.wiring.desk import Desk

_SHOWN = 20


@click.group(name="ledger")
def command() -> None:
    """Whether the ledger agrees with what is derived from it, and with a provider's invoice."""


command.add_command(reconcile.command)
command.add_command(retain.command)


@command.command(name="verify")
@click.option("--from", "first", metavar="DAY", help="From this UTC day on (2027-01-31).")
@click.option("--to", "last", metavar="DAY", help="Up to this UTC day.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
@click.option("--data-dir", help="Where everything is kept (TOLLWAY_DATA_DIR).")
def verify(*, first: str | None, last: str | None, output: str, data_dir: str | None) -> None:
    """Each attempt has one outcome, each cost follows from its price, each roll-up is the sum of
    its rows, and what limits have counted in a gateway that runs here is what the ledger has. Exit
    code 1 when something is not so."""
    findings: list[Finding] = []
    with desk_for(data_dir) as desk:
        days = [
            day
            for day in desk.ledger.days()
            if (first is None or first <= day) and (last is None or day <= last)
        ]
        rows = sum(_verify_day(desk, day, findings) for day in days)
        counters = _verify_counters(desk, findings)
        report = {
            "days": len(days),
            "rows": rows,
            "counters": counters,
            "findings": len(findings),
            "quarantined": desk.ledger.quarantined(),
            "not_shipped": desk.waiting_outcomes(),
        }
    if output == "json":
        shown = [finding._asdict() for finding in findings]
        print(json.dumps({**report, "findings": shown}, indent=2))
    else:
        _print(report, findings)
    if findings:
        sys.exit(REFUSED)


def _verify_day(desk: Desk, day: str, findings: list[Finding]) -> int:
    rows = 0

    def counted(found: Any) -> Any:
        nonlocal rows
        for row in found:
            rows += 1
            yield row

    with desk.ledger.open(day) as book:
        findings += check_attempts(day, counted(book.rows()), desk.ledger.price)
        for table, expected, found in book.rollups():
            findings += compare(table, expected, found)
    return rows


def _verify_counters(desk: Desk, findings: list[Finding]) -> int:
    running = find_running(desk.settings)
    if running is None:
        return 0
    looked, wrong = recount(
        desk.counts.limits(), stands=desk.stands, sums=desk.counts, ship=running.ship
    )
    for counter in wrong:
        place = (
            counter.quota.id if counter.member is None else f"{counter.quota.id} {counter.member}"
        )
        words = f"{counter.counted} counted, {counter.booked} in the ledger"
        findings.append(Finding("counter", place, words))
    return looked


def _print(report: dict[str, int], findings: list[Finding]) -> None:
    print(f"{report['rows']} rows, {report['days']} {'day' if report['days'] == 1 else 'days'}.")
    if report["counters"]:
        print(f"{report['counters']} counters of limits compared.")
    for check, count in sorted(Counter(finding.check for finding in findings).items()):
        print(f"{check}: {count} wrong")
    for finding in findings[:_SHOWN]:
        print(f"  {finding.check}: {finding.place}: {finding.words}")
    if len(findings) > _SHOWN:
        print(f"  and {len(findings) - _SHOWN} more")
    if report["not_shipped"]:
        print(f"{report['not_shipped']} outcomes wait in the journals to be shipped.")
    if report["quarantined"]:
        print(f"{report['quarantined']} outcomes were set aside: see ledger_quarantine.")
    if not findings:
        print("The ledger agrees with itself.")
