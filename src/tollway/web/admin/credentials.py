"""`/providers/{id}/credentials`. A secret is in no answer, ever."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field, StrictInt

from tollway.app.admin.commands import credentials as commands
from tollway.app.admin.queries import routing as queries
from tollway.app.views import CredentialView
from tollway.domain.ids import CredentialId, ProviderId
from tollway.domain.policy import Action
from tollway.web.admin.callers import Caller, route, tagged
from tollway.web.admin.forms import Form
from tollway.web.admin.paging import Listed
from tollway.web.admin.times import moment_of

router = APIRouter(tags=["providers"])
ProviderPath = Annotated[
    str,
    PathParameter(max_length=64, description="A provider's id.", examples=["prv_0123456789abcdef"]),
]
CredentialPath = Annotated[
    str,
    PathParameter(
        max_length=64, description="A credential's id.", examples=["crd_0123456789abcdef"]
    ),
]
ApiKey = Annotated[
    str | None,
    Field(
        max_length=commands.MAX_SECRET_CHARS,
        examples=["sk-..."],
        description="The secret itself. It is kept sealed and never shown.",
        json_schema_extra={"writeOnly": True},
    ),
]
Reference = Annotated[
    str | None,
    Field(
        max_length=4096,
        examples=[None],
        description="Where the gateway finds the secret: env:NAME or file:/PATH. For the "
        "platform's providers only.",
    ),
]
Weight = Annotated[StrictInt, Field(ge=1, le=2**31 - 1)]


class CredentialIn(Form):
    """One more secret: `api_key`, or (the platform's providers) `reference`."""

    api_key: ApiKey = None
    reference: Reference = None
    weight: Weight = 1


class CredentialChange(Form):
    """What shall be different; a field that is not sent stays."""

    api_key: ApiKey = None
    reference: Reference = None
    weight: Weight | None = None


class CredentialOut(BaseModel):
    """A credential, without its secret."""

    id: str = Field(examples=["crd_0123456789abcdef"])
    sealed: bool
    reference: str | None
    weight: int
    created_at: datetime


@router.get(
    "/providers/{provider_id}/credentials", **route(Action.PROVIDER_READ, "listCredentials")
)
def list_credentials(caller: Caller, provider_id: ProviderPath) -> Listed[CredentialOut]:
    """A provider's credentials, all at once."""
    found = caller.read(lambda work: queries.read_provider(work, ProviderId(provider_id)))
    return Listed(data=[credential_out(credential) for credential in found.credentials])


@router.post(
    "/providers/{provider_id}/credentials",
    status_code=201,
    response_model=CredentialOut,
    **route(Action.PROVIDER_WRITE, "createCredential"),
)
def create_credential(caller: Caller, provider_id: ProviderPath, body: CredentialIn) -> Response:
    """One more secret of a provider. Calls are spread by weight."""
    secret = commands.Secret(body.api_key, body.reference)
    return caller.create(
        lambda work: commands.add_credential(
            work, ProviderId(provider_id), secret, weight=body.weight
        ),
        out=credential_out,
        location=lambda made: f"/api/v1/providers/{provider_id}/credentials/{made.id}",
    )


@router.get(
    "/providers/{provider_id}/credentials/{credential_id}",
    **route(Action.PROVIDER_READ, "readCredential"),
)
def read_credential(
    caller: Caller, provider_id: ProviderPath, credential_id: CredentialPath, *, response: Response
) -> CredentialOut:
    """One credential."""
    found = caller.read(
        lambda work: queries.read_credential(
            work, ProviderId(provider_id), CredentialId(credential_id)
        )
    )
    tagged(response, found.version)
    return credential_out(found)


@router.patch(
    "/providers/{provider_id}/credentials/{credential_id}",
    **route(Action.PROVIDER_WRITE, "updateCredential"),
)
def update_credential(
    caller: Caller,
    provider_id: ProviderPath,
    credential_id: CredentialPath,
    *,
    body: CredentialChange,
    response: Response,
) -> CredentialOut:
    """Another weight, another secret, or both."""
    changed = caller.write(
        lambda work: commands.update_credential(
            work,
            ProviderId(provider_id),
            CredentialId(credential_id),
            weight=body.weight,
            secret=commands.Secret(body.api_key, body.reference),
        )
    )
    tagged(response, changed.version)
    return credential_out(changed)


@router.delete(
    "/providers/{provider_id}/credentials/{credential_id}",
    status_code=204,
    **route(Action.PROVIDER_WRITE, "deleteCredential"),
)
def delete_credential(
    caller: Caller, provider_id: ProviderPath, credential_id: CredentialPath
) -> None:
    """The secret is gone."""
    caller.write(
        lambda work: commands.remove_credential(
            work, ProviderId(provider_id), CredentialId(credential_id)
        )
    )


def credential_out(view: CredentialView) -> CredentialOut:
    """What may be shown."""
    return CredentialOut(
        id=view.id,
        sealed=view.sealed,
        reference=view.reference,
        weight=view.weight,
        created_at=moment_of(view.created_s),
    )
