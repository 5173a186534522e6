"""docs/cli.md: every command is there, every command there is one, and its examples work."""

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from tests.fakes.admin_server import AdminServer
from tollway.app.admin.manifest import SECTIONS, manifest_schema
from tollway.cli.resources.table import NOUNS
from tollway.cli.root import root

PAGES = [Path("docs/cli.md"), Path("docs/config-as-code.md")]
# Fields that a comment of the form names.
_ELSEWHERE = {
    "tenants": {"cache"},
    "providers": {
        *("tenant", "headers_timeout_s", "first_token_timeout_s", "idle_timeout_s"),
        "total_timeout_s",
    },
    "models": {"tenant", "enabled"},
    "grants": {"group"},
    "prices": {"tenant", "provider_kind"},
    "keys": {"account", "not_before"},
    "quotas": {"account", "key", "end_user", "provider"},
}
VARIABLES = {
    "OPENAI_API_KEY": "sk-test",
    "GEMINI_API_KEY": "sk-test",
    "PAGER_URL": "https://pager.example/way",
}
_ID = re.compile(r"\b(ten|prc|quo)_0123456789abcdef\b")


def lines_of(page: Path) -> list[list[str]]:
    """The examples of a page, without `$ tollway`."""
    found = re.findall(r"^\$ tollway (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in found]


LINES = lines_of(PAGES[0])


def descended(words: list[str]) -> tuple[str, click.Command, list[str]]:
    """The command of a line, by what name, and its arguments."""
    command, name, rest = root, "", list(words)
    while isinstance(command, click.Group):
        word = rest.pop(0)
        found = command.get_command(click.Context(command), word)
        assert found is not None, words
        command, name = found, f"{name} {word}".strip()
    return name, command, rest


def every_command(command: click.Command, name: str = "") -> list[str]:
    if not isinstance(command, click.Group):
        return [name]
    context = click.Context(command)
    return [
        leaf
        for word in command.list_commands(context)
        for leaf in every_command(command.get_command(context, word), f"{name} {word}".strip())
    ]


def test_the_page_has_every_command():
    """And nothing that is none."""
    assert {descended(words)[0] for words in LINES} == set(every_command(root))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_example_is_understood(page: Path):
    """Its options exist and have such values."""
    for words in lines_of(page):
        name, command, rest = descended(words)
        shell = next((at for at, word in enumerate(rest) if word in ("<", ">")), None)
        command.make_context(name, rest[:shell])


def test_the_examples_of_the_resources_work_in_their_order(api: AdminServer):
    """From an empty database down the page; each ends with 0."""
    for words in LINES:
        if words[0] not in NOUNS:
            continue
        text = None
        if "<" in words:
            url = words[0] == "webhooks"
            text = "https://hooks.example/way" if url else "correct horse battery staple"
        words = words[: words.index("<")] if "<" in words else words
        words = [_ID.sub(lambda found: newest(api, found[1]), word) for word in words]
        api.told(*words, given=text, env=VARIABLES)


def newest(api: AdminServer, prefix: str) -> str:
    """The id that an example stands for: of what the line before it was about."""
    if prefix == "ten":
        rows = api.plane.ask("GET", "/tenants", query={"deleted": True}).json["data"]
        return next(row["id"] for row in rows if row["slug"] == "old")
    if prefix == "quo":
        rows = api.plane.ask("GET", "/quotas").json["data"]
        return next(row["id"] for row in rows if row["per"] == "key")
    rows = api.plane.ask("GET", "/prices", query={"model": "llama-3.3-70b"}).json["data"]
    return rows[0]["id"]


def test_the_form_on_the_page_is_a_file(api: AdminServer):
    """With every field there is; applied twice, nothing is different the second time."""
    (text,) = re.findall(r"^```yaml\n(.+?)^```", PAGES[1].read_text("utf-8"), re.M | re.S)
    shown = yaml.safe_load(text)
    for section in SECTIONS:
        properties = manifest_schema()["properties"][section]["items"]["properties"]
        missing = set(properties) - set(shown[section][0])
        assert missing <= _ELSEWHERE.get(section, set()), section
    assert "+ key acme/backend" in api.told("apply", "-f", "-", given=text)
    assert "nothing to change" in api.told("apply", "-f", "-", given=text)
