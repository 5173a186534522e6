"""Signing in, against a provider that bends every answer. The honest one is in
`test_real_provider.py`.
"""

import os
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import OctKey

from tests.fakes.clock import FixedClock
from tests.fakes.issuer import (
    EC_KEY,
    NOW_S,
    OTHER_RSA_KEY,
    RSA_KEY,
    Issuer,
    b64,
    running_issuer,
    sign,
    sign_text,
)
from tollway.adapters.identity.fetching import Fetcher
from tollway.adapters.identity.openid import OpenIdProvider
from tollway.domain.oidc import Identity, OidcIssuer, PendingLogin
from tollway.domain.result import Err, Ok, Result

BACK = "https://tollway.example/callback"


class Login:
    """A sign-in under way at a provider whose parts a test bends before it ends."""

    def __init__(self, issuer: Issuer, **settings: Any) -> None:
        self.issuer = issuer
        self.clock = FixedClock(NOW_S * 10**9)
        given = {"client_id": "tollway", "client_secret": "s e:c", **settings}
        self.config = OidcIssuer("corp", issuer.url, **given)
        self.provider = OpenIdProvider(
            self.config, fetcher=Fetcher(), clock=self.clock, entropy=os.urandom
        )
        begun = self.provider.begin_login(BACK)
        assert isinstance(begun, Ok)
        self.url, self.pending = begun.value
        self.params = {"code": "abc", "state": self.pending.state}
        self.claims: dict[str, Any] = {
            "iss": issuer.url, "aud": "tollway", "sub": "u-1", "exp": NOW_S + 300, "iat": NOW_S,
            "nonce": self.pending.nonce, "email": "Ada@Acme.example", "email_verified": True,
            "name": "Ada", "groups": ["staff", "boss"],
        }  # fmt: skip

    def end(self, id_token: object = ..., **tokens: Any) -> Result[Identity, str]:
        """The redirect back, with this ID token or one made of `claims`."""
        claims = {name: value for name, value in self.claims.items() if value is not ...}
        token = sign(claims) if id_token is ... else id_token
        self.issuer.answers.setdefault(
            "/token", {"token_type": "Bearer", "access_token": "at", "id_token": token, **tokens}
        )
        return self.provider.finish_login(self.pending, self.params)


@pytest.fixture
def login() -> Iterator[Login]:
    with running_issuer() as issuer:
        yield Login(issuer)


