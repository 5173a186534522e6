"""Signing in at a real identity provider, through the admin API: accounts, groups, signing out."""

from dataclasses import replace
from urllib.parse import urlencode, urlsplit

import pytest

from tests.fakes.control_plane import ControlPlane
from tests.fakes.database import configuration as units
from tests.fakes.database import database
from tests.fakes.openid import (
    ADMIN_REDIRECT_URI,
    ADMIN_URL,
    CLIENT_ID,
    CLIENT_SECRET,
    Browser,
    running_provider,
)
from tollway.adapters.identity.fetching import Fetcher
from tollway.adapters.identity.openid import OpenIdProvider
from tollway.adapters.system.clock import SystemClock
from tollway.adapters.system.entropy import system_entropy
from tollway.domain.account import Role
from tollway.domain.oidc import GroupMapping, GroupRule, OidcIssuer
from tollway.web.admin.services import SignInAt

pytestmark = pytest.mark.slow
HOST = {"host": "tollway.example"}


@pytest.fixture(scope="module")
def server():
    with running_provider() as running:
        yield running


@pytest.fixture
def engine(tmp_path):
    engine = database(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def issuer(server):
    rules = (
        GroupRule("acme-admins", "acme", Role.TENANT_ADMIN),
        GroupRule("staff", "other", Role.VIEWER),
        GroupRule("staff", "nowhere", Role.USER),
    )
    return OidcIssuer(
        "corp",
        server.issuer,
        CLIENT_ID,
        CLIENT_SECRET,
        scopes=("openid", "email", "profile", "groups"),
        mapping=GroupMapping(rules),
    )


def plane_for(engine, issuer):
    provider = OpenIdProvider(
        issuer, fetcher=Fetcher(), clock=SystemClock(), entropy=system_entropy
    )
    return ControlPlane(
        engine,
        now_s=SystemClock().wall_ns() // 1_000_000_000,
        sign_in_at={"corp": SignInAt(issuer, provider)},
        admin_url=ADMIN_URL,
    )


@pytest.fixture
def plane(engine, issuer):
    plane = plane_for(engine, issuer)
    for slug in ("acme", "other"):
        plane.ask("POST", "/tenants", body={"slug": slug})
    yield plane
    plane.close()


def come_back(plane, login, *, change=None):
    """From our redirect through the provider's forms back to us."""
    begun = plane.ask("GET", "/auth/oidc/corp/login", token=None, headers=HOST)
    assert begun.status == 303, begun.body
    cookie = begun.headers["set-cookie"].partition(";")[0]
    params = Browser().sign_in(begun.headers["location"], login, back_at=ADMIN_REDIRECT_URI)
    return plane.ask(
        "GET",
        "/auth/oidc/corp/callback",
        token=None,
        query={**params, **(change or {})},
        headers={**HOST, "cookie": cookie},
    )


def session(answer):
    assert answer.status == 303, answer.body
    assert answer.headers["location"] == f"{ADMIN_URL}/"
    return {**HOST, "cookie": answer.headers["set-cookie"].partition(";")[0]}


def me(plane, headers):
    return plane.ask("GET", "/me", token=None, headers=headers).json


def roles(plane, headers):
    slugs = {one["id"]: one["slug"] for one in plane.ask("GET", "/tenants").json["data"]}
    return {slugs[one["tenant_id"]]: one["role"] for one in me(plane, headers)["memberships"]}


def test_an_account_is_made_at_the_first_sign_in(plane):
    """With the roles of its groups; a tenant that does not exist is passed over."""
    headers = session(come_back(plane, "ada"))
    assert me(plane, headers)["name"] == "ada@acme.example"
    assert roles(plane, headers) == {"acme": "tenant_admin", "other": "viewer"}
    (account,) = plane.ask("GET", "/accounts").json["data"]
    assert (account["name"], account["has_password"]) == ("Ada Lovelace", False)
    again = session(come_back(plane, "ada"))
    assert me(plane, again)["account_id"] == account["id"]


def test_groups_are_followed_at_each_sign_in(engine, plane, issuer):
    """What a group gave it takes away; what somebody gave by hand stays."""
    headers = session(come_back(plane, "ada"))
    ids = {one["slug"]: one["id"] for one in plane.ask("GET", "/tenants").json["data"]}
    account = me(plane, headers)["account_id"]
    change = {"role": "user"}
    by_hand = plane.ask("PATCH", f"/tenants/{ids['other']}/members/{account}", body=change)
    assert by_hand.json["source"] == "manual"
    fewer = replace(issuer, mapping=GroupMapping((GroupRule("staff", "other", Role.VIEWER),)))
    later = plane_for(engine, fewer)
    assert roles(later, session(come_back(later, "ada"))) == {"other": "user"}
    later.close()


def test_a_group_administers_the_platform(engine, plane, issuer):
    """While it is mapped."""
    mapping = GroupMapping(admin_groups=frozenset({"staff"}))
    admins = plane_for(engine, replace(issuer, mapping=mapping))
    assert me(admins, session(come_back(admins, "ada")))["platform_admin"]
    admins.close()
    other = GroupMapping(admin_groups=frozenset({"nobody"}))
    fewer = plane_for(engine, replace(issuer, mapping=other))
    assert not me(fewer, session(come_back(fewer, "ada")))["platform_admin"]
    fewer.close()


@pytest.mark.parametrize(("login", "trusted"), [("ada", True), ("ada", False), ("bob", True)])
def test_an_account_that_is_there_is_not_taken_over(engine, plane, issuer, login, trusted):
    """An address opens an account only when the provider verified it and is trusted to."""
    taken = {"ada": "ada@acme.example", "bob": "bob@acme.example"}[login]
    account = plane.ask("POST", "/accounts", body={"email": taken}).json["id"]
    trusting = plane_for(engine, replace(issuer, trust_email=trusted))
    answer = come_back(trusting, login)
    if trusted and login == "ada":
        assert me(trusting, session(answer))["account_id"] == account
    else:
        assert (answer.status, "trust_email" in answer.json["detail"]) == (403, True)
    trusting.close()


def test_a_disabled_account_stays_out(plane):
    """Whatever the provider says."""
    headers = session(come_back(plane, "ada"))
    account = me(plane, headers)["account_id"]
    plane.ask("POST", f"/accounts/{account}/disable")
    assert me(plane, headers)["status"] == 401
    assert come_back(plane, "ada").status == 403


@pytest.mark.parametrize(
    "change", [{"state": "x" * 43}, {"code": "made-up"}, {"state": ""}, {"iss": "https://evil"}]
)
def test_an_answer_that_was_not_asked_for_is_refused(plane, change):
    """Another state, a made-up code, another issuer: no session."""
    answer = come_back(plane, "ada", change=change)
    assert answer.status == 403
    assert "set-cookie" not in answer.headers
    assert plane.ask("GET", "/accounts").json["data"] == []


def test_another_browser_cannot_end_a_sign_in(plane):
    """Without the cookie of the browser that began it, nothing: nobody is signed in as somebody
    else by a link."""
    begun = plane.ask("GET", "/auth/oidc/corp/login", token=None, headers=HOST)
    params = Browser().sign_in(begun.headers["location"], "ada", back_at=ADMIN_REDIRECT_URI)
    for cookie in ({}, {"cookie": "__Host-tollway_login=AAAA"}):
        answer = plane.ask(
            "GET", f"/auth/oidc/corp/callback?{urlencode(params)}", token=None,
            query=params, headers={**HOST, **cookie},
        )  # fmt: skip
        assert answer.status in (400, 404)


def test_signing_out_leads_to_the_provider(plane, server):
    """Where the session can be ended too."""
    headers = session(come_back(plane, "ada"))
    headers["x-csrf-token"] = me(plane, headers)["csrf_token"]
    answer = plane.ask("POST", "/auth/logout", token=None, headers=headers)
    url = urlsplit(answer.json["provider_logout_url"])
    assert f"{url.scheme}://{url.netloc}" == server.issuer
    assert "id_token_hint=" in url.query
    assert me(plane, headers)["status"] == 401


def test_the_subject_is_the_person(engine, plane):
    """An account whose address changed is still found by who it is."""
    headers = session(come_back(plane, "ada"))
    account = me(plane, headers)["account_id"]
    moved = plane.ask("PATCH", f"/accounts/{account}", body={"email": "countess@acme.example"})
    assert moved.status == 200
    assert me(plane, session(come_back(plane, "ada")))["account_id"] == account
    with units(engine).read() as uow:
        assert uow.accounts.find("ada@acme.example") is None
