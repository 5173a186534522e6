"""The control plane's door to a provider: one cheap real call, to see whether it answers."""

from typing import NamedTuple, Protocol

from tollway.domain.provider import CredentialRecord, ProviderRecord


class ProbeReport(NamedTuple):
    """What came of it. `status` is the provider's, None when there was no answer; the reason is in
    our own words and repeats nothing the provider sent."""

    ok: bool
    status: int | None
    reason: str


class ProviderProbe(Protocol):
    """Never raises for what a provider or the network does. Takes at most some seconds, so it is
    asked outside of any transaction."""

    def probe(
        self, provider: ProviderRecord, credential: CredentialRecord | None
    ) -> ProbeReport | None:
        """Ask the provider for its models, by the rules that hold for every call. None when too
        many are being tried at the time."""