def test_the_browser_is_sent_with_everything_bound(login: Login) -> None:
    """State, nonce and PKCE's challenge, each fresh; the verifier and the secret stay here."""
    parts = urlsplit(login.url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    digest = sha256(login.pending.verifier.encode()).digest()
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{login.issuer.url}/authorize"
    assert query == {
        "response_type": "code", "client_id": "tollway", "redirect_uri": BACK,
        "scope": "openid email profile", "state": login.pending.state,
        "nonce": login.pending.nonce, "code_challenge_method": "S256",
        "code_challenge": urlsafe_b64encode(digest).rstrip(b"=").decode(),
    }  # fmt: skip
    again = login.provider.begin_login(BACK)
    assert isinstance(again, Ok)
    fresh = again.value[1]
    secrets = {login.pending.state, login.pending.nonce, login.pending.verifier}
    assert len(secrets | {fresh.state, fresh.nonce, fresh.verifier}) == 6
    assert min(map(len, secrets)) == 43


def test_who_came_back(login: Login) -> None:
    """The code is redeemed with the verifier and the secret; the claims become an identity."""
    ended = login.end()
    assert isinstance(ended, Ok)
    assert replace(ended.value, id_token="") == Identity(
        login.issuer.url, "u-1", "ada@acme.example", True, "Ada", ("staff", "boss")
    )
    assert ended.value.id_token.startswith("eyJ") and ended.value.id_token not in repr(ended)
    assert login.issuer.forms[1] == {
        "grant_type": "authorization_code", "code": "abc", "redirect_uri": BACK,
        "code_verifier": login.pending.verifier,
    }  # fmt: skip
    authorization = login.issuer.authorizations[1]
    assert authorization is not None
    assert b64decode(authorization.removeprefix("Basic ")) == b"tollway:s+e%3Ac"


Bend = Callable[[Login], object]
ATTACKS: dict[str, tuple[Bend, str]] = {
    "state missing": (lambda s: s.params.pop("state"), "state"),
    "state empty": (lambda s: s.params.update(state=""), "state"),
    "state of another browser": (lambda s: s.params.update(state="x" * 43), "state"),
    "state no text": (lambda s: s.params.update(state="\ud800"), "state"),
    "code missing": (lambda s: s.params.pop("code"), "no code"),
    "code no text": (lambda s: s.params.update(code="\ud800"), "no code"),
    "an error": (lambda s: s.params.update(error="access_denied"), "access_denied"),
    "an error that forges a line": (lambda s: s.params.update(error="a\nb"), "no reason given"),
    "another provider's answer": (lambda s: s.params.update(iss="https://evil.x"), "not from this"),
    "no iss where it is promised": (
        lambda s: (
            s.issuer.metadata.update(authorization_response_iss_parameter_supported=True),
            setattr(s.clock, "now_ns", s.clock.now_ns + 3600 * 10**9),
            setattr(s, "pending", replace(s.pending, began_s=NOW_S + 3600)),
        ),
        "not from this",
    ),
    "begun elsewhere": (
        lambda s: setattr(s, "pending", replace(s.pending, issuer="https://evil.x")), "begun"
    ),
    "too late": (
        lambda s: setattr(s, "pending", replace(s.pending, began_s=NOW_S - 601)), "too long"
    ),
    "from the future": (
        lambda s: setattr(s, "pending", replace(s.pending, began_s=NOW_S + 60)), "too long"
    ),
    "code refused": (
        lambda s: s.issuer.answers.update({"/token": lambda: (400, {"error": "invalid_grant"})}),
        "400 invalid_grant",
    ),
    "token endpoint down": (lambda s: s.issuer.answers.update({"/token": 503}), "503"),
    "token endpoint redirects": (lambda s: s.issuer.answers.update({"/token": 302}), "redirect"),
    "no ID token": (lambda s: s.issuer.answers.update({"/token": {"access_token": "x"}}), "no ID"),
    "wrong issuer": (lambda s: s.claims.update(iss="https://evil.x"), "another"),
    "wrong audience": (lambda s: s.claims.update(aud="other"), "another"),
    "expired": (lambda s: s.claims.update(exp=NOW_S - 60), "this time"),
    "no expiry": (lambda s: s.claims.update(exp=...), "this time"),
    "issued in the future": (lambda s: s.claims.update(iat=NOW_S + 61), "this time"),
    "issued before the sign-in": (lambda s: s.claims.update(iat=NOW_S - 61), "older"),
    "no time of issue": (lambda s: s.claims.update(iat=...), "older"),
    "two audiences, no azp": (lambda s: s.claims.update(aud=["tollway", "x"]), "another party"),
    "another's azp": (lambda s: s.claims.update(azp="evil"), "another party"),
    "azp no text": (lambda s: s.claims.update(azp=["tollway"]), "another party"),
    "another nonce": (lambda s: s.claims.update(nonce="x" * 43), "another sign-in"),
    "no nonce": (lambda s: s.claims.update(nonce=...), "another sign-in"),
    "nonce no text": (lambda s: s.claims.update(nonce=1), "another sign-in"),
    "no subject": (lambda s: s.claims.update(sub=""), "nobody"),
    "groups left out": (
        lambda s: s.claims.update(groups=..., _claim_names={"groups": "src1"}), "groups out"
    ),
    "keys withdrawn": (lambda s: s.issuer.publish(OTHER_RSA_KEY), "signature"),
    "keys unreachable": (lambda s: s.issuer.answers.update({"/jwks": 500}), "signature"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_on_a_sign_in(login: Login, attack: str) -> None:
    """Nobody is signed in, and the reason for the log says why, without a secret."""
    bend, part = ATTACKS[attack]
    bend(login)
    ended = login.end()
    assert isinstance(ended, Err) and part in ended.error
    assert login.pending.verifier not in ended.error and "s e:c" not in ended.error


FORGERIES: dict[str, Callable[[Login], object]] = {
    "alg none": lambda s: f"{b64({'alg': 'none'})}.{b64(s.claims)}.",
    "HS256 with the client secret": lambda s: sign(
        s.claims, OctKey.import_key(b"s e:c".ljust(32, b"\0")), algorithm="HS256"
    ),
    "another's key": lambda s: sign(s.claims, OTHER_RSA_KEY, kid="rsa-1"),
    "an algorithm not configured": lambda s: sign(s.claims, algorithm="RS512"),
    "jku": lambda s: sign(s.claims, jku=f"{s.issuer.url}/jwks"),
    "a claim twice": lambda s: sign_text(
        b'{"alg":"RS256","kid":"rsa-1"}', b'{"sub":"a","sub":"b"}', RSA_KEY, "RS256"
    ),
    "no token": lambda s: "abc",
    "no text": lambda s: 7,
    "null": lambda s: None,
    "no ASCII": lambda s: "é.é.é",
    "65 KiB": lambda s: sign({**s.claims, "x": "y" * 65536}),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_id_tokens(login: Login, forgery: str) -> None:
    """The ID token comes over TLS, and its signature is checked all the same."""
    assert isinstance(login.end(FORGERIES[forgery](login)), Err)


def test_es256_and_several_audiences_are_fine(login: Login) -> None:
    """With an azp that is ours."""
    login.claims.update(aud=["tollway", "x"], azp="tollway")
    assert isinstance(login.end(sign(login.claims, EC_KEY, algorithm="ES256")), Ok)


def test_a_new_signing_key_is_fetched(login: Login) -> None:
    """A rotation between two sign-ins is not noticed by anybody."""
    assert isinstance(login.end(), Ok)
    login.issuer.publish(OTHER_RSA_KEY)
    login.clock.now_ns += 10 * 10**9
    login.issuer.answers.pop("/token")
    assert isinstance(login.end(sign(login.claims, OTHER_RSA_KEY)), Ok)


def test_missing_claims_come_from_userinfo() -> None:
    """Many providers put no groups into the ID token; its own claims win."""
    with running_issuer() as issuer:
        issuer.metadata["userinfo_endpoint"] = f"{issuer.url}/userinfo"
        login = Login(issuer)
        login.claims.update(groups=..., email=...)
        issuer.answers["/userinfo"] = {
            "sub": "u-1", "name": "Other", "groups": ["staff"], "email": "ada@acme.example"
        }  # fmt: skip
        ended = login.end()
        assert isinstance(ended, Ok)
        identity = ended.value
        assert (identity.name, identity.groups) == ("Ada", ("staff",))
        assert identity.email == "ada@acme.example"
        assert issuer.authorizations[-1] == "Bearer at"


@pytest.mark.parametrize(
    ("answer", "access_token"),
    [
        ({"sub": "u-2", "groups": ["root"]}, "at"),
        ({"groups": ["root"]}, "at"),
        (401, "at"),
        (b"eyJ.eyJ.x", "at"),
        ({"sub": "u-1"}, "a\r\nx: y"),
        ({"sub": "u-1"}, "é"),
    ],
)
def test_userinfo_of_somebody_else(answer: Any, access_token: str) -> None:
    """An answer about another person, or none at all, ends the sign-in."""
    with running_issuer() as issuer:
        issuer.metadata["userinfo_endpoint"] = f"{issuer.url}/userinfo"
        login = Login(issuer)
        login.claims.update(groups=...)
        issuer.answers["/userinfo"] = answer
        assert isinstance(login.end(access_token=access_token), Err)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"email_verified": "true"}, ("ada@acme.example", True)),
        ({"email_verified": "false"}, ("ada@acme.example", False)),
        ({"email_verified": 1}, ("ada@acme.example", False)),
        ({"email_verified": ...}, ("ada@acme.example", False)),
        ({"email": "no address"}, (None, False)),
        ({"email": "a\nb@c"}, (None, False)),
        ({"email": ["ada@acme.example"]}, (None, False)),
        ({"email": ...}, (None, False)),
        ({"email": "a" * 250 + "@b.example"}, (None, False)),
    ],
)
def test_an_address_is_verified_only_when_said_so(
    login: Login, change: dict[str, Any], expected: tuple[str | None, bool]
) -> None:
    """Exactly true, as a truth value or as the text some providers send."""
    login.claims.update(change)
    ended = login.end()
    assert isinstance(ended, Ok)
    assert (ended.value.email, ended.value.email_verified) == expected


