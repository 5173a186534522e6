"""`/providers`, and the one call that tries a provider. Credentials have a module of their own."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, StrictBool, StrictInt

from tollway.app.admin.commands import providers as commands
from tollway.app.admin.commands.credentials import Secret
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.queries import routing as queries
from tollway.app.admin.queries.probing import subject
from tollway.app.admin.work import Work
from tollway.app.views import ProviderView
from tollway.domain.ids import CredentialId, ProviderId, TenantId
from tollway.domain.policy import Action
from tollway.domain.provider import ProviderKind, StreamUsage
from tollway.domain.result import Err, Result
from tollway.web.admin.callers import Caller, route, tagged
from tollway.web.admin.credentials import (
    ApiKey,
    CredentialOut,
    ProviderPath,
    Reference,
    credential_out,
)
from tollway.web.admin.forms import Form
from tollway.web.admin.paging import Listed, Paging, listed
from tollway.web.admin.problems import ProblemError
from tollway.web.admin.times import moment_of

router = APIRouter(tags=["providers"])
Name = Annotated[str, Field(max_length=200, examples=["openai"])]
BaseUrl = Annotated[str, Field(max_length=2048, examples=["https://api.openai.com/v1"])]
Residency = Annotated[str | None, Field(max_length=200, examples=["eu"])]
Seconds = Annotated[float | None, Field(gt=0, le=86_400, examples=[None])]
Most = Annotated[StrictInt | None, Field(ge=1, le=2_000_000_000, examples=[None])]


class ProviderConfig(Form):
    """How a provider is spoken to. Timeouts in seconds; null takes the server's. What each of its
    accounts takes, requests at once and requests and tokens a minute: tenants share it by weight;
    null is learned from the provider's 429."""

    stream_usage: StreamUsage = StreamUsage.FORCE
    connect_timeout_s: Seconds = None
    headers_timeout_s: Seconds = None
    first_token_timeout_s: Seconds = None
    idle_timeout_s: Seconds = None
    total_timeout_s: Seconds = None
    requests_at_once: Most = None
    requests_per_minute: Most = None
    tokens_per_minute: Most = None
    translate_responses: Annotated[
        StrictBool, Field(description="It has no Responses of its own: they go as chat.")
    ] = False


class ProviderIn(Form):
    """A new provider. Without `tenant_id` it is the platform's, or of the one tenant you
    administer. `base_url` may be left out where the kind has a usual one."""

    name: Name
    kind: ProviderKind
    base_url: BaseUrl | None = None
    config: ProviderConfig = Field(default_factory=ProviderConfig)
    enabled: StrictBool = True
    residency: Residency = None
    tenant_id: str | None = Field(default=None, max_length=64, examples=[None])
    api_key: ApiKey = None
    reference: Reference = None


class ProviderChange(Form):
    """What shall be different; a field that is not sent stays, in `config` too. A secret that is
    sent takes the place of all credentials; another origin (scheme, host, port) demands one."""

    name: Name | None = None
    base_url: BaseUrl | None = None
    config: ProviderConfig | None = None
    enabled: StrictBool | None = None
    residency: Residency = None
    api_key: ApiKey = None
    reference: Reference = None


class ProviderOut(BaseModel):
    """A provider. Secrets are never shown."""

    id: str = Field(examples=["prv_0123456789abcdef"])
    tenant_id: str | None
    name: str
    kind: ProviderKind
    base_url: str
    config: ProviderConfig
    enabled: bool
    residency: str | None
    credentials: list[CredentialOut]
    managed_by: str | None
    created_at: datetime


class TrialIn(Form):
    """Which credential to try; without one, the provider's first."""

    credential_id: str | None = Field(default=None, max_length=64, examples=[None])


class TrialOut(BaseModel):
    """What came of it. `status` is the provider's, null when there was no answer."""

    ok: bool
    status: int | None = Field(examples=[200])
    reason: str = Field(examples=["The provider answered."])
    credential_id: str | None


@router.get("/providers", **route(Action.PROVIDER_READ, "listProviders"))
def list_providers(
    caller: Caller,
    paging: Paging,
    tenant_id: Annotated[str | None, Query(max_length=64, description="This tenant's own.")] = None,
) -> Listed[ProviderOut]:
    """The providers of your tenants; all of them for the platform's administrators."""
    owner = None if tenant_id is None else TenantId(tenant_id)
    found = caller.read(lambda work: queries.list_providers(work, paging, tenant_id=owner))
    return listed(found, paging, out=_out, key=lambda view: view.id)


