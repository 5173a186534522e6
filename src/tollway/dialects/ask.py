"""What a request asks, judged, and the complete list of what may be rewritten before it is sent on.

Values only; reading and writing the bytes is `request.py`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Raw

from tollway.dialects.multipart import Upload

UNNAMED = ""  # a model that the request leaves to its tenant's setting


class Keeping(NamedTuple):
    """What a request has to do with responses that a provider keeps: the id (ours) of the one it
    is about or goes on from, and whether its own is to be kept. `query` (in the provider's words)
    is None but where a path is all that is asked. `background`: the answer is made whether or not
    anybody waits for it, and `at_once` the client waits for its first word alone, as JSON."""

    previous: str | None
    store: bool = False
    query: str | None = None
    background: bool = False
    at_once: bool = False


class Ask(NamedTuple):
    """A judged request. `fields` is the top level: name -> the value's bytes as they came, in
    order, repeated and escaped names collapsed into the one that was judged (the last).
    """

    model: str
    stream: bool
    wants_usage: bool  # the client itself asked for the usage chunk
    output_limit: int | None  # tokens per answer that the client asked for at most; None for 0 too
    end_user: str | None  # as given
    fields: dict[str, Raw]
    input_bytes: int  # for the input estimate
    choices: int = 1  # answers that are written for it: prompts x (n or best_of)
    upload: Upload | None = None  # of a form; `fields` has what was judged of it
    keeping: Keeping | None = None  # None: nothing, as nearly always
    as_events: bool = False  # a stream of events where the dialect has another


class Rewrite(NamedTuple):
    """Every change between what was judged and what is sent. Nothing else is touched, but for one
    that needs no value: `store` is said aloud in a request for a response (`responses.py`)."""

    model: str
    force_usage: bool  # of a stream of completions: include_usage becomes true, the rest stays
    output_ceiling: int | None  # clamps what was asked for; stands in where nothing was
    namespace: Callable[[str], str] | None  # names of users, cache keys, ids of items
    previous: str | None = None  # what the provider calls the kept response that is named
    version: str | None = None  # of its dialect, as the client says; for bodies that have it


class Heading(NamedTuple):
    """What a client's side puts on an answer: the name that the client called the model by, the
    request's id (`req_...`), when it was admitted (UTC seconds), whether the client asked for usage
    in a stream (only Chat Completions asks), the fields of its request (Responses repeats them),
    what becomes of a provider's ids of responses where it keeps them, and the id by which the
    client asks about one."""

    model: str
    request_id: str
    created_s: int
    wants_usage: bool = True
    fields: Mapping[str, Raw] = MappingProxyType({})
    naming: Callable[[str], str] | None = None
    asked: str | None = None
