"""What a provider says is wrong, in whatever shape: OpenAI and llama.cpp (`{"error": {...}}`),
Google (the same with other names inside), vLLM (`{"object": "error", "message": ...}`), FastAPI
(`{"detail": ...}`), plain messages. Reading only; which status a client gets is
`domain/failure.py`.
"""

import re
from typing import NamedTuple

from tollway.dialects.redact import shown
from tollway.domain.failure import CONTEXT_TOO_LONG

# What Google answers with status 400 to a key that it does not know.
KEY_UNKNOWN = "API_KEY_INVALID"
_CODE = re.compile(r"[A-Za-z][\w.\-]{0,63}")
_GOOGLE = re.compile(r"[A-Z][A-Z_]{1,63}")  # a name of its own beside the number
# "maximum context length" (OpenAI, vLLM, Mistral), "prompt is too long" (Anthropic), "input is too
# long" (Bedrock), "input token count (9) exceeds" (Gemini), "available context size" (llama.cpp).
_TOO_LONG = re.compile(
    r"maximum (?:context|model) length|context (?:length|window|size|limit)"
    r"|(?:prompt|input) is too long|input token count .{0,40}exceeds",
    re.IGNORECASE,
)
_STATUSES = {
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "context_length_exceeded": 400,
    "exceed_context_size_error": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "notfounderror": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "overloaded_error": 503,
    "unavailable_error": 503,
    "service_unavailable": 503,
    "timeout_error": 504,
}


class Fault(NamedTuple):
    """A failure as the provider tells it. `message` is safe to show."""

    status: int | None
    message: str | None
    code: str | None


def read_fault(value: object, *, certain: bool = False) -> Fault | None:
    """The fault that a decoded JSON value tells of, or None when it tells of none. `certain`: that
    it is one is known, so looser shapes count too."""
    if isinstance(value, list) and value:
        value = value[0]  # Gemini wraps its errors in an array
    if not isinstance(value, dict):
        return Fault(None, shown(value), None) if certain and isinstance(value, str) else None
    error = value.get("error")
    if isinstance(error, dict):
        return _fault(error)
    if isinstance(error, str) and error:
        return _fault({"message": error, **{k: v for k, v in value.items() if k != "error"}})
    told = value.get("object") == "error" or value.get("type") == "error"
    return _fault(value) if error or told or certain else None


def _fault(error: dict[str, object]) -> Fault:
    message = _message(error)
    names = [name for key in ("code", "type") if isinstance(name := error.get(key), str)]
    code = next((name for name in names if _CODE.fullmatch(name)), None) or _google(error)
    status = _status(error, names)
    if message is not None and status in (None, 400, 413, 422) and _TOO_LONG.search(message):
        code = CONTEXT_TOO_LONG
    return Fault(status, None if message is None else shown(message), code)


def _google(error: dict[str, object]) -> str | None:
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and detail.get("reason") == KEY_UNKNOWN:
            return KEY_UNKNOWN
    status = error.get("status")
    return status if isinstance(status, str) and _GOOGLE.fullmatch(status) else None


def _message(error: dict[str, object]) -> str | None:
    for key in ("message", "detail", "msg", "error_description"):
        text = error.get(key)
        if isinstance(text, list) and text and isinstance(text[0], dict):
            text = text[0].get("msg")  # FastAPI lists what it found wrong
        if isinstance(text, str) and text:
            return text
    return None


def _status(error: dict[str, object], names: list[str]) -> int | None:
    for key in ("code", "status", "status_code", "statusCode"):
        number = error.get(key)
        if isinstance(number, str) and len(number) == 3 and number.isdecimal():
            number = int(number)
        if type(number) is int and 400 <= number <= 599:
            return number
    return next((_STATUSES[name.lower()] for name in names if name.lower() in _STATUSES), None)
