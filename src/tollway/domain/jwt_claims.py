"""JWTs up to their signature: the strict form of a token, what its header may say, and whether its
claims hold. The signature itself is checked by an adapter. Sources: RFC 7515, RFC 7519, RFC 8725.

A header never chooses where a key comes from: `jku`, `x5u`, `jwk` and `x5c` are refused, not used.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

MAX_TOKEN_BYTES = 8192
# Public-key signatures only. HS* would let whoever knows a public key sign with it; `none` anyone.
ASYMMETRIC = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"}
)
# `cnf` binds a token to a key of its sender, which is not checked here; crit and b64 change the
# format itself.
_REFUSED_HEADERS = frozenset({"crit", "b64", "jku", "x5u", "jwk", "x5c", "zip", "enc"})
_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_FORM = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_MAX_KID_CHARS = 256
_MAX_TEXT_CHARS = 255
_YEAR_9999_S = 253_402_300_800


@dataclass(frozen=True, slots=True)
class Unverified:
    """A token of the right form. Nothing in it is true before its signature was checked."""

    algorithm: str
    key_id: str | None
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Expected:
    """What the claims must say."""

    issuer: str
    audiences: Sequence[str]
    leeway_s: float


def split_jwt(token: bytes, max_bytes: int = MAX_TOKEN_BYTES) -> Unverified | None:
    """Header and claims of a compact JWS with a public-key signature; None for anything else."""
    if len(token) > max_bytes:
        return None
    form = _FORM.fullmatch(token)
    if form is None:
        return None
    header, claims = strict_object(_decoded(form[1])), strict_object(_decoded(form[2]))
    if header is None or claims is None:
        return None
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "jwt")
    if not isinstance(algorithm, str) or algorithm not in ASYMMETRIC:
        return None
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        return None
    if key_id is not None and not (isinstance(key_id, str) and 0 < len(key_id) <= _MAX_KID_CHARS):
        return None
    if not _REFUSED_HEADERS.isdisjoint(header):
        return None
    return Unverified(algorithm, key_id, claims)


def strict_object(text: bytes) -> dict[str, Any] | None:
    """A JSON object in which no member, at any depth, stands twice; None for anything else.
    Two readers of a duplicate would see different tokens."""
    try:
        value = json.loads(
            text.decode(), object_pairs_hook=_unique, parse_constant=_no_such_constant
        )
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def claims_hold(claims: Mapping[str, Any], expected: Expected, now_s: float) -> bool:
    """Whether a token is this issuer's, for us, and now."""
    if claims.get("iss") != expected.issuer or "cnf" in claims:
        return False
    if not _for_us(claims.get("aud"), expected.audiences):
        return False
    expires_s = time_of(claims, "exp")
    if expires_s is None or now_s >= expires_s + expected.leeway_s:
        return False
    for name in ("nbf", "iat"):
        if name in claims:
            begins_s = time_of(claims, name)
            if begins_s is None or now_s < begins_s - expected.leeway_s:
                return False
    return True


def time_of(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate, UTC seconds; None when there is none that makes sense."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Compared as it is: a large integer does not fit a float, and NaN is below nothing.
    return value if 0 <= value < _YEAR_9999_S else None


def text_of(claims: Mapping[str, Any], name: str) -> str | None:
    """A short printable text; None when the claim is absent or anything else."""
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT_CHARS:
        return None
    return value if value.isprintable() else None


def audiences_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Whom a token is for; empty when it does not say so in one of the two forms of RFC 7519."""
    value = claims.get("aud")
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    return ()


def _for_us(audience: object, ours: Sequence[str]) -> bool:
    return not set(audiences_of({"aud": audience})).isdisjoint(ours)


def _decoded(segment: bytes) -> bytes:
    if len(segment) % 4 == 1:
        return b""
    return urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _no_such_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
