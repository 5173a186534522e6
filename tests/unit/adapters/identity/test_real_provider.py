"""Signing in, and JWTs on the gateway, at a certified OpenID provider of others."""

import os
from collections.abc import Iterator
from dataclasses import replace
from urllib.request import ProxyHandler, build_opener

import pytest

from tests.fakes.clock import FixedClock
from tests.fakes.openid import (
    AFTER_LOGOUT,
    AUDIENCE,
    CLIENT_ID,
    CLIENT_SECRET,
    PUBLIC_CLIENT_ID,
    REDIRECT_URI,
    Browser,
    OpenIdServer,
    running_provider,
)
from tollway.adapters.identity.fetching import Fetcher
from tollway.adapters.identity.gateway_tokens import IssuedTokens
from tollway.adapters.identity.openid import OpenIdProvider
from tollway.adapters.system.clock import SystemClock
from tollway.app.ports_identity import NeedsKeys
from tollway.domain.account import Role
from tollway.domain.gateway_jwt import Claims, JwtIssuer
from tollway.domain.oidc import GroupMapping, GroupRule, Identity, OidcIssuer, memberships_for
from tollway.domain.result import Err, Ok

pytestmark = pytest.mark.slow
SCOPES = ("openid", "email", "profile", "groups")


class MovedClock(SystemClock):
    """This machine's clock, with a monotonic one that a test can push on."""

    moved_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.moved_s


@pytest.fixture(scope="module")
def server() -> Iterator[OpenIdServer]:
    with running_provider() as running:
        yield running


def provider_at(config: OidcIssuer, clock: SystemClock | None = None) -> OpenIdProvider:
    return OpenIdProvider(
        config, fetcher=Fetcher(), clock=clock or SystemClock(), entropy=os.urandom
    )


def signed_in(provider: OpenIdProvider, login: str) -> Identity:
    begun = provider.begin_login(REDIRECT_URI)
    assert isinstance(begun, Ok), begun
    url, pending = begun.value
    ended = provider.finish_login(pending, Browser().sign_in(url, login))
    assert isinstance(ended, Ok), ended
    return ended.value


@pytest.fixture
def config(server: OpenIdServer) -> OidcIssuer:
    return OidcIssuer("corp", server.issuer, CLIENT_ID, CLIENT_SECRET, scopes=SCOPES)


def test_a_person_signs_in(config: OidcIssuer) -> None:
    """Through the provider's own forms; their groups become roles."""
    ada = signed_in(provider_at(config), "ada")
    assert replace(ada, id_token="") == Identity(
        config.issuer, "ada", "ada@acme.example", True, "Ada Lovelace", ("acme-admins", "staff")
    )
    mapping = GroupMapping((GroupRule("acme-admins", "acme", Role.TENANT_ADMIN),))
    assert memberships_for(ada.groups, mapping).roles == {"acme": Role.TENANT_ADMIN}
    bob = signed_in(provider_at(config), "bob")
    assert (bob.email_verified, bob.groups) == (False, ())


def test_a_public_client_signs_in(config: OidcIssuer) -> None:
    """Without a secret, with PKCE, with an ES256 ID token."""
    public = replace(config, client_id=PUBLIC_CLIENT_ID, client_secret="", public=True)
    assert signed_in(provider_at(public), "ada").subject == "ada"


def test_a_code_works_once_and_for_its_own_sign_in(config: OidcIssuer) -> None:
    """The provider itself refuses a second use and another's PKCE verifier."""
    provider = provider_at(config)
    first, second = (provider.begin_login(REDIRECT_URI) for _ in range(2))
    assert isinstance(first, Ok) and isinstance(second, Ok)
    params = Browser().sign_in(first.value[0], "ada")
    stolen = {**params, "state": second.value[1].state}
    assert provider.finish_login(second.value[1], stolen) == Err(
        "the provider refused the code: 400 invalid_grant"
    )
    params = Browser().sign_in(first.value[0], "ada")
    assert isinstance(provider.finish_login(first.value[1], params), Ok)
    assert isinstance(provider.finish_login(first.value[1], params), Err)


def test_a_wrong_secret_signs_nobody_in(config: OidcIssuer) -> None:
    """The provider refuses the client."""
    provider = provider_at(replace(config, client_secret="wrong"))
    begun = provider.begin_login(REDIRECT_URI)
    assert isinstance(begun, Ok)
    url, pending = begun.value
    ended = provider.finish_login(pending, Browser().sign_in(url, "ada"))
    assert ended == Err("the provider refused the code: 401 invalid_client")


def test_the_provider_rotates_its_keys(server: OpenIdServer, config: OidcIssuer) -> None:
    """The first sign-in after a rotation works: the unknown key id makes one fetch."""
    clock = MovedClock()
    provider = provider_at(config, clock)
    before = signed_in(provider, "ada")
    server.rotate()
    clock.moved_s += 10
    after = signed_in(provider, "ada")
    assert before.id_token.partition(".")[0] != after.id_token.partition(".")[0]


def test_signing_out_is_understood(config: OidcIssuer) -> None:
    """The provider takes the ID token as hint and shows its own page."""
    provider = provider_at(config)
    ada = signed_in(provider, "ada")
    url = provider.logout_url(ada.id_token, AFTER_LOGOUT)
    assert url is not None
    with build_opener(ProxyHandler({})).open(url, timeout=30) as answer:
        assert answer.status == 200 and b"<form" in answer.read()


def test_a_machines_jwt_opens_the_gateway(server: OpenIdServer) -> None:
    """An RFC 9068 access token by client credentials, before and after a rotation."""
    issuer = JwtIssuer(server.issuer, (AUDIENCE,), tenant_claim="tenant")
    clock = MovedClock()
    tokens = IssuedTokens([issuer], fetcher=Fetcher(), clock=clock)

    def judged(token: str) -> Claims | NeedsKeys | None:
        verdict = tokens.verify(token.encode(), clock.wall_ns() / 1e9)
        if isinstance(verdict, NeedsKeys):
            verdict.ready.result(30)
            verdict = tokens.verify(token.encode(), clock.wall_ns() / 1e9)
        return verdict

    old = server.machine_token()
    claims = judged(old)
    assert isinstance(claims, Claims)
    assert (claims.tenant, claims.subject) == ("acme", "robot")
    server.rotate()
    clock.moved_s += 10
    assert isinstance(judged(server.machine_token()), Claims)
    assert judged(old) is None


def test_an_id_token_does_not_open_the_gateway(server: OpenIdServer, config: OidcIssuer) -> None:
    """It is for the console, not for the gateway's audience."""
    issuer = JwtIssuer(server.issuer, (AUDIENCE,), tenant="acme")
    clock = FixedClock(SystemClock().wall_ns())
    tokens = IssuedTokens([issuer], fetcher=Fetcher(), clock=clock)
    id_token = signed_in(provider_at(config), "ada").id_token
    assert tokens.verify(id_token.encode(), clock.wall_ns() / 1e9) is None
