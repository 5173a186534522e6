"""JWTs in the place of API keys: attack A11, each way with its row."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from typing import Any

import pytest
from joserfc.jwk import OctKey, RSAKey

from tests.fakes.clock import FixedClock
from tests.fakes.issuer import (
    EC_KEY,
    NOW_S,
    OTHER_RSA_KEY,
    RSA_KEY,
    Issuer,
    b64,
    public_pem,
    running_issuer,
    sign,
    sign_text,
)
from tollway.adapters.identity.fetching import Fetcher
from tollway.adapters.identity.gateway_tokens import IssuedTokens
from tollway.app.ports_identity import NeedsKeys
from tollway.domain.gateway_jwt import Claims, JwtIssuer


class Gate:
    """A verifier, its issuer and its clock."""

    def __init__(self, issuer: Issuer, **settings: Any) -> None:
        self.issuer = issuer
        self.clock = FixedClock(NOW_S * 10**9)
        given = {"tenant_claim": "tenant", "project_claim": "project", **settings}
        config = JwtIssuer(issuer.url, ("gateway",), **given)
        self.tokens = IssuedTokens([config], fetcher=Fetcher(), clock=self.clock)

    def claims(self, **change: Any) -> dict[str, Any]:
        claims = {
            "iss": self.issuer.url, "aud": "gateway", "exp": NOW_S + 100, "iat": NOW_S,
            "sub": "robot", "tenant": "acme", **change,
        }  # fmt: skip
        return {name: value for name, value in claims.items() if value is not ...}

    def ask(self, token: str | bytes) -> Claims | NeedsKeys | None:
        raw = token if isinstance(token, bytes) else token.encode()
        return self.tokens.verify(raw, self.clock.now_ns / 1e9)

    def judge(self, token: str | bytes) -> Claims | NeedsKeys | None:
        """As the gateway does: wait once for keys, then ask again."""
        verdict = self.ask(token)
        if isinstance(verdict, NeedsKeys):
            verdict.ready.result(10)
            verdict = self.ask(token)
        return verdict


@pytest.fixture
def gate() -> Iterator[Gate]:
    with running_issuer() as issuer:
        made = Gate(issuer)
        assert len(wait(made.tokens.warm(), 10).done) == 1
        yield made


def test_a_good_token_says_who_calls(gate: Gate) -> None:
    """Tenant, subject and project; with an RSA and with an EC key; with one fetch in all."""
    expected = Claims(gate.issuer.url, "acme", "robot", "chat", NOW_S + 130)
    claims = gate.claims(project="chat")
    assert gate.ask(sign(claims)) == expected
    assert gate.ask(sign(claims, EC_KEY, algorithm="ES256", typ="at+jwt")) == expected
    assert gate.issuer.asked["/jwks"] == 1


PEM_SECRET = OctKey.import_key(public_pem(RSA_KEY).replace(b"-----", b"_____"))
Forge = Callable[[Gate], str | bytes]
SELF_MADE = RSAKey.generate_key(2048, {"kid": "mine"})
HEAD = b'{"alg":"RS256","kid":"rsa-1"}'


def _hs256(gate: Gate, key: OctKey) -> str:
    return sign_text(
        b'{"alg":"HS256","kid":"rsa-1"}', json.dumps(gate.claims()).encode(), key, "HS256"
    )


def _twice(gate: Gate, member: bytes) -> str:
    body = json.dumps(gate.claims()).encode()
    return sign_text(HEAD, body[:-1] + b"," + member + b"}", RSA_KEY, "RS256")


ATTACKS: dict[str, Forge] = {
    "alg none, unsigned": lambda g: f"{b64({'alg': 'none'})}.{b64(g.claims())}.",
    "alg none, some signature": lambda g: f"{b64({'alg': 'none'})}.{b64(g.claims())}.AAAA",
    "alg nOnE": lambda g: f"{b64({'alg': 'nOnE', 'kid': 'rsa-1'})}.{b64(g.claims())}.AAAA",
    "signature left out": lambda g: sign(g.claims()).rpartition(".")[0] + ".",
    "signature part left out": lambda g: sign(g.claims()).rpartition(".")[0],
    "signature of another token": lambda g: (
        sign(g.claims(tenant="evil")).rpartition(".")[0]
        + "."
        + sign(g.claims()).rpartition(".")[2]
    ),
    "HS256 with the public PEM as secret": lambda g: _hs256(g, PEM_SECRET),
    "HS256 with the modulus as secret": lambda g: _hs256(
        g, OctKey.import_key(RSA_KEY.as_dict(private=False)["n"])
    ),
    "HS256 with an empty-looking secret": lambda g: _hs256(g, OctKey.import_key(b"\0" * 32)),
    "RS256 header over an HS256 signature": lambda g: sign_text(
        HEAD, json.dumps(g.claims()).encode(), PEM_SECRET, "HS256"
    ),
    "EC key under an RSA key id": lambda g: sign(
        g.claims(), EC_KEY, algorithm="ES256", kid="rsa-1"
    ),
    "an algorithm that is not configured": lambda g: sign(g.claims(), algorithm="RS512"),
    "PS256 with an RS256 issuer": lambda g: sign(g.claims(), algorithm="PS256"),
    "somebody else's key, right key id": lambda g: sign(g.claims(), SELF_MADE, kid="rsa-1"),
    "somebody else's key, own key id": lambda g: sign(g.claims(), SELF_MADE),
    "somebody else's key, no key id": lambda g: sign(g.claims(), SELF_MADE, kid=None),
    "key id ../../dev/null": lambda g: sign(g.claims(), kid="../../../../dev/null"),
    "key id with SQL": lambda g: sign(g.claims(), kid="x' UNION SELECT 'k' --"),
    "key id with NUL": lambda g: sign(g.claims(), kid="rsa-1\x00"),
    "key id as URL": lambda g: sign(g.claims(), SELF_MADE, kid=f"{g.issuer.url}/evil"),
    "key id no text": lambda g: sign(g.claims(), kid=1),
    "jku": lambda g: sign(g.claims(), SELF_MADE, jku=f"{g.issuer.url}/evil"),
    "jku beside the right signature": lambda g: sign(g.claims(), jku=f"{g.issuer.url}/evil"),
    "x5u": lambda g: sign(g.claims(), SELF_MADE, x5u=f"{g.issuer.url}/evil"),
    "embedded jwk": lambda g: sign(g.claims(), SELF_MADE, jwk=SELF_MADE.as_dict(private=False)),
    "embedded jwk beside the right signature": lambda g: sign(
        g.claims(), jwk=RSA_KEY.as_dict(private=False)
    ),
    "crit that is understood by nobody": lambda g: sign(g.claims(), crit=["x"], x=1),
    "crit with exp": lambda g: sign(g.claims(), crit=["exp"], exp=NOW_S + 100),
    "b64 false": lambda g: sign(g.claims(), b64=False),
    "wrong issuer": lambda g: sign(g.claims(iss="https://evil.example")),
    "issuer with a slash more": lambda g: sign(g.claims(iss=g.issuer.url + "/")),
    "issuer as list": lambda g: sign(g.claims(iss=[g.issuer.url])),
    "no issuer": lambda g: sign(g.claims(iss=...)),
    "wrong audience": lambda g: sign(g.claims(aud="admin")),
    "no audience": lambda g: sign(g.claims(aud=...)),
    "audience as object": lambda g: sign(g.claims(aud={"gateway": 1})),
    "expired": lambda g: sign(g.claims(exp=NOW_S - 30)),
    "no expiry": lambda g: sign(g.claims(exp=...)),
    "expiry as text": lambda g: sign(g.claims(exp=str(NOW_S + 100))),
    "expiry true": lambda g: sign(g.claims(exp=True)),
    "expiry 1e999": lambda g: sign_text(
        HEAD, json.dumps(g.claims(exp=...)).encode()[:-1] + b',"exp":1e999}', RSA_KEY, "RS256"
    ),
    "not yet": lambda g: sign(g.claims(nbf=NOW_S + 60)),
    "issued tomorrow": lambda g: sign(g.claims(iat=NOW_S + 86_400)),
    "tenant twice": lambda g: _twice(g, b'"tenant":"evil"'),
    "expiry twice": lambda g: _twice(g, b'"exp":9999999999'),
    "algorithm twice": lambda g: sign_text(
        b'{"alg":"none","alg":"RS256","kid":"rsa-1"}', json.dumps(g.claims()).encode(),
        RSA_KEY, "RS256",
    ),
    "claims as list": lambda g: sign(b"[]"),
    "claims no JSON": lambda g: sign(b"tenant=acme"),
    "claims nested deeply": lambda g: sign(b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}"),
    "over 8 KiB": lambda g: sign(g.claims(x="y" * 6200)),
    "a megabyte": lambda g: b"eyJ" + b"A" * 1_000_000,
    "five parts": lambda g: sign(g.claims()) + ".AAAA.AAAA",
    "padding": lambda g: sign(g.claims()) + "=",
    "newline": lambda g: sign(g.claims()) + "\n",
    "no Unicode": lambda g: b"\xff\xfe.\xff.\xff",
    "an ID token's neighbour": lambda g: sign(g.claims(), typ="logout+jwt"),
    "bound to a sender's key": lambda g: sign(g.claims(cnf={"jkt": "x"})),
    "no tenant": lambda g: sign(g.claims(tenant=...)),
    "tenant as list": lambda g: sign(g.claims(tenant=["acme"])),
    "no subject": lambda g: sign(g.claims(sub=...)),
    "subject with a line break": lambda g: sign(g.claims(sub="a\nb")),
    "project that is no text": lambda g: sign(g.claims(project=7)),
    "an API key": lambda g: "tw_live_" + "a" * 63,
    "nothing": lambda g: "",
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_on_jwts(gate: Gate, attack: str) -> None:
    """Each is refused, fetches nothing but the issuer's own keys, and those at most once more."""
    gate.issuer.answers["/evil"] = {"keys": [SELF_MADE.as_dict(private=False)]}
    gate.clock.now_ns += 11 * 10**9
    assert gate.judge(ATTACKS[attack](gate)) is None
    assert "/evil" not in gate.issuer.asked
    assert gate.issuer.asked["/jwks"] <= 2
    assert isinstance(gate.judge(sign(gate.claims())), Claims)


