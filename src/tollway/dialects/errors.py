"""How an error looks in each dialect: bodies and in-stream events. Which status and code a fact
gets is decided elsewhere (`web/gateway/problems.py`, `domain/failure.py`).

Sources: OpenAI's `{"error": {message, type, param, code}}`; Anthropic's
`{"type": "error", "error": {type, message}, "request_id"}`; Responses has OpenAI's bodies, and in
its streams `{"type": "error", code, message, param}`; Ollama `{"error": "..."}` in both.
"""

from typing import Literal

import msgspec

Shape = Literal["openai", "responses", "anthropic", "ollama"]

_OPENAI_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES = {
    **_OPENAI_TYPES,
    413: "request_too_large",
    504: "timeout_error",
    529: "overloaded_error",
}
_encode = msgspec.json.encode
_load = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def error_body(
    shape: Shape,
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    kind: str | None = None,
    request_id: str | None = None,
) -> bytes:
    """The JSON body of an error answer. `kind` overrides the type that the status implies."""
    if shape == "ollama":
        return _encode({"error": message})
    if shape == "anthropic":
        error = {"type": kind or _ANTHROPIC_TYPES.get(status) or _family(status, "api_error")}
        return _encode(
            {"type": "error", "error": {**error, "message": message}, "request_id": request_id}
        )
    kind = kind or _OPENAI_TYPES.get(status) or _family(status, "server_error")
    return _encode({"error": {"message": message, "type": kind, "param": param, "code": code}})


def error_event(shape: Shape, status: int, message: str, *, code: str | None = None) -> bytes:
    """One event that ends a stream which cannot be completed. No last word follows."""
    body = error_body(shape, status, message, code=code)
    if shape == "ollama":
        return body + b"\n"
    if shape == "openai":
        return b"data: " + body + b"\n\n"
    if shape == "responses":
        # Clients that know types read the event itself, older ones what is under `error`.
        told = {"type": "error", "code": code, "message": message, "param": None}
        body = _encode({**told, **_load(body)})
    return b"event: error\ndata: " + body + b"\n\n"


def _family(status: int, server: str) -> str:
    return "invalid_request_error" if 400 <= status < 500 else server