def test_another_claim_as_address_is_not_vouched_for() -> None:
    """`email_verified` speaks of the claim `email`, not of a name somebody chose."""
    with running_issuer() as issuer:
        login = Login(issuer, email_claim="preferred_username")
        login.claims["preferred_username"] = "boss@acme.example"
        ended = login.end()
        assert isinstance(ended, Ok)
        assert ended.value.email == "boss@acme.example" and not ended.value.email_verified


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["a", 1, "", None, "b\n", "x" * 256, "c"], ("a", "c")),
        ("staff", ("staff",)),
        ({"staff": True}, ()),
        (..., ()),
        (["g"] * 2000, ("g",) * 1000),
    ],
)
def test_groups_of_every_form(login: Login, groups: object, expected: tuple[str, ...]) -> None:
    """A list or one name; what is no name is nobody's group."""
    login.claims["groups"] = groups
    ended = login.end()
    assert isinstance(ended, Ok) and ended.value.groups == expected


def test_a_public_client_has_no_secret_to_send() -> None:
    """Its id goes into the form; PKCE is what binds the code."""
    with running_issuer() as issuer:
        login = Login(issuer, client_secret="", public=True)
        assert isinstance(login.end(), Ok)
        assert issuer.authorizations[1] is None
        assert issuer.forms[1]["client_id"] == "tollway"
        assert "client_secret" not in issuer.forms[1]


