"""A tenant: a department or customer. Everything else belongs to one or to the platform."""

from dataclasses import dataclass

from tollway.domain.ids import TenantId


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """One tenant as the data plane sees it. `salt` keys the names forwarded for its users."""

    id: TenantId
    slug: str
    name: str
    salt: bytes
    active: bool = True
    models: str = "all"  # all | listed
    group: str | None = None  # whose grants it has besides its own
    timezone: str = "UTC"
    timezone_before: str | None = None
    timezone_since_s: int = 0
    weight: float = 1.0  # of its share where a provider cannot take everybody
    allowed_residency: tuple[str, ...] | None = None  # of providers that may see its data
    default_model: str | None = None  # of requests that name none

    def may_use(self, residency: str | None) -> bool:
        """Whether a provider of this residency may see the tenant's data."""
        return self.allowed_residency is None or residency in self.allowed_residency
