"""`tollway apply -f FILE`: make what is there what a file says; the difference is shown first."""

from collections.abc import Mapping
from typing import Any

import click

from tollway.cli.access import Reach, reach_options
from tollway.cli.applying import Plan, apply_shown, place_for, read_file
from tollway.cli.printing import output_option, plain, written

_SIGNS = {"create": "+", "update": "~", "adopt": "~"}  # all else takes something away: -


@click.command(name="apply")
@click.option("-f", "--file", "path", required=True, help="YAML or TOML file; - is standard input.")
@click.option("--dry-run", is_flag=True, help="Only show the difference.")
@click.option("--prune", is_flag=True, help="Take away what a file made and this one omits.")
@output_option("text", "json")
@reach_options
def command(path: str, *, dry_run: bool, prune: bool, output: str, **reach: str | None) -> None:
    """Make what is there what a file says: all of it or nothing.

    The difference is shown first. Twice is as good as once. New keys are shown once, here.
    """
    with place_for(Reach(**reach)) as place:
        content = read_file(path)
        quiet = output == "json"
        if quiet or dry_run:
            plan = place.apply(content, prune=prune, dry_run=dry_run)
        else:
            plan = apply_shown(place, content, prune=prune, show=show)
    if quiet:
        print(written(plan, "json"))
    elif dry_run:
        show(plan)
        print("Nothing was changed." if plan["changes"] else "There is nothing to change.")
    else:
        _show_keys(plan)
        print("Applied." if plan["changes"] else "There was nothing to change.")


def show(plan: Plan) -> None:
    """The difference: `+` made, `~` changed, `-` taken away, `=` as it should be, `!` kept."""
    for change in plan["changes"]:
        note = "  (not of a file until now)" if change["verb"] == "adopt" else ""
        sign = _SIGNS.get(change["verb"], "-")
        taken = f" {change['verb']}" if sign == "-" else ""
        print(f"{sign}{taken} {change['kind']} {plain(change['name'])}{note}")
        for name, field in change["fields"].items():
            print(f"    {name}: {_value(field['old'])} -> {_value(field['new'])}")
    for reason in plan["kept"]:
        print(f"! {plain(reason)}")
    print(f"= {plan['unchanged']} unchanged", flush=True)


def _value(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return plain(" ".join(written(value, "json").split()))
    return plain(str(value)) if value is not None else "none"


def _show_keys(plan: Plan) -> None:
    for key in plan["keys"]:
        print(f"key  {plain(key['tenant'])}/{plain(key['name'])}  {key['key']}")
    if plan["keys"]:
        print("Keep the keys: they are not shown again.")
