"""From the command line to a request: texts become values, names become ids, and each goes into the
path, the query or the body.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import click

from tollway.cli.access import looked_up
from tollway.cli.resources.names import Names, path_of
from tollway.cli.resources.shape import Into, Kind, Noun, Option, Verb
from tollway.cli.resources.table import NOUNS

Given = Mapping[str, Any]  # what click read, by destination
_NULL = "none"


@dataclass(slots=True)
class Request:
    """What is asked of the API. `ids` are those of the path, and what names are looked up in."""

    ids: dict[str, str] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    tenant_id: str | None = None  # that the command line names, wherever it goes
    path: str = ""

    @property
    def owners(self) -> Sequence[str | None]:
        """Whose things a name leads to: the tenant's before the platform's."""
        return (None,) if self.tenant_id is None else (self.tenant_id, None)


def destination(option: Option) -> str:
    """The name click gives an option's value."""
    return option.flag.removeprefix("--").replace("-", "_")


def options_of(noun: Noun, verb: Verb) -> list[Option]:
    """The verb's options and the noun's, what other names are looked up in first."""
    flags = [option.flag for option in verb.options]
    found = [*(option for option in noun.options if option.flag not in flags), *verb.options]
    order = {"tenants": 0, "providers": 1}
    return sorted(found, key=lambda option: order.get(option.names, 2))


def build(noun: Noun, verb: Verb, *, given: Given, names: Names) -> Request:
    """The request. Raises CommandError for names that lead nowhere, click.UsageError."""
    request = Request()
    for option in options_of(noun, verb):
        value = _value(option, given, request, names=names)
        if value is not _ABSENT:
            _put(request, option, value)
    if verb.new:
        request.body[verb.new] = given["name_"]
    path = path_of(noun, request.ids)
    if verb.object:
        owners = (request.tenant_id,)
        found = names.find(noun, given["name_"], within=request.ids, owners=owners)
        path += "/" + quote(found, safe="")
    _check(request, verb)
    request.path = path + verb.tail.format(**request.ids)
    return request


def _check(request: Request, verb: Verb) -> None:
    for place in ("model_id", "holder"):
        if f"{{{place}}}" in verb.tail and place not in request.ids:
            raise click.UsageError("Give --tenant or --group.")
    if verb.method == "PATCH" and not request.body:
        raise click.UsageError("Give what to change.")


class _Absent:
    """Not given: other than null."""


_ABSENT = _Absent()


def _value(option: Option, given: Given, request: Request, *, names: Names) -> Any:
    if option.kind is Kind.SECRET:
        return _secret(option, given)
    raw = given[destination(option)]
    if raw is None or raw == ():
        return _ABSENT
    try:
        if option.kind is Kind.TARGETS:
            return [names.target(text, request.owners) for text in raw]
        value = parsed(option, raw)
    except ValueError as error:
        raise click.UsageError(f"{option.flag}: {error}") from error
    if option.names and value is not None:
        owners = (None,) if option.platform else request.owners
        value = names.find(NOUNS[option.names], value, within=request.ids, owners=owners)
    return value if value is None or not option.prefix else option.prefix + value


def parsed(option: Option, raw: Any) -> Any:
    """A text as its kind says. Raises ValueError."""
    if option.kind is Kind.PAIRS:
        return dict(_pair(text) for text in raw)
    if option.kind in (Kind.SWITCH, Kind.CHOICE):
        return raw
    if raw == _NULL and option.into is Into.BODY:
        return None
    if option.kind is Kind.JSON:
        return json.loads(raw)
    if option.kind is Kind.LIST:
        return [part.strip() for part in raw.split(",") if part.strip()]
    if option.kind is Kind.NUMBER:
        return int(raw) if raw.lstrip("-").isdigit() else float(raw)
    return raw


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise ValueError(f"{text!r} is not NAME=VALUE.")
    return name, value


def _secret(option: Option, given: Given) -> Any:
    flag, name = option.flag, destination(option)
    variable, from_stdin = given[f"{name}_env"], given[f"{name}_stdin"]
    if variable and from_stdin:
        raise click.UsageError(f"Give {flag}-env or {flag}-stdin, not both.")
    if variable:
        return looked_up(f"env:{variable}", os.environ)
    if from_stdin:
        text = sys.stdin.read().removesuffix("\n")
        if not text:
            raise click.UsageError("Standard input is empty.")
        return text
    if option.required:
        raise click.UsageError(f"Give {flag}-env NAME or {flag}-stdin.")
    return _ABSENT


def _put(request: Request, option: Option, value: Any) -> None:
    if option.names == "tenants":
        request.tenant_id = value
    if option.into is Into.PATH:
        request.ids[option.field] = quote(value, safe="")
    elif option.into is Into.QUERY:
        request.query[option.field] = value
    elif option.into is Into.BODY:
        place = request.body
        *folders, last = option.field.split(".")
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