def test_a_flood_of_unknown_key_ids_fetches_once_in_ten_seconds(gate: Gate) -> None:
    """Whoever sends them, the issuer is not flooded, and good tokens pass meanwhile."""
    gate.clock.now_ns += 10 * 10**9
    gate.issuer.hold.clear()
    verdicts = [gate.ask(sign(gate.claims(), kid=f"unknown-{n}")) for n in range(50)]
    waiting = {id(v.ready) for v in verdicts if isinstance(v, NeedsKeys)}
    assert len(waiting) == 1 and all(isinstance(v, NeedsKeys) for v in verdicts)
    assert isinstance(gate.ask(sign(gate.claims())), Claims)
    gate.issuer.hold.set()
    assert isinstance(verdicts[0], NeedsKeys)
    verdicts[0].ready.result(10)
    assert gate.issuer.asked["/jwks"] == 2
    for n in range(50):
        assert gate.ask(sign(gate.claims(), kid=f"unknown-{n}")) is None
    assert gate.issuer.asked["/jwks"] == 2


def test_new_keys_are_found_and_withdrawn_ones_stop(gate: Gate) -> None:
    """After a rotation the first new token waits for one fetch; the old key opens nothing more."""
    new = sign(gate.claims(), OTHER_RSA_KEY)
    gate.issuer.publish(OTHER_RSA_KEY)
    gate.clock.now_ns += 10 * 10**9
    assert isinstance(gate.judge(new), Claims)
    assert gate.judge(sign(gate.claims())) is None


