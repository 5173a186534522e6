"""The simulated provider's answers as bytes: JSON bodies, events, response heads."""

import base64
import json
import struct
from collections.abc import Sequence
from typing import Any

from tests.fakes.provider_media import MEDIA, media_body, media_usage
from tests.fakes.provider_script import ProviderAsk, token_text

DONE = b"data: [DONE]\n\n"
# What real providers add about *our* account and must not reach a client.
PRIVATE_HEADERS = (
    b"set-cookie: __cf_bm=private; path=/\r\nx-ratelimit-remaining-requests: 9999\r\n"
    b"openai-organization: org-private\r\nopenai-processing-ms: 12\r\nserver: simulated\r\n"
)
_CREATED = 1_700_000_000


def head(status: int, fields: Sequence[tuple[str, str]], *, version: str = "1.1") -> bytes:
    """A response head."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/{version} {status} X\r\n{lines}".encode() + PRIVATE_HEADERS + b"\r\n"


def error_body(status: int, message: str = "simulated") -> bytes:
    """OpenAI's error shape."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    error = {"message": message, "type": kind, "param": None, "code": f"simulated_{status}"}
    return json.dumps({"error": error}).encode()


def usage_of(ask: ProviderAsk) -> dict[str, Any] | None:
    """The usage this answer reports, true or not as its script says."""
    if ask.endpoint in MEDIA.values():
        return media_usage(ask)
    mode, prompt = ask.script.usage, ask.prompt_tokens
    output = 0 if ask.endpoint == "embeddings" else ask.script.tokens
    if mode == "none":
        return None
    if mode == "zero":
        prompt = output = 0
    elif mode == "half":
        prompt, output = prompt // 2, output // 2
    usage: dict[str, Any] = {"prompt_tokens": prompt, "total_tokens": prompt + output}
    if ask.endpoint != "embeddings":
        usage["completion_tokens"] = output
    if mode == "details":
        usage["prompt_tokens_details"] = {"cached_tokens": prompt // 2, "audio_tokens": 0}
        usage["completion_tokens_details"] = {"reasoning_tokens": output // 2}
    return usage


def whole_body(ask: ProviderAsk) -> bytes:
    """The body of an answer that is not streamed."""
    if ask.endpoint in MEDIA.values():
        return media_body(ask)
    usage = usage_of(ask)
    tail = {} if usage is None else {"usage": usage}
    if ask.endpoint == "embeddings":
        vector: Any = [0.5, -0.25, 0.125]
        if ask.as_base64:
            vector = base64.b64encode(struct.pack("<3f", *vector)).decode()
        data = [
            {"object": "embedding", "index": index, "embedding": vector}
            for index in range(ask.inputs)
        ]
        return json.dumps({"object": "list", "data": data, "model": ask.model, **tail}).encode()
    text = "".join(token_text(position) for position in range(1, ask.script.tokens + 1))
    if ask.endpoint == "completions":
        choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": "stop"}
        name = "text_completion"
    else:
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if ask.script.tool is not None:
            function = {"name": ask.script.tool, "arguments": text}
            call = {"id": "call_1", "type": "function", "function": function}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": _reason(ask)}
        name = "chat.completion"
    fields = {"id": "x-1", "object": name, "created": _CREATED, "model": ask.model}
    return json.dumps({**fields, "choices": [choice], **tail}).encode()


class EventMaker:
    """The events of one stream."""

    done = DONE

    def __init__(self, ask: ProviderAsk) -> None:
        self._ask = ask
        chat = ask.endpoint == "chat"
        self._name = "chat.completion.chunk" if chat else "text_completion"
        self._chat = chat
        left, _, right = self._choice({"mark": "%s"}).partition(b'{"mark": "%s"}')
        self._token = (left, right)

    def opening(self) -> bytes:
        """Role (and the call of a tool) without any content."""
        if not self._chat:
            return b""
        delta: dict[str, Any] = {"role": "assistant", "content": ""}
        if self._ask.script.tool is not None:
            function = {"name": self._ask.script.tool, "arguments": ""}
            call = {"index": 0, "id": "call_1", "type": "function", "function": function}
            delta = {"role": "assistant", "content": None, "tool_calls": [call]}
        return self._choice({"index": 0, "delta": delta, "finish_reason": None})

    def token(self, position: int) -> bytes:
        """The event of one token."""
        text = token_text(position)
        left, right = self._token
        if not self._chat:
            return b'%s{"index": 0, "text": "%s", "finish_reason": null}%s' % (
                left,
                text.encode(),
                right,
            )
        delta = b'{"content": "%s"}' % text.encode()
        if self._ask.script.tool is not None:
            delta = (
                b'{"tool_calls": [{"index": 0, "function": {"arguments": "%s"}}]}' % text.encode()
            )
        return b'%s{"index": 0, "delta": %s, "finish_reason": null}%s' % (left, delta, right)

    def finish(self) -> bytes:
        """The finish reason."""
        body: dict[str, Any] = {"delta": {}} if self._chat else {"text": ""}
        return self._choice({"index": 0, **body, "finish_reason": _reason(self._ask)})

    def usage(self, usage: dict[str, Any]) -> bytes:
        """The chunk without choices."""
        return self._event({"choices": [], "usage": usage})

    def _choice(self, choice: dict[str, Any]) -> bytes:
        return self._event({"choices": [choice]})

    def _event(self, fields: dict[str, Any]) -> bytes:
        start = {"id": "x-1", "object": self._name, "created": _CREATED, "model": self._ask.model}
        return b"data: " + json.dumps({**start, **fields}).encode() + b"\n\n"


def _reason(ask: ProviderAsk) -> str:
    return "stop" if ask.script.tool is None else "tool_calls"
