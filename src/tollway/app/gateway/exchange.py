"""One request's context, from the parsed bytes to the receipt. Owned by the request's own task;
phases fill it in order and read only what earlier phases filled.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tollway.app.ports import Client, Header
from tollway.app.ports_answers import Claim
from tollway.dialects.ask import Ask
from tollway.dialects.endpoint import Endpoint
from tollway.domain.access import Principal
from tollway.domain.failure import Failure
from tollway.domain.hold import Hold
from tollway.domain.ids import ModelId
from tollway.domain.kept import KeptResponse
from tollway.domain.model import ModelRecord, Target
from tollway.domain.provider import ProviderRecord
from tollway.domain.refusal import Refusal
from tollway.domain.retry_budget import RetryBudget
from tollway.domain.snapshot import Snapshot

# Why a request ended without an answer of a provider: ours, or the provider's. None: it was served.
Verdict = Refusal | Failure | None


class Inbound(NamedTuple):
    """A request as the web floor hands it over: framed, bounded, nothing judged. Where what is
    asked stands in the path, that part of it is the body."""

    endpoint: Endpoint
    headers: Sequence[Header]
    body: bytes
    peer_ip: str


class Labels(NamedTuple):
    """What the caller calls this request: for the ledger. The end user's limits go by it too."""

    client_request_id: str | None = None
    end_user: str | None = None
    tags: tuple[tuple[str, str], ...] = ()


class Exchange:
    """Filled phase by phase. A field that no phase has reached yet must not be read, nor the
    snapshot once the targets were planned."""

    __slots__ = (
        "ask",
        "attempts",
        "claim",
        "client",
        "dropped",
        "earlier",
        "facts",
        "fallbacks",
        "guessed",
        "hold",
        "inbound",
        "kept",
        "labels",
        "model",
        "output_clamp",
        "principal",
        "receipted",
        "replayed",
        "request_id",
        "retries",
        "retrying",
        "scouts",
        "snapshot",
        "spare",
        "started_ns",
        "targets",
    )

    ask: Ask
    facts: dict[bytes, bytes]  # the headers by name, the last of a repeated one
    principal: Principal | None
    model: ModelRecord
    targets: Sequence[tuple[Target, ProviderRecord]]

    def __init__(
        self,
        inbound: Inbound,
        client: Client,
        *,
        snapshot: Snapshot,
        request_id: str,
        started_ns: int,
    ) -> None:
        self.inbound = inbound
        self.client = client
        self.snapshot = snapshot
        self.request_id = request_id
        self.started_ns = started_ns
        self.principal = None
        self.labels = NO_LABELS
        self.kept: KeptResponse | None = None  # that it is about or goes on from
        self.hold: Hold | None = None  # what the request's own quotas hold
        self.output_clamp: int | None = None  # tokens that a strict rule lets an answer have
        self.claim: Claim | None = None  # on an Idempotency-Key
        self.attempts = 0
        self.dropped: tuple[str, ...] = ()  # fields that the last provider asked has no words for
        self.fallbacks: tuple[ModelRecord, ...] = ()  # that may still answer in its model's place
        self.earlier: Verdict = None  # what the models before this one came to
        self.guessed = False  # something went by what the answer may be: the truth is learned
        self.spare = False  # the provider asked last has another credential that may be tried
        self.retries: RetryBudget | None = None  # once it has taken of it
        self.retrying = False  # what failed last is made up for by another attempt
        self.scouts: ModelId | None = None  # it finds out whether what is behind it answers again
        self.receipted = False
        self.replayed = False  # the client has the answer to an earlier, equal request

    def answering(self) -> None:
        """A target answers. What it took of `retries` others may want before its stream ends."""
        assert self.retries is not None
        self.retries.give_back()
        self.retries = None


NO_LABELS = Labels()
