"""How the simulated provider is told what to do, and the bytes of its answers.

The prompt's last block `[[...]]` (syntax of docs/echo.md) holds the echo provider's names plus:

- `fault=NAME`: see `provider_faults.py`; `at=POINT`: where, for faults that have a place: `head`
  (before the response head), `first` (after it, before the first token), a count of tokens,
  `usage`, `done` (before `[DONE]`) or `end` (after it); for whole answers `head`, `first`, `end`
- `burst=N`: tokens per write; `size=N`: bytes of an oversized thing
- `times=N`: the block holds for the first N requests with this id only
- `usage=`: full, none, native (also unasked), zero, half, details (cached and reasoning tokens)
- `tool=NAME`: the tokens are the arguments of a tool call

`cut=N`, `stall=N`, `error_event=N` are short for `fault=reset|stall|error_event at=N`.

Every token is four bytes of text, so an estimate from bytes never exceeds the emitted count.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.fakes.provider_media import MEDIA, form_fields, media_texts
from tollway.adapters.echo.directives import read_words

NAMES = frozenset(
    {
        "id",
        "on",
        "times",
        "tokens",
        "burst",
        "delay_ms",
        "gap_ms",
        "usage",
        "tool",
        "status",
        "retry_after",
        "location",
        "fault",
        "at",
        "size",
        "cut",
        "stall",
        "error_event",
    }
)
_SHORT = {"cut": "reset", "stall": "stall", "error_event": "error_event"}


@dataclass(frozen=True, slots=True)
class ProviderScript:
    """One answer's script; times in milliseconds, sizes in bytes."""

    nonce: str | None = None
    tokens: int = 5
    delay_ms: float = 0
    gap_ms: float = 0
    status: int = 200
    retry_after: str | None = None
    location: str = "http://169.254.169.254/"
    usage: str = "full"
    fault: str = ""
    at: str = ""
    burst: int = 1
    size: int = 4 * 1024 * 1024
    tool: str | None = None


_PLAIN = ProviderScript()


@dataclass(frozen=True, slots=True)
class ProviderAsk:
    """What was asked: the fields that shape the answer."""

    endpoint: str  # chat | completions | embeddings, or one of provider_media.py
    model: str
    stream: bool
    include_usage: bool
    prompt_tokens: int
    inputs: int
    as_base64: bool
    script: ProviderScript


def token_text(position: int) -> str:
    """The text of the token at a position (from 1): always four bytes."""
    return f"{position % 1000:03d} "


def read_ask(endpoint: str, body: bytes, seen: Counter[str]) -> ProviderAsk:
    """Read a request; `seen` counts requests per id. Raises `ValueError` on what is not one."""
    fields = form_fields(body) if body[:2] == b"--" else json.loads(body)
    if not isinstance(fields, dict):
        raise ValueError("the body is not an object")
    texts = _texts(endpoint, fields)
    model = str(fields.get("model"))
    _, words = read_words(texts[-1], NAMES, model)
    options = fields.get("stream_options") or {}
    return ProviderAsk(
        endpoint=endpoint,
        model=model,
        stream=fields.get("stream") in (True, "true") or fields.get("stream_format") == "sse",
        include_usage=bool(options.get("include_usage")) or endpoint in MEDIA.values(),
        prompt_tokens=sum(len(text.split()) for text in texts),
        inputs=len(texts),
        as_base64=fields.get("encoding_format") == "base64",
        script=_script(words, seen, fields),
    )


def _texts(endpoint: str, fields: dict[str, Any]) -> list[str]:
    if endpoint == "chat":
        return [_plain(message.get("content")) for message in fields["messages"]]
    if endpoint in MEDIA.values():
        return media_texts(endpoint, fields)
    value = fields["prompt" if endpoint == "completions" else "input"]
    items = value if isinstance(value, list) else [value]
    return [item if isinstance(item, str) else json.dumps(item) for item in items]


def _plain(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content)
    return content or ""


def _script(words: dict[str, str], seen: Counter[str], fields: dict[str, Any]) -> ProviderScript:
    nonce = words.get("id")
    if nonce is not None:
        seen[nonce] += 1
        if seen[nonce] > int(words.get("times", 1 << 30)):
            words = {"id": nonce}
    fault, at = words.get("fault", ""), words.get("at", "")
    for short, name in _SHORT.items():
        if short in words:
            fault, at = name, words[short]
    limit = fields.get("max_completion_tokens") or fields.get("max_tokens") or 1 << 30
    return ProviderScript(
        nonce=nonce,
        tokens=min(int(words.get("tokens", 5)), limit),
        delay_ms=float(words.get("delay_ms", 0)),
        gap_ms=float(words.get("gap_ms", 0)),
        status=int(words.get("status", 200)),
        retry_after=words.get("retry_after"),
        location=words.get("location", _PLAIN.location),
        usage=words.get("usage", "full"),
        fault=fault,
        at=at,
        burst=int(words.get("burst", 1)),
        size=int(words.get("size", _PLAIN.size)),
        tool=words.get("tool"),
    )
