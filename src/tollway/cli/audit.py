"""`tollway audit`: what changed (over the admin API), and whether the record is whole (beside the
database: whoever could change rows there would also answer for them).
"""

import re
import sys
from dataclasses import replace
from pathlib import Path

import click
import msgspec

from tollway.app.admin.queries.audit import KeptHead, Verified, verify_audit
from tollway.cli.outcomes import REFUSED, USAGE, CommandError
from tollway.cli.resources.commands import command_for
from tollway.cli.resources.house import TENANT
from tollway.cli.resources.shape import Into, Noun, Option, Verb
from tollway.cli.session import desk_for
from tollway.config import Settings
from tollway.wiring.desk import Desk
from tollway.wiring.options import audit_secret

_HEAD = re.compile(r"\b([0-9]{1,18}):([0-9a-f]{64})\b")
_WHEN = "Such as 2027-01-31T12:00:00Z."

AUDIT = Noun(
    name="audit",
    one="row",
    help="What changed, by whom.",
    path="/audit",
    id="seq",
    columns=("seq", "at", "actor_name", "via", "action", "object_id", "tenant_id", "address"),
    verbs=(
        Verb(
            name="list",
            operation="listAudit",
            method="GET",
            help="Changes, the newest first.",
            many=True,
            limit=50,
            options=(
                replace(TENANT, into=Into.QUERY, required=False, help="Only this one's."),
                Option(
                    flag="--action", field="action", into=Into.QUERY, help="Such as key.created."
                ),
                Option(flag="--object", field="object_id", into=Into.QUERY, help="Its id."),
                Option(flag="--actor", field="actor_id", into=Into.QUERY, help="Their id."),
                Option(flag="--since", field="since", into=Into.QUERY, help=_WHEN),
                Option(flag="--until", field="until", into=Into.QUERY, help=_WHEN),
            ),
        ),
    ),
)


@click.group(name="audit")
def command() -> None:
    """What changed, by whom; and whether that record is whole."""


command.add_command(command_for(AUDIT, AUDIT.verbs[0]))


@command.command(name="verify")
@click.option(
    "--head",
    metavar="SEQ:MAC|FILE",
    help="The last head in the keeper's log, or that log: shows a tail that was cut, too.",
)
@click.option("--data-dir", help="Where everything is kept (TOLLWAY_DATA_DIR).")
def verify(head: str | None, data_dir: str | None) -> None:
    """Walk the chain. Exit code 1 names the first row that is not what it was."""
    with desk_for(data_dir) as desk:
        found = _verified(desk, None if head is None else _kept(head))
    if found.bad is None:
        print(f"{found.rows} rows: the chain is whole.")
        return
    print(f"Row {found.bad} is not what it was, or is missing. {found.rows} rows before are whole.")
    sys.exit(REFUSED)


def _verified(desk: Desk, head: tuple[int, str] | None) -> Verified:
    kept = [None] if head is None else [KeptHead(*head, secret) for secret in _secrets(desk)]
    with desk.configuration.read() as uow:
        walks = (verify_audit(uow, one) for one in kept)
        found = next(walks)
        return next((other for other in walks if other.bad is None), found) if found.bad else found


def _secrets(desk: Desk) -> list[bytes]:
    """A head may have been written before the master key was changed."""
    settings: Settings = desk.settings
    secrets = [audit_secret(settings)]
    if settings.master_key_previous:
        previous = msgspec.structs.replace(settings, master_key=settings.master_key_previous)
        secrets.append(audit_secret(previous))
    return secrets


def _kept(head: str) -> tuple[int, str]:
    """The head, or the last one in a file."""
    found = _HEAD.findall(head)
    if not found:
        try:
            with Path(head).open(encoding="utf-8", errors="replace") as log:
                found = [pair for line in log for pair in _HEAD.findall(line)][-1:]
        except OSError as error:
            raise CommandError(
                f"--head is SEQ:MAC or a file: {head}: {error.strerror}", USAGE
            ) from error
    if not found:
        raise CommandError(f"There is no head in {head}.", USAGE)
    seq, mac = found[-1]
    return int(seq), mac
