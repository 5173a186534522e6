"""Path -> endpoint: the one list of what the data plane speaks. Endpoint and kind of provider ->
carrier: the one list of what goes where.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tollway.dialects import chat, completions, embeddings
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.carrier import Carrier, Passing
from tollway.dialects.errors import Shape
from tollway.dialects.reading import EventReader
from tollway.dialects.reply import Reply, read_completion, read_embeddings
from tollway.dialects.stream import StreamReader
from tollway.domain.provider import ProviderKind
from tollway.domain.refusal import BadRequest


def _always(_: Ask) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One inference endpoint. `upstream_path` is joined to a base URL that ends in `/v1`;
    `stream_reader` takes whether the client wants the usage chunk; `is_bounded` tells whether the
    input cannot have more tokens than the request has bytes."""

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


_ALL = (
    Endpoint(
        name="chat_completions",
        path=b"/v1/chat/completions",
        upstream_path="/chat/completions",
        shape="openai",
        can_stream=True,
        parse=chat.parse,
        render=chat.render,
        stream_reader=StreamReader,
        read_reply=read_completion,
        is_bounded=chat.is_bounded,
    ),
    Endpoint(
        name="completions",
        path=b"/v1/completions",
        upstream_path="/completions",
        shape="openai",
        can_stream=True,
        parse=completions.parse,
        render=completions.render,
        stream_reader=StreamReader,
        read_reply=read_completion,
    ),
    Endpoint(
        name="embeddings",
        path=b"/v1/embeddings",
        upstream_path="/embeddings",
        shape="openai",
        can_stream=False,
        parse=embeddings.parse,
        render=embeddings.render,
        stream_reader=None,
        read_reply=read_embeddings,
        writes=False,
    ),
)
ENDPOINTS: dict[bytes, Endpoint] = {endpoint.path: endpoint for endpoint in _ALL}


def _passing(endpoint: Endpoint) -> Passing:
    return Passing(
        endpoint.upstream_path, endpoint.render, endpoint.stream_reader, endpoint.read_reply
    )


_OPENAI_KINDS = (ProviderKind.OPENAI, ProviderKind.OPENAI_COMPATIBLE, ProviderKind.ECHO)

_CARRIERS: dict[tuple[str, ProviderKind], Carrier] = {
    (endpoint.name, kind): _passing(endpoint) for endpoint in _ALL for kind in _OPENAI_KINDS
}


def carrier_for(endpoint: Endpoint, kind: ProviderKind) -> Carrier | None:
    """How this endpoint's requests reach providers of this kind; None: they do not."""
    return _CARRIERS.get((endpoint.name, kind))
