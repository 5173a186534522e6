"""`apply` and `get` where the configuration is: over the admin API when one is named, beside the
database otherwise. Both run the same code and answer in the same form, that of the API.
"""

import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import click
import msgspec
import yaml

from tollway.app.admin.applying.apply import apply_manifest
from tollway.app.admin.applying.export import export_manifest
from tollway.app.admin.applying.run import Applied
from tollway.app.admin.manifest import Manifest, read_manifest, write_manifest
from tollway.cli.access import Reach, admin_api
from tollway.cli.admin_client import AdminClient
from tollway.cli.outcomes import CommandError, value_of
from tollway.cli.session import desk_for, publish_if_running
from tollway.domain.result import Err
from tollway.wiring.desk import Desk

Plan = Mapping[str, Any]  # `AppliedOut` of the API
Show = Callable[[Plan], None]


class Place(Protocol):
    """Where files are applied to."""

    def apply(self, content: object, *, prune: bool, dry_run: bool) -> Plan:
        """Do it, or with `dry_run` say what would be done. Raises CommandError."""
        ...

    def read(self) -> tuple[Mapping[str, Any], list[str]]:
        """Everything as a file would say it, and what no file holds. Raises CommandError."""
        ...


@contextmanager
def place_for(reach: Reach) -> Iterator[Place]:
    """The place; what goes wrong inside ends the command with its message and exit code."""
    if reach.is_remote():
        with admin_api(reach) as api:
            yield Afar(api)
    else:
        with desk_for(reach.data_dir) as desk:
            yield Beside(desk)


def apply_shown(place: Place, content: object, *, prune: bool, show: Show) -> Plan:
    """Show what will be done, then do it: in two transactions, so that no writer waits for whoever
    reads the output. Where somebody came in between, what was done is shown too."""
    plan = place.apply(content, prune=prune, dry_run=True)
    show(plan)
    if not plan["changes"]:
        return plan
    done = place.apply(content, prune=prune, dry_run=False)
    if done["changes"] != plan["changes"]:
        click.echo("Something was changed meanwhile. What was done:")
        show(done)
    return done


@dataclass(frozen=True, slots=True)
class Afar:
    """Over the admin API."""

    api: AdminClient

    def apply(self, content: object, *, prune: bool, dry_run: bool) -> Plan:
        """See `Place`."""
        body = msgspec.to_builtins({} if content is None else content)  # moments become text
        query = {"dry_run": dry_run, "prune": prune}
        plan: Plan = self.api.ask("POST", "/apply", query=query, body=body).body
        return plan

    def read(self) -> tuple[Mapping[str, Any], list[str]]:
        """See `Place`."""
        body = self.api.ask("GET", "/manifest").body
        return body["manifest"], body["missing"]


@dataclass(frozen=True, slots=True)
class Beside:
    """At the database itself; a running gateway is told."""

    desk: Desk

    def apply(self, content: object, *, prune: bool, dry_run: bool) -> Plan:
        """See `Place`."""
        manifest = _manifest(content)
        with self.desk.configuration.begin() as uow:
            applied = value_of(apply_manifest(self.desk.work(uow), manifest, prune=prune))
            if dry_run or not applied.changes:
                return _form(applied, dry_run=dry_run)
            uow.commit()
        publish_if_running(self.desk.settings)
        return _form(applied, dry_run=False)

    def read(self) -> tuple[Mapping[str, Any], list[str]]:
        """See `Place`."""
        with self.desk.configuration.read() as uow:
            exported = value_of(export_manifest(self.desk.work(uow)))
        return write_manifest(exported.manifest), list(exported.missing)


def _manifest(content: object) -> Manifest:
    read = read_manifest(content)
    if isinstance(read, Err):
        raise CommandError(read.error)
    return read.value


def _form(applied: Applied, *, dry_run: bool) -> Plan:
    keys = () if dry_run else applied.keys
    return {
        "dry_run": dry_run,
        "changes": [
            {
                "verb": change.verb.value,
                "kind": change.kind,
                "name": change.name,
                "fields": {
                    field: {"old": old, "new": new} for field, (old, new) in change.fields.items()
                },
            }
            for change in applied.changes
        ],
        "unchanged": applied.unchanged,
        "keys": [{"tenant": key.tenant, "name": key.name, "key": key.text} for key in keys],
        "kept": list(applied.kept),
    }


def read_file(path: str) -> object:
    """What a file says: TOML by its ending, YAML otherwise (JSON is YAML); `-` is standard input.
    Raises CommandError."""
    try:
        if path == "-":
            text = sys.stdin.read()
        else:
            text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    try:
        content: object = tomllib.loads(text) if path.endswith(".toml") else yaml.safe_load(text)
    except (yaml.YAMLError, tomllib.TOMLDecodeError) as error:
        raise CommandError(f"{path} cannot be understood: {error}") from error
    return content
