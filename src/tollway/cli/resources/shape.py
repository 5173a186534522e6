"""What a row of the table of resource commands says. Nothing here acts."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How an option is written on the command line. In a body, `none` stands for null in all but
    choices and the last four."""

    TEXT = "text"
    NUMBER = "number"
    LIST = "a,b,..."
    CHOICE = "choice"
    JSON = "json"
    SWITCH = "switch"  # --x / --no-x
    PAIRS = "name=value"  # repeated
    TARGETS = "provider/model"  # repeated
    SECRET = "secret"  # noqa: S105 - never on the command line: --x-env, --x-stdin


class Into(StrEnum):
    """Which part of the request an option goes into; `NAMING`: none, it says whose a name is."""

    BODY = "body"
    QUERY = "query"
    PATH = "path"
    NAMING = "naming"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option. `field` is the body's field (a dot leads inside), the query's or the path's;
    `names` the noun whose name or id it takes, `platform`: of the platform's alone; `prefix` is
    put before the value."""

    flag: str
    field: str
    help: str = ""
    kind: Kind = Kind.TEXT
    into: Into = Into.BODY
    names: str = ""
    choices: tuple[str, ...] = ()
    platform: bool = False
    prefix: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One command of a noun: the operation of the API it is, and what it is given.

    `object`: takes the name or id of one that is there. `new`: the body's field that the argument
    of one to be made goes into. `tail` is put behind the object's path. `once`: the answer's field
    that is shown this once, `holds` one that says whether all is well. `alone`: the operation that
    does it without the noun's tenant. `columns`: of a list of other things than the noun's, which
    the verb's name then says.
    """

    name: str
    operation: str
    method: str
    help: str
    object: bool = False
    new: str = ""
    tail: str = ""
    many: bool = False
    once: str = ""
    holds: str = ""
    alone: str = ""
    limit: int | None = None  # of a list, where it is none of all
    columns: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Noun:
    """One kind of thing. `path` is that of all of them, `alone` where they are without a tenant.
    `id` and `called` are the fields it is known by, `search` the query that narrows a list.
    `owned`: the platform has some, and tenants theirs. `options`: of all its verbs that have none
    of that flag."""

    name: str
    one: str
    help: str
    path: str
    columns: tuple[str, ...]
    verbs: tuple[Verb, ...]
    id: str = "id"
    id_prefix: str = ""
    called: tuple[str, ...] = ("name",)
    search: str = ""
    owned: bool = False
    alone: str = ""
    options: tuple[Option, ...] = ()


def listing(operation: str, *options: Option, alone: str = "") -> Verb:
    """`list`."""
    return Verb(
        name="list",
        operation=operation,
        alone=alone,
        method="GET",
        help="All of them, or the first --limit.",
        many=True,
        options=options,
    )


def reading(operation: str) -> Verb:
    """`get`."""
    return Verb(name="get", operation=operation, method="GET", help="One of them.", object=True)


def deleting(operation: str, help_: str) -> Verb:
    """`delete`."""
    return Verb(name="delete", operation=operation, method="DELETE", help=help_, object=True)


def acting(
    name: str,
    operation: str,
    help_: str,
    *,
    once: str = "",
    holds: str = "",
    options: tuple[Option, ...] = (),
) -> Verb:
    """What is done by a POST behind an object."""
    return Verb(
        name=name,
        operation=operation,
        method="POST",
        help=help_,
        object=True,
        tail=f"/{name}",
        once=once,
        holds=holds,
        options=options,
    )


def changing(operation: str, *options: Option) -> Verb:
    """`update`."""
    return Verb(
        name="update",
        operation=operation,
        method="PATCH",
        help="Change what is given; all else stays.",
        object=True,
        options=options,
    )