@router.post(
    "/providers",
    status_code=201,
    response_model=ProviderOut,
    **route(Action.PROVIDER_WRITE, "createProvider"),
)
def create_provider(caller: Caller, body: ProviderIn) -> Response:
    """A new provider, with its first credential if one is sent."""
    spec = commands.ProviderSpec(
        name=body.name,
        kind=body.kind.value,
        base_url=body.base_url,
        tenant_id=None if body.tenant_id is None else TenantId(body.tenant_id),
        enabled=body.enabled,
        residency=body.residency,
        **body.config.model_dump(),
    )
    return caller.create(
        lambda work: commands.create_provider(work, spec, Secret(body.api_key, body.reference)),
        out=_out,
        location=lambda made: f"/api/v1/providers/{made.id}",
    )


@router.get("/providers/{provider_id}", **route(Action.PROVIDER_READ, "readProvider"))
def read_provider(caller: Caller, provider_id: ProviderPath, response: Response) -> ProviderOut:
    """One provider."""
    found = caller.read(lambda work: queries.read_provider(work, ProviderId(provider_id)))
    tagged(response, found.version)
    return _out(found)


@router.patch("/providers/{provider_id}", **route(Action.PROVIDER_WRITE, "updateProvider"))
def update_provider(
    caller: Caller, provider_id: ProviderPath, body: ProviderChange, *, response: Response
) -> ProviderOut:
    """Another name, address or configuration."""

    def act(work: Work) -> Result[ProviderView, Rejected]:
        found = queries.read_provider(work, ProviderId(provider_id))
        if isinstance(found, Err):
            return found
        secret = Secret(body.api_key, body.reference)
        return commands.update_provider(work, _changed(found.value, body), secret)

    changed = caller.write(act)
    tagged(response, changed.version)
    return _out(changed)


@router.delete(
    "/providers/{provider_id}",
    status_code=204,
    **route(Action.PROVIDER_WRITE, "deleteProvider"),
)
def delete_provider(caller: Caller, provider_id: ProviderPath) -> None:
    """The provider and its secrets are gone; one that models lead to cannot be deleted."""
    caller.write(lambda work: commands.delete_provider(work, ProviderId(provider_id)))


@router.post("/providers/{provider_id}/test", **route(Action.PROVIDER_WRITE, "testProvider"))
def test_provider(
    caller: Caller, provider_id: ProviderPath, body: TrialIn | None = None
) -> TrialOut:
    """Ask the provider for its models, by the rules that hold for every call. The request succeeds
    whatever the provider does: look at `ok`."""
    wanted = None if body is None or body.credential_id is None else body.credential_id
    provider, credential = caller.read(
        lambda work: subject(
            work, ProviderId(provider_id), None if wanted is None else CredentialId(wanted)
        )
    )
    report = caller.services.probe.probe(provider, credential)
    if report is None:
        raise ProblemError(
            429,
            "too_many_requests",
            "Too many providers are being tried just now. Try again in some seconds.",
            headers={"retry-after": "5"},
        )
    return TrialOut(
        ok=report.ok,
        status=report.status,
        reason=report.reason,
        credential_id=None if credential is None else credential.id,
    )


def _changed(provider: ProviderView, body: ProviderChange) -> ProviderView:
    if body.config is not None:
        sent = body.config.model_dump(include=body.config.model_fields_set)
        provider = replace(provider, **sent)
    if "residency" in body.model_fields_set:
        provider = replace(provider, residency=body.residency)
    return replace(
        provider,
        name=body.name or provider.name,
        base_url=provider.base_url if body.base_url is None else body.base_url,
        enabled=provider.enabled if body.enabled is None else body.enabled,
    )


def _out(view: ProviderView) -> ProviderOut:
    return ProviderOut(
        id=view.id,
        tenant_id=view.tenant_id,
        name=view.name,
        kind=view.kind,
        base_url=view.base_url,
        config=ProviderConfig(
            stream_usage=view.stream_usage,
            connect_timeout_s=view.connect_timeout_s,
            headers_timeout_s=view.headers_timeout_s,
            first_token_timeout_s=view.first_token_timeout_s,
            idle_timeout_s=view.idle_timeout_s,
            total_timeout_s=view.total_timeout_s,
            requests_at_once=view.requests_at_once,
            requests_per_minute=view.requests_per_minute,
            tokens_per_minute=view.tokens_per_minute,
            translate_responses=view.translate_responses,
        ),
        enabled=view.enabled,
        residency=view.residency,
        credentials=[credential_out(credential) for credential in view.credentials],
        managed_by=view.managed_by,
        created_at=moment_of(view.created_s),
    )
