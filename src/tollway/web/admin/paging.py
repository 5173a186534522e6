"""Lists: `{data, next_cursor}`, with `?limit` and an opaque `?cursor`."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from tollway.app.ports_directory import Page
from tollway.web.admin.problems import ProblemError

MAX_LIMIT = 1000
_MARK = b"1:"
T = TypeVar("T")
V = TypeVar("V")


class Listed(BaseModel, Generic[T]):
    """A part of a list. `next_cursor` is null at its end."""

    data: list[T]
    next_cursor: str | None = Field(default=None, examples=[None])


def _paging(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many at most.")] = 100,
    cursor: Annotated[
        str | None, Query(max_length=2048, description="`next_cursor` of the part before.")
    ] = None,
) -> Page:
    # One more than asked for: whether there is a next part.
    return Page(limit + 1, None if cursor is None else opened(cursor))


Paging = Annotated[Page, Depends(_paging)]


def listed(
    views: Sequence[V], at: Page, *, out: Callable[[V], T], key: Callable[[V], str]
) -> Listed[T]:
    """The part to show of what a repository gave for `at`."""
    shown = views[: at.limit - 1]
    more = len(views) >= at.limit
    return Listed(
        data=[out(view) for view in shown],
        next_cursor=sealed(key(shown[-1])) if more and shown else None,
    )


def sealed(last: str) -> str:
    """A cursor behind this key."""
    return urlsafe_b64encode(_MARK + last.encode()).rstrip(b"=").decode()


def opened(cursor: str) -> str:
    """The key inside a cursor of ours. It is only ever compared with keys the caller may see."""
    try:
        data = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        text = data.removeprefix(_MARK).decode()
        sound = data.startswith(_MARK) and text.isprintable()
    except ValueError:
        sound = False
    if not sound:
        raise ProblemError(400, "invalid", "The cursor is none of ours. Begin without one.")
    return text
