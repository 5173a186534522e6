"""How `/v1/models` and `/v1/models/{id}` look, in OpenAI's and in Anthropic's shape; and Ollama's
`/api/tags`, `/api/show` and `/api/version`. What a model is made of is its provider's to know.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

import msgspec

from tollway.dialects.request import missing
from tollway.domain.brand import COMMAND
from tollway.domain.model import ModelRecord
from tollway.domain.refusal import BadRequest

# Whose API is spoken: clients ask for it to know what they may send.
OLLAMA_VERSION = "0.12.6"
_UNKNOWN = {
    "parent_model": "",
    "format": "",
    "family": "",
    "families": [],
    "parameter_size": "",
    "quantization_level": "",
}
# What requests may hold; whether the model makes sense of it is another matter.
_CAPABILITIES = ("completion", "tools")
_write = msgspec.json.Encoder().encode


class _Show(msgspec.Struct):
    model: str | None = None
    name: str | None = None  # what it was called before


_load_show = msgspec.json.Decoder(_Show).decode


def render_models(models: Sequence[ModelRecord], anthropic: bool) -> bytes:
    """The list, whole: there are no further pages."""
    if not anthropic:
        return _write({"object": "list", "data": [_openai(model) for model in models]})
    return _write(
        {
            "data": [_anthropic(model) for model in models],
            "has_more": False,
            "first_id": models[0].name if models else None,
            "last_id": models[-1].name if models else None,
        }
    )


def render_model(model: ModelRecord, anthropic: bool) -> bytes:
    """One model."""
    return _write(_anthropic(model) if anthropic else _openai(model))


def render_tags(models: Sequence[ModelRecord]) -> bytes:
    """The list as Ollama has it."""
    return _write({"models": [_ollama(model) for model in models]})


def render_shown(model: ModelRecord) -> bytes:
    """One model as Ollama's `/api/show` has it."""
    known = {"modified_at": _time(model), "capabilities": _CAPABILITIES}
    return _write({"details": _UNKNOWN, "model_info": {}, **known})


def render_version() -> bytes:
    """Which of Ollama's versions this API is."""
    return _write({"version": OLLAMA_VERSION})


def read_shown(body: bytes) -> str | BadRequest:
    """Which model `/api/show` is asked for."""
    try:
        asked = _load_show(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return BadRequest("The body must be a JSON object with a string 'model'.", "invalid_json")
    return asked.model or asked.name or missing("model")


def _ollama(model: ModelRecord) -> dict[str, object]:
    # Its command line shows the beginning of a digest, and fails where there is none.
    digest = sha256(model.id.encode()).hexdigest()
    known = {"modified_at": _time(model), "size": 0, "digest": digest, "details": _UNKNOWN}
    return {"name": model.name, "model": model.name, **known}


def _time(model: ModelRecord) -> str:
    return datetime.fromtimestamp(model.created_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _openai(model: ModelRecord) -> dict[str, object]:
    # Who serves it stays inside: the owner a client sees is the gateway.
    return {"id": model.name, "object": "model", "created": model.created_s, "owned_by": COMMAND}


def _anthropic(model: ModelRecord) -> dict[str, object]:
    return {
        "type": "model",
        "id": model.name,
        "display_name": model.name,
        "created_at": _time(model),
    }
