"""What the phases work with: the ports, bound once per worker by the composition root."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tollway.app.gateway.issued import IssuedRing
from tollway.app.gateway.keyring import Keyring
from tollway.app.gateway.limits import Limits
from tollway.app.gateway.newcomers import Newcomers
from tollway.app.gateway.request_ids import RequestIds
from tollway.app.gateway.running import Running
from tollway.app.gateway.sharing import Accounts
from tollway.app.ports import (
    Clock,
    Counting,
    Guard,
    Journal,
    Observer,
    QuotaStore,
    ResponseCache,
    SnapshotSource,
    Upstream,
)
from tollway.app.ports_answers import AnswerStore
from tollway.app.ports_background import NoNotes, Notes
from tollway.app.ports_kept import Sealing
from tollway.app.pricing import Pricing
from tollway.domain.health import Health
from tollway.domain.ids import ModelId, ProviderId, QuotaId
from tollway.domain.latency import PeakEwma
from tollway.domain.output_history import OutputHistory
from tollway.domain.provider import ProviderKind
from tollway.domain.retry_budget import RetryBudget
from tollway.domain.scouts import Scouts
from tollway.domain.turn_history import TurnHistory


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """Bounds of the data plane. Sizes in bytes, times in seconds."""

    reply_bytes: int = 8 * 1024 * 1024  # a whole JSON answer held in memory
    large_reply_bytes: int = 64 * 1024 * 1024  # one of pictures
    error_bytes: int = 256 * 1024  # an upstream error body
    attempts: int = 3  # one and at most two more
    background: int = 256  # answers that are made in the background at a time
    background_timeout_s: float = 3600.0  # for one of them; then its provider is to end it
    background_poll_s: float = 1.0  # before it is asked for again; doubled up to half a minute


@dataclass(frozen=True, slots=True)
class Gateway:
    """One worker's data plane. The mappings and counters inside are the worker's own state."""

    clock: Clock
    source: SnapshotSource
    upstreams: Mapping[ProviderKind, Upstream]
    journal: Journal
    quotas: QuotaStore
    cache: ResponseCache
    guards: Sequence[Guard]
    observers: Sequence[Observer]
    request_ids: RequestIds
    options: GatewayOptions = field(default_factory=GatewayOptions)
    running: Running = field(default_factory=Running)
    keyring: Keyring = field(default_factory=Keyring)
    issued: IssuedRing = field(default_factory=IssuedRing)
    newcomers: Newcomers = field(default_factory=Newcomers)  # keys
    new_models: Newcomers = field(default_factory=Newcomers)
    turns: dict[ModelId, int] = field(default_factory=dict)  # requests so far, per model
    # What targets of models that ask for it take; whether streamed is the last part.
    latencies: dict[tuple[ProviderId, str, bool], PeakEwma] = field(default_factory=dict)
    credential_turns: dict[ProviderId, int] = field(default_factory=dict)
    retries: dict[ModelId, RetryBudget] = field(default_factory=dict)
    accounts: Accounts = field(default_factory=Accounts)  # at providers
    health: dict[tuple[ProviderId, str], Health] = field(default_factory=dict)  # of ailing targets
    scouts: Scouts = field(default_factory=Scouts)
    draw: Callable[[], float] = random.random  # from [0, 1), for jitter
    limits: Limits = field(default_factory=Limits)
    # Until when, by what is wrong with a model's usage.
    warned: dict[tuple[ModelId, str], float] = field(default_factory=dict)
    limited: dict[tuple[QuotaId, str], int] = field(default_factory=dict)  # refusals, by why
    outputs: dict[ModelId, OutputHistory] = field(default_factory=dict)
    histories: dict[ModelId, TurnHistory] = field(default_factory=dict)  # for turns in line
    # Input that came with kept responses, beside what the requests said themselves.
    contexts: dict[ModelId, OutputHistory] = field(default_factory=dict)
    answers: AnswerStore | None = None  # by Idempotency-Key
    sealing: Sealing | None = None  # of ids that clients carry
    background: dict[str, str] = field(default_factory=dict)  # requests made so, and whose they are
    notes: Notes = field(default_factory=NoNotes)  # of them, for whoever comes after us
    prices: Pricing | None = None  # for limits on cost
    counting: Counting | None = None  # for whoever only looks
