"""How commands show what they found: tables for people, JSON and YAML for scripts."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click
import yaml

OUTPUTS = ("table", "json", "yaml")

_EMPTY: tuple[object, ...] = (None, [], {})
F = TypeVar("F", bound=Callable[..., object])


def output_option(*choices: str) -> Callable[[F], F]:
    """`-o`: the first of the choices is the default."""
    return click.option(
        "-o", "--output", type=click.Choice(choices), default=choices[0], show_default=True
    )


def written(value: Any, output: str) -> str:
    """A value as JSON or YAML, without a newline at the end."""
    if output == "json":
        return json.dumps(value, indent=2, ensure_ascii=False)
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100).rstrip("\n")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def listing(pairs: Mapping[str, str]) -> str:
    """One thing, a field a line."""
    width = max(map(len, pairs), default=0)
    return "\n".join(f"{name.ljust(width)}  {text}".rstrip() for name, text in pairs.items())


def cell(value: Any) -> str:
    """A value in few words. What would move a terminal's cursor is shown as a code: names are
    other people's to choose."""
    if value is None or value == {}:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        text = ", ".join(cell(one) for one in value) or "none"
    elif isinstance(value, Mapping):
        text = " ".join(f"{name}={cell(one)}" for name, one in value.items() if one not in _EMPTY)
    else:
        text = str(value)
    return plain(text)


def plain(text: str) -> str:
    """Text without control characters."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
