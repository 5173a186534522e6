"""What a provider is tried with: the records the data plane would use, so that a trial meets the
same rules. The call itself is made outside of the transaction.
"""

from tollway.app.admin.commands.credentials import changeable_provider
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.work import Work, absent
from tollway.app.views import CredentialView, ProviderView
from tollway.domain.ids import CredentialId, ProviderId
from tollway.domain.provider import CredentialRecord, ProviderRecord
from tollway.domain.result import Err, Ok, Result

Subject = tuple[ProviderRecord, CredentialRecord | None]


def subject(
    work: Work, provider_id: ProviderId, credential_id: CredentialId | None
) -> Result[Subject, Rejected]:
    """The provider, and the credential named or else its first. Trying takes the right to change:
    it spends the owner's money and shows whether the secret is good."""
    found = changeable_provider(work, provider_id)
    if isinstance(found, Err):
        return found
    provider = found.value
    wanted = [
        credential
        for credential in provider.credentials
        if credential_id is None or credential.id == credential_id
    ]
    if credential_id is not None and not wanted:
        return Err(absent("credential"))
    return Ok((_provider(provider), _credential(work, wanted[0]) if wanted else None))


def _provider(view: ProviderView) -> ProviderRecord:
    return ProviderRecord(
        id=view.id,
        name=view.name,
        kind=view.kind,
        base_url=view.base_url,
        tenant_id=view.tenant_id,
        enabled=view.enabled,
        stream_usage=view.stream_usage,
        connect_timeout_s=view.connect_timeout_s,
        headers_timeout_s=view.headers_timeout_s,
        first_token_timeout_s=view.first_token_timeout_s,
        idle_timeout_s=view.idle_timeout_s,
        total_timeout_s=view.total_timeout_s,
    )


def _credential(work: Work, view: CredentialView) -> CredentialRecord:
    envelope = work.uow.providers.envelope(view.id) or b""
    return CredentialRecord(view.id, view.reference or "", view.weight, envelope)
