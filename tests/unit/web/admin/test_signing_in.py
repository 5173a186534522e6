"""Signing in with a password: rows 12 to 16 of the attack list, on the real application."""

import time

import pytest

from tests.fakes.control_plane import Answer, ControlPlane
from tests.fakes.database import NOW_S, database
from tollway.adapters.identity.passwords import Argon2Hasher
from tollway.app.ports_records import AuditFilter

PASSWORD = "correct horse battery staple"
ANN = "ann@example.org"


@pytest.fixture
def engine(tmp_path):
    engine = database(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def plane(engine):
    plane = ControlPlane(engine)
    yield plane
    plane.close()


@pytest.fixture
def tenant(plane):
    return plane.ask("POST", "/tenants", body={"slug": "acme"}).json["id"]


def member(plane, tenant, email=ANN, role="tenant_admin", password=PASSWORD):
    """An account that can sign in; its id."""
    body = {"email": email, "role": role}
    added = plane.ask("POST", f"/tenants/{tenant}/members", body=body)
    assert added.status == 201, added.body
    account = added.json["account_id"]
    given = plane.ask("POST", f"/accounts/{account}/password", body={"password": password})
    assert given.status == 204, given.body
    return account


@pytest.fixture
def ann(plane, tenant):
    return member(plane, tenant)


class Browser:
    """A signed-in browser: its cookie, and its proof."""

    def __init__(self, plane, answer: Answer):
        assert answer.status == 200, answer.body
        self.plane = plane
        self.set_cookie = answer.headers["set-cookie"]
        self.cookie = self.set_cookie.partition(";")[0]
        self.csrf = answer.json["csrf_token"]

    def ask(self, method, path, *, csrf=True, headers=None, **asked):
        sent = {"cookie": self.cookie, **({"x-csrf-token": self.csrf} if csrf else {})}
        sent |= headers or {}
        return self.plane.ask(method, path, token=None, headers=sent, **asked)


def guess(plane, email=ANN, password=PASSWORD, **asked):
    body = {"email": email, "password": password}
    return plane.ask("POST", "/auth/login", token=None, body=body, **asked)


def sign_in(plane, email=ANN, password=PASSWORD, **asked):
    return Browser(plane, guess(plane, email, password, **asked))


def test_the_cookie_is_held_to_this_host(plane, ann):
    """The browser sends it over TLS, to us alone, to no script and with no other site's request."""
    cookie = sign_in(plane).set_cookie
    assert cookie.startswith("__Host-tollway_session=")
    for part in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
        assert part in cookie
    assert "Domain" not in cookie


def test_a_session_acts_with_the_roles_of_its_account(plane, tenant, ann):
    """Read afresh each time: a change of role acts at once."""
    browser = sign_in(plane)
    assert browser.ask("POST", f"/tenants/{tenant}/projects", body={"name": "a"}).status == 201
    assert browser.ask("GET", "/accounts").status == 403
    plane.ask("PATCH", f"/tenants/{tenant}/members/{ann}", body={"role": "viewer"})
    assert browser.ask("POST", f"/tenants/{tenant}/projects", body={"name": "b"}).status == 403
    plane.ask("DELETE", f"/tenants/{tenant}/members/{ann}")
    assert browser.ask("GET", f"/tenants/{tenant}").status == 404


@pytest.mark.parametrize(
    ("headers", "csrf"),
    [
        ({}, False),
        ({"x-csrf-token": "x" * 43}, False),
        ({"x-csrf-token": ""}, False),
        ({"origin": "null"}, True),
        ({"origin": "https://evil.example"}, True),
        ({"origin": "http://admin.test"}, True),
        ({"origin": "https://admin.test.evil.example"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "same-site"}, True),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_another_sites_page_changes_nothing(plane, tenant, ann, method, headers, csrf):
    """Without the proof, or from another origin, a cookie alone is nothing (row 16)."""
    browser = sign_in(plane)
    path = f"/tenants/{tenant}/projects" if method == "POST" else f"/tenants/{tenant}"
    body = {"name": "forged"} if method != "DELETE" else None
    answer = browser.ask(method, path, csrf=csrf, headers=headers, body=body)
    assert (answer.status, answer.json["type"]) == (403, "urn:tollway:problem:csrf")
    assert plane.ask("GET", f"/tenants/{tenant}/projects").json["data"] == []


def test_a_proof_belongs_to_one_session(plane, tenant, ann):
    """One's own proof from another session does not help."""
    one, other = sign_in(plane), sign_in(plane)
    headers = {"x-csrf-token": other.csrf}
    path = f"/tenants/{tenant}/projects"
    assert one.ask("POST", path, headers=headers, body={"name": "x"}).status == 403


def test_another_sites_page_signs_nobody_in(plane, ann):
    """Or it could make a browser act as the attacker's account."""
    assert guess(plane, headers={"origin": "https://evil.example"}).status == 403
    assert guess(plane, headers={"origin": "null"}).status == 403


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_session_after_signing_out(plane, ann, everywhere):
    """The cookie opens nothing; other browsers stay unless all were meant (row 15)."""
    here, there = sign_in(plane), sign_in(plane)
    answer = here.ask("POST", "/auth/logout", body={"everywhere": everywhere})
    assert (answer.status, answer.json["sessions"]) == (200, 2 if everywhere else 1)
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert here.ask("GET", "/me").status == 401
    assert there.ask("GET", "/me").status == (401 if everywhere else 200)


def test_a_change_of_password_ends_the_others(plane, ann):
    """Whoever knew the old one is out; who changed it stays (row 15)."""
    here, there = sign_in(plane), sign_in(plane)
    new = {"current": PASSWORD, "password": "another horse battery"}
    assert here.ask("POST", "/me/password", body={**new, "current": "wrong"}).status == 403
    assert there.ask("GET", "/me").status == 200
    assert here.ask("POST", "/me/password", body=new).status == 204
    assert (here.ask("GET", "/me").status, there.ask("GET", "/me").status) == (200, 401)
    assert guess(plane).status == 401
    assert guess(plane, password=new["password"]).status == 200


def test_an_administrators_password_ends_all(plane, ann):
    """Nobody stays signed in who was so before."""
    browser = sign_in(plane)
    plane.ask("POST", f"/accounts/{ann}/password", body={"password": "given by an admin"})
    assert browser.ask("GET", "/me").status == 401


def test_signing_in_again_ends_the_old_session(plane, ann):
    """No cookie lives through a sign-in."""
    old = sign_in(plane)
    new = sign_in(plane, headers={"cookie": old.cookie})
    assert (old.ask("GET", "/me").status, new.ask("GET", "/me").status) == (401, 200)


def test_a_session_is_over_in_time(engine, plane, ann):
    """Left alone for too long, or too old however busy."""
    browser = sign_in(plane)
    later = ControlPlane(engine, now_s=NOW_S + 8 * 3600 - 1)
    assert Browser.ask(browser, "GET", "/me").status == 200
    browser.plane = later
    assert browser.ask("GET", "/me").status == 200  # and so it was used
    for hours, status in ((16 - 1, 200), (16 + 9, 401)):
        browser.plane = ControlPlane(engine, now_s=NOW_S + hours * 3600)
        assert browser.ask("GET", "/me").status == status, hours
        browser.plane.close()
    later.close()


def test_a_disabled_account_loses_everything(plane, tenant, ann):
    """Sessions, tokens and keys, at once and for good."""
    browser = sign_in(plane)
    token = browser.ask("POST", "/me/tokens", body={"name": "t"}).json["token"]
    body = {"name": "k", "account_id": ann}
    key = browser.ask("POST", f"/tenants/{tenant}/keys", body=body).json
    assert plane.ask("GET", "/me", token=token).status == 200
    assert plane.ask("POST", f"/accounts/{ann}/disable").status == 200
    assert browser.ask("GET", "/me").status == 401
    assert plane.ask("GET", "/me", token=token).status == 401
    assert guess(plane).status == 401
    assert plane.ask("GET", f"/tenants/{tenant}/keys/{key['id']}").json["revoked_at"] is not None
    assert plane.ask("POST", f"/accounts/{ann}/enable").status == 200
    assert plane.ask("GET", "/me", token=token).status == 401
    assert plane.ask("GET", f"/tenants/{tenant}/keys/{key['id']}").json["revoked_at"] is not None


def test_guesses_are_bounded(plane, ann):
    """Ten, from however many addresses; who is signed in stays so (row 13)."""
    browser = sign_in(plane)
    answers = [guess(plane, password=f"wrong {number}").status for number in range(15)]
    assert answers == [401] * 10 + [429] * 5
    throttled = guess(plane)
    assert throttled.status == 429
    assert int(throttled.headers["retry-after"]) > 0
    assert browser.ask("GET", "/me").status == 200
    with plane.configuration.read() as uow:
        facts = uow.audit.page(AuditFilter(object_id=ann), limit=50, before=None)
    assert "account.sign_in_throttled" in {fact.action for fact in facts}


def test_the_wait_ends(engine, plane, ann):
    """The owner gets in again, and starts afresh."""
    for _ in range(10):
        guess(plane, password="wrong")
    assert guess(plane).status == 429
    later = ControlPlane(engine, now_s=NOW_S + 31)
    assert guess(later).status == 200
    assert [guess(later, password="wrong").status for _ in range(10)] == [401] * 10
    later.close()


def test_nobody_is_told_who_has_an_account(plane, ann):
    """Unknown, without a password, wrong: the same answer, and the same throttle (row 14)."""
    answers = [guess(plane, email=email, password="wrong") for email in (ANN, "x@example.org")]
    assert len({(one.status, one.body) for one in answers}) == 1
    statuses = [guess(plane, email="x@example.org").status for _ in range(12)]
    assert statuses == [401] * 9 + [429] * 3


@pytest.mark.slow
def test_nobody_is_told_by_the_clock(engine, tenant, plane):
    """With the real hash, a known and an unknown address take as long (row 14)."""
    real = ControlPlane(engine, hasher=Argon2Hasher())
    member(real, tenant)
    spent = {ANN: [], "nobody@example.org": []}
    for _ in range(9):
        for email, times in spent.items():
            began = time.perf_counter()
            assert guess(real, email=email, password="wrong").status == 401
            times.append(time.perf_counter() - began)
    known, unknown = (sorted(times)[4] for times in spent.values())
    assert 0.5 < known / unknown < 2
    real.close()


@pytest.mark.slow
def test_the_hash_is_not_the_password(engine, tenant, plane):
    """What the database holds opens nothing (row 12)."""
    real = ControlPlane(engine, hasher=Argon2Hasher())
    ann = member(real, tenant)
    with real.configuration.read() as uow:
        stored = uow.accounts.password(ann)
    assert stored.startswith("$argon2id$")
    assert guess(real, password=stored).status == 401
    assert guess(real).status == 200
    real.close()


@pytest.mark.parametrize(
    "token",
    ["", "x", "twp_", "Bearer", "' OR 1=1 --", "\x00", "a" * 65536, "tw_live_0123456789ab_x_y"],
)
def test_what_is_no_token_opens_nothing(plane, token):
    """And is no text of a query either (row 4)."""
    assert plane.ask("GET", "/tenants", token=token).status == 401


def test_an_empty_bootstrap_token_is_none(engine):
    """A setting left empty must not open the platform to an empty credential (row 18)."""
    plane = ControlPlane(engine, admin_token="")
    for token in ("", " "):
        assert plane.ask("GET", "/tenants", token=token).status == 401
    plane.close()


def test_an_api_key_does_not_open_the_admin_api(plane, tenant, ann):
    """And a token is no key: neither door takes the other's."""
    key = plane.ask("POST", f"/tenants/{tenant}/keys", body={"name": "k"}).json["key"]
    assert plane.ask("GET", "/tenants", token=key).status == 401


def test_a_read_only_token_changes_nothing(plane, tenant, ann):
    """Whatever its owner may."""
    browser = sign_in(plane)
    body = {"name": "t", "read_only": True}
    token = browser.ask("POST", "/me/tokens", body=body).json["token"]
    assert plane.ask("GET", f"/tenants/{tenant}/members", token=token).status == 200
    for method, path, sent in (
        ("POST", f"/tenants/{tenant}/projects", {"name": "p"}),
        ("PATCH", f"/tenants/{tenant}", {"name": "n"}),
        ("POST", "/me/tokens", {"name": "wider"}),
        ("PATCH", "/me", {"name": "n"}),
    ):
        assert plane.ask(method, path, token=token, body=sent).status == 403, path


def test_a_token_ends(engine, plane, tenant, ann):
    """At its time, or when it is revoked."""
    browser = sign_in(plane)
    body = {"name": "t", "expires_at": "2023-11-14T23:13:20Z"}
    made = browser.ask("POST", "/me/tokens", body=body).json
    assert plane.ask("GET", "/me", token=made["token"]).status == 200
    later = ControlPlane(engine, now_s=NOW_S + 3600)
    assert later.ask("GET", "/me", token=made["token"]).status == 401
    assert browser.ask("DELETE", f"/me/tokens/{made['id']}").status == 204
    assert plane.ask("GET", "/me", token=made["token"]).status == 401
    later.close()


def test_a_service_token_is_bounded_by_its_maker(plane, tenant, ann):
    """An administrator of the tenant makes one; a user none, and nobody a wider one."""
    member(plane, tenant, "bob@example.org", "user")
    bob = sign_in(plane, "bob@example.org")
    path = f"/tenants/{tenant}/tokens"
    assert bob.ask("POST", path, body={"name": "t", "role": "viewer"}).status == 403
    made = sign_in(plane).ask("POST", path, body={"name": "t", "role": "user"})
    assert made.status == 201
    me = plane.ask("GET", "/me", token=made.json["token"]).json
    assert me["memberships"] == [{"tenant_id": tenant, "role": "user", "models": None}]
    assert plane.ask("POST", path, token=made.json["token"], body={"name": "x"}).status == 403


def test_a_tenant_administrator_does_not_reach_up(plane, tenant, ann):
    """Not to a platform administrator in the same tenant, nor to passwords (row 24)."""
    boss = member(plane, tenant, "boss@example.org")
    plane.ask("PATCH", f"/accounts/{boss}", body={"platform_admin": True})
    browser = sign_in(plane)
    path = f"/tenants/{tenant}/members/{boss}"
    assert browser.ask("PATCH", path, body={"role": "viewer"}).status == 403
    assert browser.ask("DELETE", path).status == 403
    weak = {"password": "something long enough"}
    assert browser.ask("POST", f"/accounts/{boss}/password", body=weak).status == 403
    assert browser.ask("POST", f"/accounts/{boss}/disable").status == 403
    assert sign_in(plane, "boss@example.org").ask("GET", "/tenants").status == 200


@pytest.mark.parametrize("field", ["role", "tenant_id", "platform_admin", "quota", "is_admin"])
def test_nobody_makes_more_of_themselves(plane, ann, field):
    """A field that is not one's to set is a mistake, and changes nothing (row 23)."""
    browser = sign_in(plane)
    before = browser.ask("GET", "/me").json
    answer = browser.ask("PATCH", "/me", body={"name": "Ann", field: "x"})
    assert (answer.status, field in answer.json["detail"]) == (400, True)
    assert browser.ask("GET", "/me").json == before


def test_somebody_administers_the_platform(plane, tenant, ann):
    """The last one is neither disabled nor made less."""
    assert plane.ask("PATCH", f"/accounts/{ann}", body={"platform_admin": True}).status == 200
    assert plane.ask("POST", f"/accounts/{ann}/disable").status == 409
    assert plane.ask("PATCH", f"/accounts/{ann}", body={"platform_admin": False}).status == 409
    boss = member(plane, tenant, "boss@example.org")
    plane.ask("PATCH", f"/accounts/{boss}", body={"platform_admin": True})
    assert plane.ask("PATCH", f"/accounts/{ann}", body={"platform_admin": False}).status == 200
