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
    "/v1/images/edits": "edits",
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
    if ask.endpoint in ("images", "edits"):
        output = 100 * ask.script.tokens
        details = {"text_tokens": ask.prompt_tokens, "image_tokens": 0}
        return {
            "input_tokens": ask.prompt_tokens,
            "output_tokens": output,
            "total_tokens": ask.prompt_tokens + output,
            "input_tokens_details": details,
        }
    if ask.endpoint == "speech" and ask.stream:
        return {"input_tokens": ask.prompt_tokens, "output_tokens": 10 * ask.script.tokens}
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
        body = {"created": 1, "data": [{"b64_json": _picture(ask)}]}
    return json.dumps({**body, **tail}).encode()


def _picture(ask: "ProviderAsk") -> str:
    return base64.b64encode(PICTURE * max(1, ask.script.size // len(PICTURE))).decode()


class MediaEventMaker:
    """The events of one stream: as many pieces as the script has tokens, and the last with the
    usage. Pictures have a line that names the event, speech and transcripts have none."""

    done = b""

    def __init__(self, ask: "ProviderAsk") -> None:
        self._ask = ask

    def opening(self) -> bytes:
        """Nothing comes before the first piece."""
        return b""

    def token(self, position: int) -> bytes:
        """One piece."""
        if self._ask.endpoint == "speech":
            return self._event("speech.audio.delta", audio=base64.b64encode(SILENCE).decode())
        if self._ask.endpoint == "transcriptions":
            return self._event("transcript.text.delta", delta=f"{position % 1000:03d} ")
        index = position - 1
        fields = {"b64_json": _picture(self._ask), "partial_image_index": index}
        return self._event(f"{self._kind}.partial_image", **fields)

    def finish(self) -> bytes:
        """The last event, where it has no usage."""
        return self._last({}) if media_usage(self._ask) is None else b""

    def usage(self, usage: dict[str, Any]) -> bytes:
        """The last event."""
        return self._last({"usage": usage})

    @property
    def _kind(self) -> str:
        return "image_edit" if self._ask.endpoint == "edits" else "image_generation"

    def _last(self, told: dict[str, Any]) -> bytes:
        if self._ask.endpoint == "speech":
            return self._event("speech.audio.done", **told)
        if self._ask.endpoint == "transcriptions":
            return self._event("transcript.text.done", text="what was said", **told)
        return self._event(f"{self._kind}.completed", b64_json=_picture(self._ask), **told)

    def _event(self, kind: str, **fields: Any) -> bytes:
        line = b"" if kind[0] != "i" else b"event: " + kind.encode() + b"\n"
        return line + b"data: " + json.dumps({"type": kind, **fields}).encode() + b"\n\n"
