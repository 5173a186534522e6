"""The list of commands. A command's module is imported only when it is asked for: `--help` and
quick commands must not wait for SQL or servers to load.
"""

from importlib import import_module
from typing import Any

import click

from tollway.cli.resources.table import NOUNS
from tollway.domain.brand import COMMAND, NAME

# name -> (module, one line of help). In the order `--help` shows them.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("tollway.cli.demo", "Start with a real small model and a fresh key. No set-up."),
    "serve": ("tollway.cli.serve", "Run the gateway."),
    "init": ("tollway.cli.init", "Connect a provider: tenant, models and a key in one step."),
    "apply": ("tollway.cli.apply", "Make what is there what a file says."),
    "get": ("tollway.cli.get", "Print what is there, in the form that apply takes."),
    "audit": ("tollway.cli.audit", "What changed, by whom; whether that record is whole."),
    "ledger": ("tollway.cli.ledger", "Whether the ledger agrees with all derived from it."),
    "usage": ("tollway.cli.usage", "Show tokens and cost by tenant, model, key, ..."),
    "explain": ("tollway.cli.explain", "Whether a request would pass, where to, and why."),
    "doctor": ("tollway.cli.doctor", "Check the installation; each finding says what to do."),
    "migrate": ("tollway.cli.migrate", "Bring the database to this version's schema."),
    "master-key": ("tollway.cli.master_key", "Move every stored secret to a new master key."),
    "openapi": ("tollway.cli.openapi", "Print the admin API's OpenAPI document."),
}
_RESOURCES = "tollway.cli.resources.commands"


class LazyGroup(click.Group):
    """A group whose commands are found by name in `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the tables' order."""
        return [*COMMANDS, *NOUNS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and take its `command`; for a noun, make its group."""
        if cmd_name in NOUNS:
            group: click.Command = import_module(_RESOURCES).group_for(cmd_name)
            return group
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = import_module(entry[0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for `--help`, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])
        with formatter.section("Over the admin API"):
            formatter.write_dl([(noun.name, noun.help) for noun in NOUNS.values()])


@click.group(cls=LazyGroup, name=COMMAND, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tollway", prog_name=NAME)
def root(**_: Any) -> None:
    """A multi-tenant LLM gateway: keys, tenants and a ledger that holds."""
