"""JWTs in the place of API keys: which issuers a gateway believes, and what their claims say of the
caller. An issuer's claim names the tenant, so an issuer is believed for every tenant it can name:
`tenants` narrows that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tollway.domain.issuer import algorithm_problems, url_problem
from tollway.domain.jwt_claims import Expected, text_of, time_of

# A judgement is kept no longer than keys are, so a key its issuer withdrew stops opening things.
KEPT_S = 300


@dataclass(frozen=True, slots=True)
class JwtIssuer:
    """One issuer of JWTs. Without `jwks_url` its keys are found by discovery. The caller's tenant
    is the fixed `tenant`, or the slug in the claim `tenant_claim`; exactly one of them is set."""

    issuer: str
    audiences: tuple[str, ...]
    jwks_url: str = ""
    tenant: str = ""
    tenant_claim: str = ""
    tenants: tuple[str, ...] | None = None  # the slugs it may name; None: any
    project_claim: str = ""
    account_claim: str = "sub"
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    leeway_s: int = 30

    @property
    def expected(self) -> Expected:
        return Expected(self.issuer, self.audiences, self.leeway_s)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a believed JWT says. Names are the issuer's: a slug, a project, an account's subject."""

    issuer: str
    tenant: str
    subject: str
    project: str | None
    until_s: float  # how long this judgement may be kept, UTC


def jwt_issuer_problems(config: JwtIssuer) -> Iterator[str]:
    """Why this issuer cannot be believed, a sentence each. An issuer with a problem stays off."""
    problem = url_problem(config.issuer, what="issuer")
    if problem is not None:
        yield problem
    if config.jwks_url:
        problem = url_problem(config.jwks_url.partition("?")[0], what="jwks_url")
        if problem is not None:
            yield problem
    if not config.audiences or not all(one.strip() for one in config.audiences):
        yield "audiences must name at least one, and none may be empty."
    if bool(config.tenant) == bool(config.tenant_claim):
        yield "Set either tenant or tenant_claim."
    if config.tenants is not None and not all(config.tenants):
        yield "tenants must not contain an empty slug."
    if not config.account_claim:
        yield "account_claim is empty."
    yield from algorithm_problems(config.algorithms, config.leeway_s)


def claims_of(raw: Mapping[str, Any], config: JwtIssuer, now_s: float) -> Claims | None:
    """What a token with a right signature says of its caller; None when it does not say enough."""
    tenant: str | None = config.tenant or text_of(raw, config.tenant_claim)
    subject = text_of(raw, config.account_claim)
    expires_s = time_of(raw, "exp")
    if tenant is None or subject is None or expires_s is None:
        return None
    if config.tenants is not None and tenant not in config.tenants:
        return None
    project = None
    if config.project_claim and config.project_claim in raw:
        project = text_of(raw, config.project_claim)
        if project is None:
            return None
    until_s = min(expires_s + config.leeway_s, now_s + KEPT_S)
    return Claims(config.issuer, tenant, subject, project, until_s)
