"""Gemini's models in Google's cloud (Vertex AI): what `gemini_provider.py` writes, without what
version v1 there does not know. Answers are the same, and read by the same code.

Calls and results have no ids there: results stand in the order of their calls, as they do anyway.
Nothing holds free calls to their schemas (left out; a schema is a hint). A file by its address
needs its type (refused where its name does not say it). Source: Google's reference of Vertex AI,
`publishers.models.generateContent`, v1.
"""

from typing import Any

from tollway.dialects.translate import gemini_provider
from tollway.dialects.translate.gemini_stream import GeminiPieces
from tollway.dialects.translate.shapes import encode
from tollway.dialects.translate.sides import ProviderSide
from tollway.dialects.translate.talk import CannotCarryError, Talk, Written


def write(talk: Talk, model: str) -> Written:
    """The request. Raises CannotCarryError."""
    body, dropped = gemini_provider.request_of(talk, model)
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


PROVIDER = ProviderSide(write, gemini_provider.path, gemini_provider.read_answer, GeminiPieces)
