"""Signed-in browsers: the cookie, what is stored of it, the proof against forged requests, and when
a session is over. Theory: OWASP Session Management and Cross-Site Request Forgery cheat sheets.

The CSRF proof is an HMAC under the cookie itself: whoever cannot read the cookie cannot make it,
nothing more needs to be stored, and it ends with the session.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

SESSION_ENTROPY_BYTES = 32
_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class SessionRules:
    """How long a browser stays signed in: without use, and at most."""

    idle_s: int = 8 * 3600
    lifetime_s: int = 7 * 86_400
    touch_s: int = 60  # how stale `last_seen_s` may become before a request writes it


DEFAULT_RULES = SessionRules()


def make_cookie(entropy: bytes) -> str:
    """A new session's cookie, 43 characters, from 32 bytes of entropy."""
    if len(entropy) != SESSION_ENTROPY_BYTES:
        raise ValueError(f"a session takes {SESSION_ENTROPY_BYTES} bytes, got {len(entropy)}")
    return _base64url(entropy)


def digest_cookie(cookie: str) -> bytes | None:
    """What a session is found by; None when the text cannot be one of our cookies. No I/O."""
    if _COOKIE.fullmatch(cookie) is None:
        return None
    return sha256(b"tollway session|" + cookie.encode("ascii")).digest()


def csrf_token(cookie: str) -> str:
    """What a page sends along with everything that changes something."""
    return _base64url(hmac.digest(cookie.encode("ascii"), b"tollway csrf", "sha256"))


def csrf_matches(cookie: str, given: str) -> bool:
    """Whether the proof belongs to this cookie, in constant time."""
    if _COOKIE.fullmatch(cookie) is None or not given.isascii():
        return False
    return hmac.compare_digest(csrf_token(cookie).encode(), given.encode())


def is_over(
    *, now_s: float, last_seen_s: float, expires_s: float, rules: SessionRules = DEFAULT_RULES
) -> bool:
    """Whether the session is too old, or was left alone for too long."""
    return now_s >= expires_s or now_s >= last_seen_s + rules.idle_s


def needs_touch(*, now_s: float, last_seen_s: float, rules: SessionRules = DEFAULT_RULES) -> bool:
    """Whether this use is worth a write."""
    return now_s >= last_seen_s + rules.touch_s


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
