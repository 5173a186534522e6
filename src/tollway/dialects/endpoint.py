"""What an endpoint of the data plane is. All of them are in `registry.py`."""

from collections.abc import Callable
from dataclasses import dataclass

from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.carrier import EVENT_STREAM, Headers
from tollway.dialects.errors import Shape
from tollway.dialects.reading import EventReader
from tollway.dialects.reply import Reply
from tollway.domain.refusal import BadRequest


def _always(_: Ask) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One inference endpoint. `upstream_path` is joined to a base URL that ends in `/v1`, in
    Ollama's dialect to one that does not; `stream_reader` takes whether the client wants usage, in
    the dialect that asks for it; `is_bounded` tells whether the input cannot have more tokens than
    the request has bytes."""

    name: str
    path: bytes
    upstream_path: str
    shape: Shape
    can_stream: bool
    parse: Callable[[bytes], Ask | BadRequest]
    render: Callable[[Ask, Rewrite], bytes]
    stream_reader: Callable[[bool], EventReader] | None
    read_reply: Callable[[bytes], Reply]
    is_bounded: Callable[[Ask], bool] = _always
    writes: bool = True  # whether answers have output tokens
    large: bool = False  # whether whole answers are megabytes as a rule
    whole_too: bool = False  # whether some answer at once although a stream is asked for
    stream_type: bytes = EVENT_STREAM
    file: str | None = None  # its usual name, where the body is a form
    headers: Headers | None = None  # to the provider, where they are not JSON's
    left_out: Callable[[Ask], tuple[str, ...]] | None = None  # what `render` leaves out
    permission: str | None = None  # what a key needs, where that is not the endpoint's own name
