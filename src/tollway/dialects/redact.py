"""What others wrote about a failure, made fit to show: no secrets, one line, short. Providers quote
the credential they refuse, and that one is ours.
"""

import re
from collections.abc import Sequence

from tollway.domain.key import KEY_PATTERN
from tollway.domain.token import TOKEN_PATTERN

MAX_CHARS = 500
_READ_CHARS = 4096  # a secret cut at this edge lies beyond what is shown

_SECRETS = re.compile(
    KEY_PATTERN
    + "|"
    + TOKEN_PATTERN
    # Keys by their makers' prefixes (OpenAI, Anthropic, Groq, xAI, Hugging Face, Google, AWS, ...),
    # stars included: a masked key still shows its ends.
    + r"|\b(?:sk|pk|rk|gsk|xai|hf|r8|pplx|nvapi|csk|fw|tgp)[-_][\w*-]{6,}"
    + r"|\bya29\.[\w.-]{10,}|\bAIza[\w-]{20,}"
    + r"|\b(?:AKIA|ASIA)[0-9A-Z]{12,}|\bey[\w-]{10,}\.[\w.-]{10,}"
    + r"|(?i:\b(?:bearer|basic)\s+)[^\s\"',;]{6,}"
    + r"|(?i:(?<=key provided: )|(?<=api-key: )|(?<=api_key=))[^\s\"',;]{4,}"
)
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_TITLE = re.compile(r"<title[^>]{0,100}>([^<]{1,200})", re.IGNORECASE)


def redact(text: str, secrets: Sequence[str] = ()) -> str:
    """The text with everything that looks like a credential, and the given ones, taken out."""
    for secret in secrets:
        if secret:
            text = _without_cut(text.replace(secret, "[redacted]"), secret)
    return _SECRETS.sub("[redacted]", text)


def _without_cut(text: str, secret: str) -> str:
    """A text that `shown` made short may end inside the secret."""
    if not text.endswith("…"):
        return text
    body = text[:-1]
    for size in range(min(len(secret) - 1, len(body)), 3, -1):
        if body.endswith(secret[:size]):
            return f"{body[:-size]}[redacted]…"
    return text


def shown(text: str) -> str | None:
    """One safe line of at most 500 characters, or None when nothing is left. Of a page of HTML,
    its title."""
    text = text[:_READ_CHARS].strip()
    if text.startswith("<"):
        title = _TITLE.search(text)
        text = title.group(1) if title is not None else ""
    text = _SPACE.sub(" ", redact(text)).strip()
    if len(text) > MAX_CHARS:
        text = text[: MAX_CHARS - 1] + "…"
    return text or None
