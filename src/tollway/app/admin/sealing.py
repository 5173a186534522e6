"""Secrets of providers at rest: sealed for the provider, its owner and its origin, so that a row
moved or edited in the database gives its secret to nobody else.
"""

from typing import Protocol

from tollway.app.ports import SecretBox
from tollway.domain.ids import ProviderId, TenantId
from tollway.domain.origin import origin_of
from tollway.domain.provider import credential_purpose


class Sealed(Protocol):
    """A provider, as a view or as a record."""

    @property
    def id(self) -> ProviderId:
        """Which."""

    @property
    def tenant_id(self) -> TenantId | None:
        """Its owner; None: the platform."""

    @property
    def base_url(self) -> str:
        """Where it leads."""


def purpose_of(provider: Sealed) -> str:
    """What its secrets are sealed for."""
    return credential_purpose(provider.tenant_id, provider.id, origin_of(provider.base_url))


def seal_credential(box: SecretBox, provider: Sealed, secret: str) -> bytes:
    """An envelope that opens for this provider at this origin only."""
    return box.seal(secret.encode(), purpose_of(provider))


def open_credential(box: SecretBox, provider: Sealed, envelope: bytes) -> str:
    """The secret inside. Raises `SecretError`."""
    return box.open(envelope, purpose_of(provider)).decode()
