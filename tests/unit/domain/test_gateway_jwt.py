"""Issuers of JWTs for the gateway, and what their claims say."""

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.issuer import NOW_S
from tollway.domain.gateway_jwt import Claims, JwtIssuer, claims_of, jwt_issuer_problems

FIXED = JwtIssuer("https://id.example", ("gateway",), tenant="acme")
NAMED = replace(FIXED, tenant="", tenant_claim="https://x.example/tenant", project_claim="prj")
RAW = {"sub": "robot", "exp": NOW_S + 100, "https://x.example/tenant": "labs", "prj": "chat"}


def test_whole_configurations_have_no_problem() -> None:
    """With discovery or a key set's URL, also one with a query."""
    for config in (FIXED, NAMED, replace(FIXED, jwks_url="https://id.example/keys?p=1")):
        assert list(jwt_issuer_problems(config)) == []


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"issuer": ""}, "issuer is empty"),
        ({"issuer": "http://id.example"}, "https"),
        ({"jwks_url": "http://id.example/keys"}, "jwks_url"),
        ({"audiences": ()}, "audiences"),
        ({"audiences": ("gateway", " ")}, "audiences"),
        ({"tenant": ""}, "either"),
        ({"tenant_claim": "t"}, "either"),
        ({"tenants": ("",)}, "tenants"),
        ({"account_claim": ""}, "account_claim"),
        ({"algorithms": ("HS256",)}, "HS256"),
        ({"algorithms": ("none",)}, "none"),
        ({"leeway_s": -1}, "leeway"),
    ],
)
def test_a_gap_is_a_problem(change: dict[str, object], part: str) -> None:
    """No audience, no tenant, a shared secret: each has its sentence."""
    assert any(part in problem for problem in jwt_issuer_problems(replace(FIXED, **change)))


def test_the_tenant_is_fixed_or_claimed() -> None:
    """A fixed tenant wins over whatever the token says; a project is a claim of its own."""
    assert claims_of(RAW, FIXED, NOW_S) == Claims(
        "https://id.example", "acme", "robot", None, NOW_S + 130
    )
    named = claims_of(RAW, NAMED, NOW_S)
    assert named is not None and (named.tenant, named.project) == ("labs", "chat")


@pytest.mark.parametrize(
    "change",
    [
        {"https://x.example/tenant": None}, {"https://x.example/tenant": ""},
        {"https://x.example/tenant": ["labs"]}, {"https://x.example/tenant": "evil"},
        {"sub": None}, {"sub": 7}, {"sub": ""}, {"prj": ""}, {"prj": 1}, {"prj": None},
        {"exp": None},
    ],
)  # fmt: skip
def test_a_token_that_does_not_say_enough_says_nothing(change: dict[str, Any]) -> None:
    """A project that cannot be read is not the same as none: it would lift a narrowing."""
    config = replace(NAMED, tenants=("labs", "acme"))
    assert claims_of(RAW, config, NOW_S) is not None
    assert claims_of({**RAW, **change}, config, NOW_S) is None


def test_a_judgement_is_kept_for_minutes_at_most() -> None:
    """A key that its issuer withdrew does not open things until a long token ends."""
    judged = claims_of({**RAW, "exp": NOW_S + 86_400}, FIXED, NOW_S)
    assert judged is not None and judged.until_s == NOW_S + 300
