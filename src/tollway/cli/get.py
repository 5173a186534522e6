"""`tollway get`: what is there, in the form that `apply` takes."""

import click

from tollway.app.admin.manifest import SECTIONS
from tollway.cli.access import Reach, reach_options
from tollway.cli.applying import place_for
from tollway.cli.printing import output_option, plain, written


@click.command(name="get")
@click.argument("kinds", nargs=-1, type=click.Choice(SECTIONS), metavar="[KIND]...")
@output_option("yaml", "json")
@reach_options
def command(kinds: tuple[str, ...], output: str, **reach: str | None) -> None:
    """Print everything, or some kinds of things, in the form that `apply` takes.

    Kinds: tenants, accounts, projects, providers, models, grants, prices, keys. What no file can
    hold (texts of keys, passwords, sealed secrets) is named on standard error.
    """
    with place_for(Reach(**reach)) as place:
        manifest, missing = place.read()
    shown = {name: entries for name, entries in manifest.items() if not kinds or name in kinds}
    print(written(shown, output))
    for what in missing:
        click.echo(f"not in the file: {plain(what)}", err=True)
