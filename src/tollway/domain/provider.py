"""Providers, their kinds and credentials. A secret is a reference or an envelope, never text."""

from dataclasses import dataclass, field
from enum import StrEnum

from tollway.domain.fair_share import Capacity
from tollway.domain.ids import CredentialId, ProviderId, TenantId


class ProviderKind(StrEnum):
    """How a provider is spoken to."""

    OPENAI = "openai"
    AZURE_OPENAI = "azure_openai"  # its base URL ends in /openai/v1
    ANTHROPIC = "anthropic"  # or whoever speaks Messages natively
    GEMINI = "gemini"  # Google's own dialect; its base URL ends in the version
    VERTEX = "vertex"  # the same models in Google's cloud; its base URL names project and place
    BEDROCK = "bedrock"  # its base URL names the region
    OLLAMA = "ollama"  # its own API, not the one that is OpenAI's double
    OPENAI_COMPATIBLE = "openai_compatible"
    ECHO = "echo"


DEFAULT_BASE_URLS = {
    ProviderKind.OPENAI: "https://api.openai.com/v1",
    ProviderKind.ANTHROPIC: "https://api.anthropic.com/v1",
    ProviderKind.GEMINI: "https://generativelanguage.googleapis.com/v1beta",
    ProviderKind.OLLAMA: "http://127.0.0.1:11434",
}


class StreamUsage(StrEnum):
    """How a provider's stream is asked for usage."""

    FORCE = "force"  # send stream_options.include_usage=true always
    NATIVE = "native"  # the provider reports usage unasked
    NONE = "none"  # it never reports: estimate


@dataclass(frozen=True, slots=True)
class CredentialRecord:
    """One secret of a provider. `reference` is `env:NAME`, `file:PATH` or empty. An `envelope` is a
    secret sealed for `credential_purpose` and goes before the reference."""

    id: CredentialId
    reference: str = ""
    weight: int = 1
    envelope: bytes = field(default=b"", repr=False)


def credential_purpose(owner: TenantId | None, provider_id: ProviderId, origin: str) -> str:
    """What a provider's secret is sealed for: its owner, itself and where it leads (the text of an
    `Origin`). Moved to another of any, an envelope does not open."""
    return f"credential|{owner or 'platform'}|{provider_id}|{origin}"


@dataclass(frozen=True, slots=True)
class ProviderRecord:
    """One provider as the data plane sees it. Timeouts in seconds; None takes the server's."""

    id: ProviderId
    name: str
    kind: ProviderKind
    base_url: str
    tenant_id: TenantId | None = None  # None: the platform's
    enabled: bool = True
    stream_usage: StreamUsage = StreamUsage.FORCE
    credentials: tuple[CredentialRecord, ...] = ()
    connect_timeout_s: float | None = None
    headers_timeout_s: float | None = None
    first_token_timeout_s: float | None = None
    idle_timeout_s: float | None = None
    total_timeout_s: float | None = None
    translate_responses: bool = False  # into its Chat Completions: it has no Responses of its own
    residency: str | None = None  # where it keeps what it is sent, such as `eu`
    capacity: Capacity | None = None  # of each of its accounts; None: not known
