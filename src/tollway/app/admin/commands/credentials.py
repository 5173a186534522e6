"""Credentials of providers: sealed here, or a reference to a variable or file of the gateway's own
surroundings, which only the platform's providers may have. A secret goes in and never comes out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tollway.app.admin.checks import check_reference
from tollway.app.admin.outcome import Ensured, Kind, Rejected
from tollway.app.admin.reach import provider_in_reach
from tollway.app.admin.sealing import seal_credential
from tollway.app.admin.work import Work, absent
from tollway.app.views import CredentialView, ProviderView
from tollway.domain.bedrock import aws_keys
from tollway.domain.ids import CredentialId, ProviderId, make_id
from tollway.domain.policy import Action
from tollway.domain.provider import ProviderKind
from tollway.domain.result import Err, Ok, Result
from tollway.domain.vertex import is_account, one_line, service_account

MAX_CREDENTIALS = 64
MAX_SECRET_CHARS = 8192
_MAX_WEIGHT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret as it is given: the text itself (to be sealed), or where the gateway finds it."""

    api_key: str | None = None
    reference: str | None = None

    @property
    def given(self) -> bool:
        """Whether there is one."""
        return self.api_key is not None or self.reference is not None


NO_SECRET = Secret()


def add_credential(
    work: Work, provider_id: ProviderId, secret: Secret, *, weight: int = 1
) -> Result[CredentialView, Rejected]:
    """One more secret of a provider."""
    found = changeable_provider(work, provider_id)
    if isinstance(found, Err):
        return found
    provider = found.value
    wrong = check_secret(provider, secret) or _check_weight(weight)
    if wrong is None and not secret.given:
        wrong = Rejected("api_key", "Give the secret: api_key, or (the platform's) reference.")
    if wrong is None and len(provider.credentials) >= MAX_CREDENTIALS:
        wrong = Rejected(
            "", f"A provider has at most {MAX_CREDENTIALS} credentials.", Kind.CONFLICT
        )
    if wrong is not None:
        return Err(wrong)
    return Ok(put_credential(work, provider, secret, weight=weight))


def ensure_credential(
    work: Work, provider_id: ProviderId, *, reference: str, weight: int = 1
) -> Result[Ensured[CredentialView], Rejected]:
    """One more secret of a provider, unless it has this reference already."""
    found = changeable_provider(work, provider_id)
    if isinstance(found, Err):
        return found
    for credential in found.value.credentials:
        if credential.reference == reference:
            return Ok(Ensured(credential, created=False))
    made = add_credential(work, provider_id, Secret(reference=reference), weight=weight)
    return made if isinstance(made, Err) else Ok(Ensured(made.value, created=True))


def update_credential(
    work: Work,
    provider_id: ProviderId,
    credential_id: CredentialId,
    *,
    weight: int | None = None,
    secret: Secret = NO_SECRET,
) -> Result[CredentialView, Rejected]:
    """Another weight, another secret, or both; None and nothing keep what is there."""
    found = _found(work, provider_id, credential_id)
    if isinstance(found, Err):
        return found
    provider, before = found.value
    after = replace(before, weight=before.weight if weight is None else weight)
    wrong = check_secret(provider, secret) or _check_weight(after.weight)
    if wrong is not None:
        return Err(wrong)
    if secret.given:
        after = replace(after, reference=secret.reference, sealed=secret.api_key is not None)
    if secret.given or after != before:
        work.uow.providers.save_credential(after, _envelope(work, provider, secret))
        changes: dict[str, Any] = {"secret": "replaced"} if secret.given else {}
        if after.weight != before.weight:
            changes["weight"] = [before.weight, after.weight]
        _record(work, "credential.updated", provider, after, changes)
    return Ok(_stored(work, provider_id, credential_id))


def remove_credential(
    work: Work, provider_id: ProviderId, credential_id: CredentialId
) -> Result[None, Rejected]:
    """The secret is gone."""
    found = _found(work, provider_id, credential_id)
    if isinstance(found, Err):
        return found
    provider, credential = found.value
    drop_credential(work, provider, credential)
    return Ok(None)


def changeable_provider(work: Work, provider_id: ProviderId) -> Result[ProviderView, Rejected]:
    """The provider, if the actor may change it."""
    found = provider_in_reach(work, provider_id)
    if isinstance(found, Err):
        return found
    owner = found.value.tenant_id
    wrong = work.denied(Action.PROVIDER_WRITE, kind="provider", tenant_id=owner)
    return found if wrong is None else Err(wrong)


