"""Tokens up to their signature."""

import json
from typing import Any

import pytest

from tests.fakes.issuer import NOW_S, b64
from tollway.domain.jwt_claims import (
    MAX_TOKEN_BYTES,
    Expected,
    claims_hold,
    split_jwt,
    strict_object,
    text_of,
)

EXPECTED = Expected("https://id.example", ("gateway", "other"), 30)
CLAIMS = {"iss": "https://id.example", "aud": "gateway", "exp": NOW_S + 600, "sub": "x"}


def token(header: object = None, claims: bytes | dict[str, Any] = b"{}") -> bytes:
    """A token with a meaningless signature."""
    head = {"alg": "RS256"} if header is None else header
    raw = head if isinstance(head, bytes) else json.dumps(head).encode()
    return f"{b64(raw)}.{b64(claims)}.c2ln".encode()


def test_a_token_is_split() -> None:
    """Algorithm, key id and claims, of every accepted type."""
    for kind in ("JWT", "jwt", "at+jwt", "application/at+jwt"):
        split = split_jwt(token({"alg": "ES256", "kid": "k", "typ": kind, "x5t": "y"}, CLAIMS))
        assert split is not None
        assert (split.algorithm, split.key_id, split.claims) == ("ES256", "k", CLAIMS)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"}, {"alg": "None"}, {"alg": ""}, {}, {"alg": None}, {"alg": ["RS256"]},
        {"alg": "HS256"}, {"alg": "HS512"}, {"alg": "RSA-OAEP", "enc": "A128GCM"},
        {"alg": "RS256", "crit": ["exp"], "exp": 1}, {"alg": "RS256", "crit": []},
        {"alg": "RS256", "b64": False},
        {"alg": "RS256", "jku": "https://evil.example/jwks"},
        {"alg": "RS256", "x5u": "https://evil.example/cert"},
        {"alg": "RS256", "jwk": {"kty": "RSA"}}, {"alg": "RS256", "x5c": ["x"]},
        {"alg": "RS256", "zip": "DEF"},
        {"alg": "RS256", "typ": "logout+jwt"}, {"alg": "RS256", "typ": "dpop+jwt"},
        {"alg": "RS256", "typ": 1}, {"alg": "RS256", "kid": 1}, {"alg": "RS256", "kid": ""},
        {"alg": "RS256", "kid": "x" * 257}, {"alg": "RS256", "kid": ["a"]},
        b'{"alg":"none","alg":"RS256"}', b'{"alg":"RS256","alg":"RS256"}', b"[]", b'"RS256"',
        b"\xff", b"", b"{", b'{"alg":"RS256","x":NaN}', b'{"alg":"RS256"} x',
    ],
)  # fmt: skip
def test_headers_that_are_refused(header: object) -> None:
    """Attack A11: the header chooses neither how nor with what a token is checked."""
    assert split_jwt(token(header, CLAIMS)) is None


@pytest.mark.parametrize(
    "text",
    [
        b"", b".", b"..", b"a.b", b"a.b.c.d", b"a.b.", b".b.c", token() + b"=", token() + b"\n",
        b" " + token(), token().replace(b".", b"..", 1), token()[:-4] + b"c2l+",
        token(claims=b"[1]"), token(claims=b'{"sub":"a","sub":"b"}'),
        token(claims=b'{"a":{"sub":"a","sub":"b"}}'), token(claims=b'{"exp":Infinity}'),
        token(claims=b'{"exp":' + b"9" * 5000 + b"}"), token(claims=b'{"a":' + b"[" * 5000),
        b"e30.a.c2ln", b"e.e30.c2ln",
    ],
)  # fmt: skip
def test_forms_that_are_refused(text: bytes) -> None:
    """Attack A11: three strict base64url parts, two strict JSON objects, no member twice."""
    assert split_jwt(text) is None


def test_a_large_token_is_not_read() -> None:
    """The limit is 8 KiB, to the byte."""
    fitting = token(claims={"x": "y" * 6000})
    grown = fitting + b"A" * (MAX_TOKEN_BYTES - len(fitting))
    assert split_jwt(grown) is not None
    assert split_jwt(grown + b"A") is None
    assert split_jwt(grown + b"A", MAX_TOKEN_BYTES + 1) is not None


@pytest.mark.parametrize(
    "change",
    [
        {}, {"aud": ["x", "other"]}, {"exp": NOW_S - 29.5}, {"exp": float(NOW_S + 1)},
        {"nbf": NOW_S + 30}, {"iat": NOW_S + 30}, {"iat": 0},
    ],
)  # fmt: skip
def test_claims_that_hold(change: dict[str, Any]) -> None:
    """Ours among several audiences, and all times within the leeway."""
    assert claims_hold({**CLAIMS, **change}, EXPECTED, NOW_S)


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://id.example/"}, {"iss": "https://evil.example"}, {"iss": None},
        {"iss": ["https://id.example"]},
        {"aud": "gatewa"}, {"aud": []}, {"aud": None}, {"aud": ["x"]}, {"aud": ["gateway", 1]},
        {"aud": {"gateway": 1}}, {"aud": ""},
        {"exp": NOW_S - 30}, {"exp": None}, {"exp": str(NOW_S + 600)}, {"exp": True},
        {"exp": float("inf")}, {"exp": 10**400}, {"exp": -1}, {"exp": [NOW_S]}, {"exp": 1e300},
        {"nbf": NOW_S + 31}, {"nbf": "now"}, {"nbf": None}, {"iat": NOW_S + 31}, {"iat": "x"},
        {"cnf": {"jkt": "x"}},
    ],
)  # fmt: skip
def test_claims_that_do_not_hold(change: dict[str, Any]) -> None:
    """Attack A11: wrong issuer, audience or time, and everything that only looks like one."""
    assert not claims_hold({**CLAIMS, **change}, EXPECTED, NOW_S)


def test_absent_claims_do_not_hold() -> None:
    """A token without an expiry is refused, not eternal."""
    for name in ("iss", "aud", "exp"):
        assert not claims_hold({k: v for k, v in CLAIMS.items() if k != name}, EXPECTED, NOW_S)


@pytest.mark.parametrize("value", ["", "x" * 256, "a\nb", 1, None, ["a"], "a\u202eb"])
def test_texts_are_short_and_printable(value: object) -> None:
    """A claim that goes into logs and rows is bounded and cannot forge a line."""
    assert text_of({"sub": value}, "sub") is None
    assert text_of({"sub": "x" * 255}, "sub") == "x" * 255


def test_a_strict_object_is_utf8() -> None:
    """Other encodings would let two readers differ."""
    assert strict_object('{"ä": 1}'.encode()) == {"ä": 1}
    assert strict_object('{"a": 1}'.encode("utf-16")) is None
