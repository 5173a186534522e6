"""Path -> endpoint: the one list of what the data plane speaks. Endpoint and kind of provider ->
carrier: the one list of what goes where.
"""

from collections.abc import Callable

from tollway.dialects import (
    chat,
    completions,
    embeddings,
    images,
    kept,
    messages,
    moderations,
    rerank,
    responses,
    speech,
    uploads,
    vertex,
)
from tollway.dialects.ask import Ask
from tollway.dialects.carrier import (
    EVENT_STREAM,
    SOUND,
    Carrier,
    Passing,
    Uploading,
)
from tollway.dialects.endpoint import Endpoint
from tollway.dialects.kept import KeepingResponses, KeptCall
from tollway.dialects.ollama_endpoints import OLLAMA_ENDPOINTS
from tollway.dialects.reply import read_completion, read_embeddings, read_error
from tollway.dialects.reply_media import (
    read_moderation,
    read_pictures,
    read_ranking,
    read_transcription,
)
from tollway.dialects.reply_messages import read_message, read_token_count
from tollway.dialects.reply_responses import read_response
from tollway.dialects.sound import SoundReader
from tollway.dialects.stream import StreamReader
from tollway.dialects.stream_media import PictureReader, SpeechReader, TranscriptReader
from tollway.dialects.stream_messages import MessagesReader
from tollway.dialects.stream_responses import ResponsesReader
from tollway.dialects.translate.pairs import OPENAI_KINDS, TRANSLATIONS, Speaker
from tollway.domain.provider import ProviderKind
from tollway.domain.refusal import BadRequest
from tollway.domain.vertex import Publisher, vertex_model

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
    Endpoint(
        name="responses",
        path=b"/v1/responses",
        upstream_path="/responses",
        shape="responses",
        can_stream=True,
        parse=responses.parse,
        render=responses.render,
        stream_reader=lambda _: ResponsesReader(),
        read_reply=read_response,
        is_bounded=responses.is_bounded,
    ),
    Endpoint(
        name="messages",
        path=b"/v1/messages",
        upstream_path="/messages",
        shape="anthropic",
        can_stream=True,
        parse=messages.parse,
        render=messages.render,
        stream_reader=lambda _: MessagesReader(),
        read_reply=read_message,
        is_bounded=messages.is_bounded,
    ),
    Endpoint(
        name="count_tokens",
        path=b"/v1/messages/count_tokens",
        upstream_path="/messages/count_tokens",
        shape="anthropic",
        can_stream=False,
        parse=messages.parse_count,
        render=messages.render_count,
        stream_reader=None,
        read_reply=read_token_count,
        writes=False,
    ),
    *OLLAMA_ENDPOINTS,
    Endpoint(
        name="moderations",
        path=b"/v1/moderations",
        upstream_path="/moderations",
        shape="openai",
        can_stream=False,
        parse=moderations.parse,
        render=moderations.render,
        stream_reader=None,
        read_reply=read_moderation,
        is_bounded=moderations.is_bounded,
        writes=False,
    ),
    Endpoint(
        name="rerank",
        path=b"/v1/rerank",
        upstream_path="/rerank",
        shape="openai",
        can_stream=False,
        parse=rerank.parse,
        render=rerank.render,
        stream_reader=None,
        read_reply=read_ranking,
        is_bounded=rerank.is_bounded,
        writes=False,
    ),
    Endpoint(
        name="images_generations",
        path=b"/v1/images/generations",
        upstream_path="/images/generations",
        shape="openai",
        can_stream=True,
        parse=images.parse,
        render=images.render,
        stream_reader=lambda _: PictureReader(),
        read_reply=read_pictures,
        is_bounded=images.is_bounded,
        large=True,
        whole_too=True,
    ),
    Endpoint(
        name="audio_speech",
        path=b"/v1/audio/speech",
        upstream_path="/audio/speech",
        shape="openai",
        can_stream=True,
        parse=speech.parse,
        render=speech.render,
        stream_reader=lambda _: SoundReader(),
        read_reply=read_error,
        is_bounded=speech.is_bounded,
        writes=False,
        stream_type=SOUND,
        headers=((b"content-type", b"application/json"), (b"accept", b"*/*")),
    ),
    Endpoint(
        name="audio_transcriptions",
        path=b"/v1/audio/transcriptions",
        upstream_path="/audio/transcriptions",
        shape="openai",
        can_stream=True,
        parse=uploads.parse_sound,
        render=uploads.render,
        stream_reader=lambda _: TranscriptReader(),
        read_reply=read_transcription,
        is_bounded=uploads.is_bounded,
        whole_too=True,
        file="file",
    ),
    Endpoint(
        name="audio_translations",
        path=b"/v1/audio/translations",
        upstream_path="/audio/translations",
        shape="openai",
        can_stream=False,
        parse=uploads.parse_foreign,
        render=uploads.render,
        stream_reader=None,
        read_reply=read_transcription,
        is_bounded=uploads.is_bounded,
        file="file",
    ),
    Endpoint(
        name="images_edits",
        path=b"/v1/images/edits",
        upstream_path="/images/edits",
        shape="openai",
        can_stream=True,
        parse=uploads.parse_pictures,
        render=uploads.render,
        stream_reader=lambda _: PictureReader(),
        read_reply=read_pictures,
        is_bounded=uploads.is_bounded,
        large=True,
        whole_too=True,
        file="image",
    ),
)
ENDPOINTS: dict[bytes, Endpoint] = {endpoint.path: endpoint for endpoint in _ALL}


