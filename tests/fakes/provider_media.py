"""The simulated provider's endpoints that are not text: moderations, rankings, pictures, speech.
What each is asked with, and its answer.
"""

import base64
import email.message
import email.parser
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fakes.provider_script import ProviderAsk

MEDIA = {
    "/v1/moderations": "moderations",
    "/v1/rerank": "rerank",
    "/v1/images/generations": "images",
    "/v1/audio/speech": "speech",
    "/v1/audio/transcriptions": "transcriptions",
    "/v1/audio/translations": "transcriptions",
    "/v1/images/edits": "images",
}
SILENCE = b"\xff\xf3" + bytes(range(254))  # one piece of what it speaks
PICTURE = b"\x89PNG\r\n" + bytes(64)
_PROMPTS = {"moderations": "input", "speech": "input"}


def form_fields(body: bytes) -> dict[str, Any]:
    """The parts of a form by name; of a file its size."""
    head = b"Content-Type: multipart/form-data; boundary=" + body[2 : body.index(b"\r\n")]
    message = email.parser.BytesParser().parsebytes(head + b"\r\n\r\n" + body)
    fields: dict[str, Any] = {}
    for part in message.get_payload():
        assert isinstance(part, email.message.Message)
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        name = str(part.get_param("name", header="content-disposition"))
        fields[name] = content.decode() if part.get_filename() is None else len(content)
    return fields


def media_texts(endpoint: str, fields: dict[str, Any]) -> list[str]:
    """What an answer is scripted by: the last of these."""
    if endpoint == "rerank":
        return [*map(str, fields["documents"]), str(fields["query"])]
    value = fields[_PROMPTS.get(endpoint, "prompt")]
    items = value if isinstance(value, list) else [value]
    return [item if isinstance(item, str) else json.dumps(item) for item in items]


def media_usage(ask: "ProviderAsk") -> dict[str, Any] | None:
    """As real providers report it: rankings in total, pictures by class, others not at all."""
    if ask.script.usage == "none":
        return None
    if ask.endpoint == "rerank":
        return {"total_tokens": ask.prompt_tokens}
    if ask.endpoint == "transcriptions":
        return {"type": "tokens", "input_tokens": 50, "output_tokens": ask.script.tokens}
    if ask.endpoint == "images":
        output = 100 * ask.script.tokens
        details = {"text_tokens": ask.prompt_tokens, "image_tokens": 0}
        return {
            "input_tokens": ask.prompt_tokens,
            "output_tokens": output,
            "total_tokens": ask.prompt_tokens + output,
            "input_tokens_details": details,
        }
    return None


def media_body(ask: "ProviderAsk") -> bytes:
    """The body of a whole answer."""
    usage = media_usage(ask)
    tail = {} if usage is None else {"usage": usage}
    body: dict[str, Any]
    if ask.endpoint == "moderations":
        verdict = {"flagged": False, "categories": {}, "category_scores": {}}
        body = {"id": "modr-1", "model": ask.model, "results": [verdict] * ask.inputs}
    elif ask.endpoint == "rerank":
        ranks = [{"index": rank, "relevance_score": 0.5} for rank in range(ask.inputs - 1)]
        body = {"id": "rerank-1", "model": ask.model, "results": ranks}
    elif ask.endpoint == "transcriptions":
        body = {"text": "what was said"}
    else:
        picture = base64.b64encode(PICTURE * max(1, ask.script.size // len(PICTURE))).decode()
        body = {"created": 1, "data": [{"b64_json": picture}]}
    return json.dumps({**body, **tail}).encode()
