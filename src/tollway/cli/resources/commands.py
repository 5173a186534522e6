"""Commands out of the table of nouns and verbs, and what they print."""

import sys
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import click

from tollway.cli.access import Reach, admin_api
from tollway.cli.admin_client import AdminClient
from tollway.cli.outcomes import REFUSED
from tollway.cli.printing import OUTPUTS, cell, listing, table, written
from tollway.cli.resources.forms import Request, build, destination, options_of
from tollway.cli.resources.names import Names
from tollway.cli.resources.shape import Kind, Noun, Option, Verb
from tollway.cli.resources.table import NOUNS

_MANY = (Kind.PAIRS, Kind.TARGETS)


def group_for(name: str) -> click.Group:
    """The group of a noun's commands."""
    noun = NOUNS[name]
    commands = {verb.name: command_for(noun, verb) for verb in noun.verbs}
    return click.Group(noun.name, commands=commands, help=noun.help)


def command_for(noun: Noun, verb: Verb) -> click.Command:
    """One command."""
    return click.Command(
        verb.name,
        params=list(_params(noun, verb)),
        callback=partial(_run, noun, verb),
        help=verb.help,
    )


def _params(noun: Noun, verb: Verb) -> Iterator[click.Parameter]:
    if verb.object or verb.new:
        metavar = verb.new.upper() if verb.new else "_OR_".join((*noun.called, "id")).upper()
        yield click.Argument(["name_"], metavar=metavar)
    for option in options_of(noun, verb):
        yield from _option(option)
    if verb.many:
        yield click.Option(
            ["--limit"],
            type=click.IntRange(min=1),
            default=verb.limit,
            show_default=verb.limit is not None,
            help="At most so many.",
        )
    if verb.method == "PATCH":
        yield click.Option(["--if-match"], help="The etag that `get -o json` showed.")
    yield click.Option(
        ["-o", "--output"], type=click.Choice(OUTPUTS), default=OUTPUTS[0], show_default=True
    )
    yield click.Option(["--url"], help="The admin API (TOLLWAY_ADMIN_URL).")
    yield click.Option(
        ["--token"], metavar="env:NAME|file:PATH", help="Where the token is (TOLLWAY_TOKEN)."
    )
    yield click.Option(["--data-dir"], help="The running gateway's data (TOLLWAY_DATA_DIR).")


def _option(option: Option) -> Iterator[click.Option]:
    if option.kind is Kind.SECRET:
        what = option.flag.removeprefix("--").replace("-", " ")
        yield click.Option(
            [f"{option.flag}-env"], metavar="NAME", help=f"Variable with the {what}."
        )
        yield click.Option(
            [f"{option.flag}-stdin"], is_flag=True, help=f"Read the {what} from stdin."
        )
        return
    names = [option.flag, destination(option)]
    if option.kind is Kind.SWITCH:
        names[0] = f"{option.flag}/--no-{option.flag.removeprefix('--')}"
        yield click.Option(names, default=None, help=option.help)
        return
    yield click.Option(
        names,
        type=click.Choice(option.choices) if option.choices else str,
        multiple=option.kind in _MANY,
        required=option.required,
        metavar=None if option.choices else option.kind.value.upper(),
        help=option.help,
    )


def _run(noun: Noun, verb: Verb, **given: Any) -> None:
    reach = Reach(given.pop("url"), given.pop("token"), given.pop("data_dir"))
    output: str = given["output"]
    with admin_api(reach) as api:
        request = build(noun, verb, given=given, names=Names(api))
        if verb.many:
            rows = list(api.listed(request.path, query=request.query, limit=given["limit"]))
            print(_rows(noun, verb, rows) if output == "table" else written(rows, output))
            return
        found = _asked(api, verb, request, given.get("if_match"))
    if found is None:
        if output == "table":
            print("Done.")
        return
    print(listing(_flat(found)) if output == "table" else written(found, output))
    if verb.once and found[verb.once] is not None:
        click.echo(f"Keep the {verb.once}: it is not shown again.", err=True)
    if verb.holds and not found[verb.holds]:
        sys.exit(REFUSED)


def _asked(
    api: AdminClient, verb: Verb, request: Request, if_match: str | None
) -> dict[str, Any] | None:
    has_body = verb.method in ("POST", "PATCH") and bool(verb.new or verb.options)
    answer = api.ask(
        verb.method,
        request.path,
        query=request.query,
        body=request.body if has_body else None,
        if_match=if_match,
    )
    found: dict[str, Any] | None = answer.body
    if found is not None and answer.etag is not None:
        found = {**found, "etag": answer.etag}
    return found


def _rows(noun: Noun, verb: Verb, rows: list[dict[str, Any]]) -> str:
    if not rows:
        return f"No {verb.name if verb.columns else noun.name}."
    columns = verb.columns or noun.columns
    head = [column.replace("settings.", "") for column in columns]
    return table(head, [[cell(_at(row, column)) for column in columns] for row in rows])


def _at(value: Any, path: str) -> Any:
    """What is at a dotted path; of a list, of each of its parts."""
    for name in path.split("."):
        value = [one[name] for one in value] if isinstance(value, list) else value[name]
    return value


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            flat.update(_flat(inner, f"{prefix}{name}."))
        else:
            flat[prefix + name] = cell(inner)
    return flat