def _about_a_response(
    name: str, path: bytes, parse: Callable[[bytes], Ask | BadRequest]
) -> Endpoint:
    return Endpoint(
        name=name,
        path=path,
        upstream_path="",
        shape="responses",
        can_stream=False,
        parse=parse,
        render=kept.render_nothing,
        stream_reader=None,
        read_reply=kept.read_kept,
        writes=False,
        permission="responses",
    )


RESPONSE = b"/v1/responses/"
_ID, _ITEMS, _CANCEL = (
    b"/v1/responses/{id}",
    b"/v1/responses/{id}/input_items",
    b"/v1/responses/{id}/cancel",
)
# By method and what follows the id: the endpoints whose request is its path.
_KEPT = {
    (b"GET", b""): (
        _about_a_response("responses_get", _ID, kept.parse_answer),
        KeptCall("GET", whole_too=True),
    ),
    (b"DELETE", b""): (
        _about_a_response("responses_delete", _ID, kept.parse_bare),
        KeptCall("DELETE", done=("deleted", True)),
    ),
    (b"GET", b"/input_items"): (
        _about_a_response("responses_input_items", _ITEMS, kept.parse_items),
        KeptCall("GET", "/input_items"),
    ),
    (b"POST", b"/cancel"): (
        _about_a_response("responses_cancel", _CANCEL, kept.parse_bare),
        KeptCall("POST", "/cancel", done=("status", "cancelled")),
    ),
}


def find_kept(method: bytes, path: bytes) -> tuple[Endpoint, bytes] | None:
    """The endpoint that a path about one kept response means, and the response's id."""
    name, slash, rest = path.removeprefix(RESPONSE).partition(b"/")
    found = _KEPT.get((method, slash + rest))
    return None if found is None or not name else (found[0], name)


def _passing(endpoint: Endpoint) -> Passing:
    carrier = Passing if endpoint.file is None else Uploading
    if endpoint.name == "responses":
        carrier = KeepingResponses
    return carrier(
        endpoint.upstream_path,
        endpoint.render,
        endpoint.stream_reader,
        endpoint.read_reply,
        stream_type=endpoint.stream_type,
        headers=endpoint.headers,
        whole_too=endpoint.whole_too,
        left_out=endpoint.left_out,
    )


_NOT_ECHO = tuple(kind for kind in OPENAI_KINDS if kind is not ProviderKind.ECHO)
# Who is sent what unchanged. Of the servers that follow OpenAI some speak Messages too, but all
# speak Chat Completions; one that is Anthropic's double is of the kind `anthropic`.
_KINDS: dict[str, tuple[ProviderKind, ...]] = {
    "responses": _NOT_ECHO,
    "messages": (ProviderKind.ANTHROPIC,),
    "ollama_chat": (ProviderKind.OLLAMA,),
    "ollama_generate": (ProviderKind.OLLAMA,),
    "ollama_embed": (ProviderKind.OLLAMA,),
    "count_tokens": (ProviderKind.ANTHROPIC, ProviderKind.OPENAI_COMPATIBLE),
    "moderations": tuple(kind for kind in OPENAI_KINDS if kind is not ProviderKind.AZURE_OPENAI),
    "rerank": (ProviderKind.OPENAI_COMPATIBLE, ProviderKind.ECHO),
    "images_generations": _NOT_ECHO,
    "audio_speech": _NOT_ECHO,
    "audio_transcriptions": _NOT_ECHO,
    "audio_translations": _NOT_ECHO,
    "images_edits": _NOT_ECHO,
}

_CARRIERS: dict[tuple[str, Speaker], Carrier] = {
    **TRANSLATIONS,
    ("messages", Publisher.ANTHROPIC): vertex.MESSAGES,
    ("count_tokens", Publisher.ANTHROPIC): vertex.COUNT,
    ("chat_completions", Publisher.OTHERS): vertex.CHAT,
    **{
        (endpoint.name, kind): _passing(endpoint)
        for endpoint in _ALL
        for kind in _KINDS.get(endpoint.name, OPENAI_KINDS)
    },
    **{(endpoint.name, kind): call for endpoint, call in _KEPT.values() for kind in _NOT_ECHO},
}
# Speech as events (`Ask.as_events`); its endpoint's own streams are sound.
_SPEECH_EVENTS = Passing(
    "/audio/speech", speech.render, lambda _: SpeechReader(), read_error, stream_type=EVENT_STREAM
)


def carrier_for(
    endpoint: Endpoint,
    kind: ProviderKind,
    model: str,
    *,
    translate_responses: bool = False,
    as_events: bool = False,
) -> Carrier | None:
    """How this endpoint's requests reach this model of providers of this kind; None: they do not.
    `translate_responses`: the provider has no Responses of its own, or only a part of them.
    `as_events`: as `Ask` has it."""
    if as_events and kind in _KINDS[endpoint.name]:
        return _SPEECH_EVENTS
    if kind is ProviderKind.VERTEX:
        found = vertex_model(model)
        return None if found is None else _CARRIERS.get((endpoint.name, found.publisher))
    if translate_responses and endpoint.name.startswith("responses"):
        return TRANSLATIONS.get((endpoint.name, kind))
    return _CARRIERS.get((endpoint.name, kind))
