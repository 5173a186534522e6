"""Configuration of identity providers, and what groups mean."""

from dataclasses import replace

import pytest

from tollway.domain.account import Role
from tollway.domain.oidc import (
    GroupMapping,
    GroupRule,
    OidcIssuer,
    PendingLogin,
    claimed,
    issuer_problems,
    memberships_for,
    pack_pending,
    unpack_pending,
)

GOOD = OidcIssuer("corp", "https://id.example", "tollway", "secret")


def test_a_whole_configuration_has_no_problem() -> None:
    """A confidential and a public client, and a provider on this machine."""
    assert list(issuer_problems(GOOD)) == []
    assert list(issuer_problems(replace(GOOD, client_secret="", public=True))) == []
    assert list(issuer_problems(replace(GOOD, issuer="http://127.0.0.1:8080/realm"))) == []


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"client_secret": ""}, "client_secret is empty"),
        ({"client_secret": "  "}, "client_secret is empty"),
        ({"public": True}, "so is public"),
        ({"issuer": ""}, "issuer is empty"),
        ({"issuer": "http://id.example"}, "must be https"),
        ({"issuer": "http://127.0.0.1.evil.example"}, "must be https"),
        ({"issuer": "http://localhost.evil.example"}, "must be https"),
        ({"issuer": "http://localhost@evil.example"}, "without query"),
        ({"issuer": "https://id.example?x=1"}, "without query"),
        ({"issuer": "ftp://id.example"}, "without query"),
        ({"issuer": "https://id.example/\\evil"}, "without query"),
        ({"client_id": ""}, "client_id is empty"),
        ({"name": ""}, "needs a name"),
        ({"scopes": ("email",)}, "openid"),
        ({"groups_claim": ""}, "must not be empty"),
        ({"algorithms": ("RS256", "HS256")}, "HS256"),
        ({"algorithms": ("none",)}, "none"),
        ({"algorithms": ()}, "algorithms"),
        ({"leeway_s": 301}, "leeway"),
        ({"mapping": GroupMapping(admin_groups=frozenset({""}))}, "empty"),
        ({"mapping": GroupMapping((GroupRule("", "acme", Role.USER),))}, "empty"),
        ({"mapping": GroupMapping((GroupRule("staff", "", Role.USER),))}, "empty"),
    ],
)
def test_a_gap_in_the_configuration_is_a_problem(change: dict[str, object], part: str) -> None:
    """Attack A18 and its relatives: an empty secret is not a secret that matches."""
    assert any(part in problem for problem in issuer_problems(replace(GOOD, **change)))


def test_secrets_do_not_show() -> None:
    """A configuration or a sign-in in a log shows none of its secrets."""
    pending = PendingLogin("https://id.example", "https://x", 1, "STATE", "NONCE", "VERIFIER")
    for secret in ("'secret'", "STATE", "NONCE", "VERIFIER"):
        assert secret not in repr(GOOD) + repr(pending)


def test_the_strongest_role_of_each_tenant_wins() -> None:
    """Whatever the order of the rules; tenants do not mix."""
    rules = (
        GroupRule("staff", "acme", Role.USER),
        GroupRule("boss", "acme", Role.TENANT_ADMIN),
        GroupRule("guest", "acme", Role.VIEWER),
        GroupRule("staff", "labs", Role.VIEWER),
    )
    for ordered in (rules, rules[::-1]):
        mapping = GroupMapping(ordered, frozenset({"root"}))
        both = memberships_for(["staff", "boss", "guest", "other"], mapping)
        assert both.roles == {"acme": Role.TENANT_ADMIN, "labs": Role.VIEWER}
        assert not both.platform_admin
        assert memberships_for(["root"], mapping).platform_admin
        assert memberships_for(["root"], mapping).roles == {}


@pytest.mark.parametrize("groups", [[], [""], ["STAFF"], ["staff "], ["sta"], ["*"]])
def test_groups_are_compared_exactly(groups: list[str]) -> None:
    """No case folding, no prefixes, no wildcards; an empty name is nobody's group."""
    mapping = GroupMapping((GroupRule("staff", "acme", Role.USER),), frozenset({"", "root"}))
    standings = memberships_for(groups, mapping)
    assert standings.roles == {} and not standings.platform_admin


def test_a_pending_sign_in_survives_its_cookie() -> None:
    """It comes back as it went; anything else is none."""
    pending = PendingLogin("https://id.example", "https://x", 1, "s", "n", "v")
    assert unpack_pending(pack_pending(pending)) == pending
    for packed in (b"", b"{}", b"[]", b"{", b'{"issuer": 1}', b"\xff"):
        assert unpack_pending(packed) is None


def test_a_claim_is_found_by_name_or_by_path() -> None:
    """The exact name comes first, for names that contain dots."""
    claims = {"a.b": 1, "a": {"b": 2, "c": {"d": 3}}, "x": "text"}
    assert claimed(claims, "a.b") == 1
    assert claimed(claims, "a.c.d") == 3
    assert claimed(claims, "x.y") is None
    assert claimed(claims, "z") is None