def test_withdrawn_keys_are_noticed_without_new_ones(gate: Gate) -> None:
    """Keys are renewed behind the requests every five minutes."""
    gate.issuer.publish(OTHER_RSA_KEY)
    gate.clock.now_ns += 299 * 10**9
    token = sign(gate.claims(exp=NOW_S + 9999))
    assert isinstance(gate.ask(token), Claims)
    assert gate.issuer.asked["/jwks"] == 1
    gate.clock.now_ns += 1 * 10**9
    gate.issuer.hold.clear()
    assert isinstance(gate.ask(token), Claims)  # does not wait, but the fetch has begun
    assert [t.name for t in threading.enumerate()].count("issuer-keys") == 1
    gate.issuer.hold.set()
    assert gate.judge(sign(gate.claims(exp=NOW_S + 9999), kid="unknown")) is None  # waits
    assert gate.ask(token) is None
    assert gate.issuer.asked["/jwks"] == 2


def test_the_last_good_keys_serve_for_a_day(gate: Gate) -> None:
    """An issuer that is away stops nobody for a day; then nobody is believed any more."""
    gate.issuer.answers["/jwks"] = 503
    token = sign(gate.claims(exp=NOW_S + 10**6))
    gate.clock.now_ns += 86_399 * 10**9
    assert isinstance(gate.judge(token), Claims)
    gate.clock.now_ns += 11 * 10**9
    assert isinstance(gate.judge(token), NeedsKeys)


