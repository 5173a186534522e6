"""Models (the names clients send) and targets (a provider's model behind a name)."""

from dataclasses import dataclass
from enum import StrEnum

from tollway.domain.ids import ModelId, ProviderId, TenantId


class Strategy(StrEnum):
    """How a model's targets are ordered."""

    PRIORITY = "priority"
    ROUND_ROBIN = "round_robin"
    WEIGHTED = "weighted"
    FAILOVER = "failover"
    COST_OPTIMIZED = "cost_optimized"
    LEAST_LATENCY = "least_latency"


@dataclass(frozen=True, slots=True)
class Target:
    """A provider's model. The lowest priority number is asked first."""

    provider_id: ProviderId
    model: str
    weight: int = 1
    priority: int = 0


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One model as the data plane sees it. `version` changes with every change of its config."""

    id: ModelId
    name: str
    targets: tuple[Target, ...]
    tenant_id: TenantId | None = None  # None: the platform's
    strategy: Strategy = Strategy.PRIORITY
    enabled: bool = True
    max_output_tokens: int | None = None
    created_s: int = 0
    version: int = 0
    cache_affinity: bool = False  # one conversation goes to one target
    fallbacks: tuple[str, ...] = ()  # names of models that may answer in its place
