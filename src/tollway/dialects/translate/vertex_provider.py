"""Models in Google's cloud (Vertex AI), each publisher's in its own dialect. Gemini's: what
`gemini_provider.py` writes, without what version v1 there does not know.

Calls and results have no ids there: results stand in the order of their calls, as they do anyway.
Nothing holds free calls to their schemas (left out; a schema is a hint). A file by its address
needs its type (refused where its name does not say it). Source: Google's reference of Vertex AI,
`publishers.models.generateContent`, v1; `dialects/vertex.py` for other publishers.
"""

from typing import Any

from tollway.dialects.translate import chat_provider, gemini_provider, messages_provider
from tollway.dialects.translate.gemini_stream import GeminiPieces
from tollway.dialects.translate.shapes import encode
from tollway.dialects.translate.sides import ProviderSide
from tollway.dialects.translate.talk import CannotCarryError, Talk, Written
from tollway.dialects.vertex import CHAT_PATH, VERSION, claude_path, name_of

PUBLISHED = "/publishers/google"


def write(talk: Talk, model: str) -> Written:
    """The request. Raises CannotCarryError."""
    body, dropped = gemini_provider.request_of(talk, name_of(model))
    for content in body["contents"]:
        for part in content["parts"]:
            _without_ids(part)
            if "mimeType" not in part.get("fileData", {"mimeType": ""}):
                why = "Its address does not say its type: send its content."
                raise CannotCarryError("image", why)
    _without_validation(body)
    return Written(encode(body), dropped)


def _without_ids(part: dict[str, Any]) -> None:
    for name in ("functionCall", "functionResponse"):
        part.get(name, {}).pop("id", None)


def _without_validation(body: dict[str, Any]) -> None:
    """The mode is of Google's other API, and of a beta here."""
    config = body.get("toolConfig", {}).get("functionCallingConfig", {})
    if config.get("mode") == "VALIDATED":
        del body["toolConfig"]


def _path(model: str, stream: bool) -> str:
    return PUBLISHED + gemini_provider.path(name_of(model), stream)


def _write_to_claude(talk: Talk, model: str) -> Written:
    body, dropped = messages_provider.request_of(talk, model)
    del body["model"]
    return Written(encode({**VERSION, **body}), dropped)


def _write_to_others(talk: Talk, model: str) -> Written:
    return chat_provider.PROVIDER.write(talk, name_of(model))


PROVIDER = ProviderSide(write, _path, gemini_provider.read_answer, GeminiPieces)
# Anthropic's Messages, the model in the path and the version in the body.
CLAUDE = ProviderSide(
    _write_to_claude,
    claude_path,
    messages_provider.PROVIDER.read_answer,
    messages_provider.PROVIDER.reader,
)
# Chat Completions, with the publisher in the model's name.
OTHERS = ProviderSide(
    _write_to_others,
    lambda _model, _stream: CHAT_PATH,
    chat_provider.PROVIDER.read_answer,
    chat_provider.PROVIDER.reader,
)