@pytest.mark.parametrize("document", [503, 302, b"", {"keys": []}, {"keys": [{"kty": "oct"}]}])
def test_an_issuer_without_keys_is_not_a_refusal(document: Any) -> None:
    """The caller is told to come again, not that the token is wrong; one fetch in ten seconds."""
    with running_issuer() as issuer:
        issuer.answers["/jwks"] = document
        gate = Gate(issuer)
        for _ in range(5):
            verdict = gate.judge(sign(gate.claims()))
            assert isinstance(verdict, NeedsKeys) and verdict.ready.done()
        assert issuer.asked["/jwks"] == 1
        issuer.publish(RSA_KEY)
        gate.clock.now_ns += 10 * 10**9
        assert isinstance(gate.judge(sign(gate.claims())), Claims)


def test_asking_never_waits() -> None:
    """While an issuer hangs, every question is answered at once."""
    with running_issuer() as issuer:
        issuer.hold.clear()
        gate = Gate(issuer)
        token = sign(gate.claims())
        began = time.monotonic()
        verdicts = [gate.ask(token) for _ in range(100)]
        assert time.monotonic() - began < 1
        assert all(isinstance(v, NeedsKeys) and not v.ready.done() for v in verdicts)
        assert sum(t.name == "issuer-keys" for t in threading.enumerate()) == 1
        issuer.hold.set()
        assert isinstance(gate.judge(token), Claims)


def test_keys_at_a_given_place_need_no_discovery() -> None:
    """`jwks_url` is enough for issuers that have no discovery document."""
    with running_issuer() as issuer:
        gate = Gate(issuer, jwks_url=f"{issuer.url}/jwks")
        assert isinstance(gate.judge(sign(gate.claims())), Claims)
        assert set(issuer.asked) == {"/jwks"}


@pytest.mark.parametrize(
    "change", [{"audiences": ()}, {"algorithms": ("HS256",)}, {"issuer": ""}, {"tenant": ""}]
)
def test_a_wrong_configuration_stays_off(change: dict[str, Any]) -> None:
    """At the start, with an error; also the same issuer twice."""
    given = {"issuer": "https://id.example", "audiences": ("gateway",), "tenant": "acme", **change}
    with pytest.raises(ValueError, match="JWT issuer"):
        IssuedTokens([JwtIssuer(**given)], fetcher=Fetcher(), clock=FixedClock())
    good = JwtIssuer("https://id.example", ("gateway",), tenant="acme")
    with pytest.raises(ValueError, match="twice"):
        IssuedTokens([good, good], fetcher=Fetcher(), clock=FixedClock())
    IssuedTokens([good], fetcher=Fetcher(), clock=FixedClock())