def check_secret(provider: ProviderView, secret: Secret) -> Rejected | None:
    """The grammar of secrets, and who may have which. What was given is never repeated."""
    if not secret.given:
        return None
    if provider.kind is ProviderKind.ECHO:
        return Rejected("api_key", "An echo provider is asked nothing and takes no secret.")
    if secret.api_key is None:
        if provider.tenant_id is not None:
            return Rejected(
                "reference",
                "A tenant's provider takes its secret as api_key: what stands in the gateway's "
                "own environment and files is no tenant's to use.",
            )
        return check_reference(secret.reference or "")
    if secret.reference is not None:
        return Rejected("reference", "Give api_key or reference, not both.")
    text = _text_of(provider, secret.api_key)
    account = provider.kind is ProviderKind.VERTEX and is_account(text)
    sound = text.isascii() and text.isprintable() and (account or " " not in text)
    if not sound or not 1 <= len(text) <= MAX_SECRET_CHARS:
        return Rejected(
            "api_key",
            f"An api_key is 1 to {MAX_SECRET_CHARS} printable ASCII characters without spaces.",
        )
    if account:
        return _check_account(text, tenant_owned=provider.tenant_id is not None)
    return _check_keys(text) if provider.kind is ProviderKind.BEDROCK else None


def _text_of(provider: ProviderView, api_key: str) -> str:
    """What is sealed: the JSON of a service account without its line breaks."""
    return one_line(api_key) if provider.kind is ProviderKind.VERTEX else api_key


def _check_account(text: str, *, tenant_owned: bool) -> Rejected | None:
    account = service_account(text, tenant_owned=tenant_owned)
    return Rejected("api_key", account.error) if isinstance(account, Err) else None


def _check_keys(text: str) -> Rejected | None:
    keys = aws_keys(text)
    return Rejected("api_key", keys.error) if isinstance(keys, Err) else None


def put_credential(
    work: Work, provider: ProviderView, secret: Secret, *, weight: int = 1
) -> CredentialView:
    """Write a checked secret, sealed for where the provider is now."""
    credential = CredentialView(
        CredentialId(make_id("crd", work.entropy(10))),
        provider.id,
        secret.reference,
        sealed=secret.api_key is not None,
        weight=weight,
    )
    work.uow.providers.add_credential(credential, _envelope(work, provider, secret))
    place = "sealed" if credential.sealed else credential.reference
    changes = {"secret": place, "weight": weight}
    _record(work, "credential.added", provider, credential, changes)
    return _stored(work, provider.id, credential.id)


def drop_credential(work: Work, provider: ProviderView, credential: CredentialView) -> None:
    """Remove one that was found."""
    work.uow.providers.remove_credential(provider.id, credential.id)
    _record(work, "credential.removed", provider, credential, {})


def _found(
    work: Work, provider_id: ProviderId, credential_id: CredentialId
) -> Result[tuple[ProviderView, CredentialView], Rejected]:
    found = changeable_provider(work, provider_id)
    if isinstance(found, Err):
        return found
    for credential in found.value.credentials:
        if credential.id == credential_id:
            wrong = work.stale(credential.version)
            return Ok((found.value, credential)) if wrong is None else Err(wrong)
    return Err(absent("credential"))


def _envelope(work: Work, provider: ProviderView, secret: Secret) -> bytes | None:
    if secret.api_key is None:
        return None
    return seal_credential(work.box, provider, _text_of(provider, secret.api_key))


def _check_weight(weight: int) -> Rejected | None:
    if 1 <= weight <= _MAX_WEIGHT:
        return None
    return Rejected("weight", f"The weight is 1 to {_MAX_WEIGHT}, not {weight}.")


def _record(
    work: Work,
    fact: str,
    provider: ProviderView,
    credential: CredentialView,
    changes: Mapping[str, Any],
) -> None:
    work.record(
        fact,
        kind="credential",
        object_id=credential.id,
        tenant_id=provider.tenant_id,
        changes={"provider_id": provider.id, **changes},
    )


def _stored(work: Work, provider_id: ProviderId, credential_id: CredentialId) -> CredentialView:
    provider = work.uow.providers.get(provider_id)
    assert provider is not None, "what was just written is there"
    return next(stored for stored in provider.credentials if stored.id == credential_id)
