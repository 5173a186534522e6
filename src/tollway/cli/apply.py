"""`tollway apply -f FILE`: create what a file describes."""

import click

from tollway.cli.applying import apply_manifest
from tollway.cli.manifest import read_manifest
from tollway.cli.session import desk_for, publish_if_running


@click.command(name="apply")
@click.option("-f", "--file", "path", required=True, help="YAML or TOML file.")
@click.option("--data-dir", help="Where everything is kept (TOLLWAY_DATA_DIR).")
def command(path: str, data_dir: str | None) -> None:
    """Create the tenants, accounts, projects, providers, models and keys of a file.

    What exists is left as it is. New keys are shown once, here.
    """
    with desk_for(data_dir) as desk:
        applied = apply_manifest(desk, read_manifest(path))
        served = publish_if_running(desk.settings) if applied.created else False
    for line in applied.created:
        print(f"created    {line}")
    for line in applied.unchanged:
        print(f"unchanged  {line}")
    for name, text in applied.keys:
        print(f"key        {name}  {text}")
    if applied.keys:
        print("Keep the keys: they are not shown again.")
    if served:
        print("The running gateway serves it.")
