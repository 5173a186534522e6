"""How `/v1/models` and `/v1/models/{id}` look, in OpenAI's and in Anthropic's shape."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from tollway.domain.brand import COMMAND
from tollway.domain.model import ModelRecord

_write = msgspec.json.Encoder().encode


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


def _openai(model: ModelRecord) -> dict[str, object]:
    # Who serves it stays inside: the owner a client sees is the gateway.
    return {"id": model.name, "object": "model", "created": model.created_s, "owned_by": COMMAND}


def _anthropic(model: ModelRecord) -> dict[str, object]:
    created = datetime.fromtimestamp(model.created_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "type": "model",
        "id": model.name,
        "display_name": model.name,
        "created_at": created,
    }
