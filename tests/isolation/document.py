"""The admin API's OpenAPI document as operations: where ids can be put, and a request that is
right but for them. Everything is generated, so that a new route needs no new line in a test.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from fastapi import FastAPI

from tollway.web.admin.app import PREFIX, build_app
from tollway.web.admin.services import Services

METHODS = ("get", "post", "put", "patch", "delete")
_ID = re.compile(r"(?:.*_)?ids?|holder|cursor|group|q|email|name|models|fallbacks")
_KINDS = {
    "actor": "account",
    "email": "email",
    "name": "model_name",
    "fallbacks": "model_name",
    "models": "model_name",
    "holder": "holder",
    "group": "group",
}
ANY = "any"  # a slot that takes ids of more than one kind

Route = tuple[str | int, ...]  # the way to a field of a body


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for an id: in the path, in the query, or in the body."""

    where: str  # path | query | body
    route: Route
    kind: str

    @property
    def name(self) -> str:
        """As a person would say it."""
        return f"{self.where}:{'.'.join(str(part) for part in self.route)}"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    id: str
    method: str
    path: str  # without the prefix
    action: str
    slots: tuple[Slot, ...]
    body: Mapping[str, Any] | None  # its schema, with references followed
    statuses: tuple[str, ...]

    def at(self, where: str) -> list[Slot]:
        """The slots there."""
        return [slot for slot in self.slots if slot.where == where]


@cache
def application() -> FastAPI:
    """The app on no services: to be described, not called."""
    return build_app(Services(**{field.name: None for field in fields(Services)}))


@cache
def document() -> dict[str, Any]:
    """What it says of itself."""
    return application().openapi()


@cache
def operations() -> tuple[Operation, ...]:
    """All of them, by name."""
    found = [
        _operation(path.removeprefix(PREFIX), method, item[method])
        for path, item in document()["paths"].items()
        for method in METHODS
        if method in item
    ]
    return tuple(sorted(found, key=lambda operation: operation.id))


def kind_of(name: str, path: str) -> str:
    """What sort of id a field of this name takes."""
    word = name.removesuffix("s").removesuffix("_id") if name.endswith(("_id", "_ids")) else name
    word = _KINDS.get(word, word)
    if word == "model" and path.startswith("/grants"):
        return "granted"
    if word == "token" and path.startswith("/tenants"):
        return "service_token"
    known = {"tenant", "account", "project", "key", "provider", "credential", "model", "price"}
    known |= {"quota", "webhook", "event"}
    known |= {"token", "session", "holder", "group", "model_name", "email"}
    return word if word in known else ANY


def _operation(path: str, method: str, found: Mapping[str, Any]) -> Operation:
    slots = [
        Slot(parameter["in"], (parameter["name"],), kind_of(parameter["name"], path))
        for parameter in found.get("parameters", ())
        if parameter["in"] == "path"
        or (parameter["in"] == "query" and _ID.fullmatch(parameter["name"]))
    ]
    body = None
    if "requestBody" in found:
        content = found["requestBody"]["content"]
        if "application/json" in content:
            body = content["application/json"]["schema"]
            slots += [
                Slot("body", route, kind_of(_word(route), path)) for route in _routes(body, ())
            ]
    return Operation(
        found["operationId"],
        method.upper(),
        path,
        found.get("x-tollway-action", ""),
        tuple(slots),
        body,
        tuple(found["responses"]),
    )


def _word(route: Route) -> str:
    return next(part for part in reversed(route) if isinstance(part, str))


def followed(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema itself: references followed, of alternatives the first that is not null."""
    while True:
        if "$ref" in schema:
            schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema or "oneOf" in schema:
            choices = schema.get("anyOf") or schema["oneOf"]
            schema = next(choice for choice in choices if choice.get("type") != "null")
        else:
            return schema


def _routes(schema: Mapping[str, Any], before: Route) -> Iterator[Route]:
    """The ways to every field of a body whose name says that an id belongs there."""
    schema = followed(schema)
    if len(before) > 8:
        return
    if schema.get("type") == "array":
        yield from _routes(schema["items"], (*before, 0))
    for name, inner in schema.get("properties", {}).items():
        yield from _routes(inner, (*before, name))
    word = _word(before) if before else ""
    if schema.get("type") == "string" and "enum" not in schema and _ID.fullmatch(word):
        yield before


def sample(schema: Mapping[str, Any], fill: Mapping[str, str], path: str, name: str = "") -> Any:
    """Something the schema takes; ids are taken from `fill` by kind."""
    plain = followed(schema)
    kind = plain.get("type")
    if kind == "string" and name and _ID.fullmatch(name) and "enum" not in plain:
        return fill[kind_of(name, path)]
    if kind == "object" or "properties" in plain:
        return {
            field: sample(inner, fill, path, field)
            for field, inner in plain.get("properties", {}).items()
            if field in plain.get("required", ())
        }
    for source in (schema, plain):
        if source.get("examples") and source["examples"][0] is not None and kind != "array":
            return source["examples"][0]
        if source.get("default") is not None:
            return source["default"]
    if kind == "array":
        return [sample(plain["items"], fill, path, name)] if plain.get("minItems", 0) else []
    if "const" in plain or "enum" in plain:
        return plain.get("const", plain.get("enum", [None])[0])
    return {"integer": plain.get("minimum", 1), "number": 1.0, "boolean": False}.get(kind, "some")


def put(
    schema: Mapping[str, Any],
    body: Any,
    route: Route,
    value: str,
    *,
    fill: Mapping[str, str],
    path: str,
) -> Any:
    """The body with the value at the end of the route; what lies between is made up."""
    if not route:
        return value
    schema = followed(schema)
    step, rest = route[0], route[1:]
    if isinstance(step, int):
        inner = body[0] if body else sample(schema["items"], fill, path)
        return [put(schema["items"], inner, rest, value, fill=fill, path=path)]
    field = schema["properties"][step]
    before = (body or {}).get(step)
    if before is None and rest:
        before = sample(field, fill, path, step)
    return {**(body or {}), step: put(field, before, rest, value, fill=fill, path=path)}