def test_the_secret_goes_into_the_form_where_asked() -> None:
    """Providers that do not read the header."""
    with running_issuer() as issuer:
        issuer.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
        login = Login(issuer)
        assert isinstance(login.end(), Ok)
        assert issuer.forms[1]["client_secret"] == "s e:c"


def test_signing_out_there_too() -> None:
    """Only where it is offered; with the hint when there is one; before any fetch, nowhere."""
    with running_issuer() as issuer:
        login = Login(issuer)
        assert login.provider.logout_url("hint", BACK) is None
        issuer.metadata["end_session_endpoint"] = f"{issuer.url}/logout?p=1"
        offered = Login(issuer).provider
        url = offered.logout_url("hint", BACK)
        assert url is not None and url.startswith(f"{issuer.url}/logout?p=1&client_id=tollway")
        assert "id_token_hint=hint" in url
        assert "hint" not in (offered.logout_url("", BACK) or "hint")
        unasked = OpenIdProvider(
            login.config, fetcher=Fetcher(), clock=login.clock, entropy=os.urandom
        )
        assert unasked.logout_url("hint", BACK) is None


@pytest.mark.parametrize("document", [404, {"issuer": "https://evil.x"}, b"<html>"])
def test_an_unreachable_provider_sends_nobody_away(document: Any) -> None:
    """The sign-in does not begin, and says why in the log."""
    with running_issuer() as issuer:
        issuer.answers["/.well-known/openid-configuration"] = document
        provider = OpenIdProvider(
            OidcIssuer("corp", issuer.url, "tollway", "secret"),
            fetcher=Fetcher(), clock=FixedClock(), entropy=os.urandom,
        )  # fmt: skip
        assert isinstance(provider.begin_login(BACK), Err)
        pending = PendingLogin(issuer.url, BACK, 1, "s", "n", "v")
        assert isinstance(provider.finish_login(pending, {}), Err)


def test_a_provider_that_only_has_keys_offers_no_sign_in() -> None:
    """Discovery without the two endpoints."""
    with running_issuer() as issuer:
        del issuer.metadata["authorization_endpoint"]
        with pytest.raises(AssertionError):
            Login(issuer)


@pytest.mark.parametrize(
    "change", [{"client_secret": ""}, {"issuer": ""}, {"client_id": ""}, {"issuer": "http://x.y"}]
)
def test_a_wrong_configuration_stays_off(change: dict[str, Any]) -> None:
    """Attack A18: an empty secret, or an empty issuer, is an error at the start."""
    good = OidcIssuer("corp", "https://id.example", "tollway", "secret")
    with pytest.raises(ValueError, match="Identity provider 'corp'") as caught:
        OpenIdProvider(
            replace(good, **change), fetcher=Fetcher(), clock=FixedClock(), entropy=os.urandom
        )
    assert "'secret'" not in str(caught.value)
