"""Every door of the application to the world: one Protocol per kind of I/O or nondeterminism.

Each docstring gives the failure mode and the deadline. Implementations live in `adapters/` and
`web/`; nothing here knows them.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from tollway.domain.access import Principal
from tollway.domain.failure import Failure
from tollway.domain.hold import Bound, CounterRef, Decision, Hold, Rule, Stand, Tightest
from tollway.domain.provider import CredentialRecord, ProviderRecord
from tollway.domain.quota import NOTHING, Sizes
from tollway.domain.receipt import Intent, Receipt
from tollway.domain.refusal import Refusal
from tollway.domain.snapshot import Snapshot, SnapshotChanges, SnapshotRows

Header = tuple[bytes, bytes]  # the name in lower case, the value stripped


class Clock(Protocol):
    """Time. Never fails."""

    def wall_ns(self) -> int:
        """UTC nanoseconds: for records and windows."""

    def monotonic(self) -> float:
        """Seconds that only go forward: for timeouts."""


class Client(Protocol):
    """The connection an answer goes to. Never blocks and never raises: after the client has left,
    writes are dropped and `gone` is true.
    """

    gone: bool
    congested: bool  # more than 64 KiB wait for the client: stop reading upstream

    def watch(self, on_gone: Callable[[], None], on_writable: Callable[[], None]) -> None:
        """Call `on_gone` once when the client leaves (also at once, if it already has), and
        `on_writable` whenever congestion ends."""

    def respond(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """A whole answer in one write; `content-length` is added."""

    def start(self, status: int, headers: Sequence[Header]) -> None:
        """The head of a streamed answer; sent together with the first `write`."""

    def write(self, data: bytes) -> None:
        """One piece of a streamed body, as one chunk in one write."""

    def finish(self) -> None:
        """The streamed body is complete; the connection may be used again."""

    def abort(self) -> None:
        """The streamed body will not become complete: flush what was written, then close."""


class Flow(Protocol):
    """The sink's handle on a running upstream answer."""

    def pause(self) -> None:
        """Stop reading from the provider (its TCP window closes)."""

    def resume(self) -> None:
        """Read on."""

    def progress(self) -> None:
        """A real event arrived: restarts the token timers (bytes and comments do not)."""

    def cancel(self, failure: Failure) -> None:
        """End the call with this failure; the connection is closed at once."""

    def satisfied(self) -> None:
        """The sink has all it needs (`[DONE]` was read): the call ends with None as soon as the
        body is complete, at the latest one second from now; then the connection is not reused."""

    def redact(self, text: str) -> str:
        """What the provider wrote, without the credential it was called with: providers quote the
        one they refuse. Also after the call."""


class ResponseSink(Protocol):
    """Where an upstream answer goes, called synchronously as bytes arrive, in this order:
    `attach`, `head` once, `data` any number of times. A sink that has had enough calls
    `flow.cancel`. Nothing is called after the call ended.
    """

    def attach(self, flow: Flow) -> None:
        """The call is about to be sent; this handle stays valid until it ends."""

    def head(self, status: int, headers: Sequence[Header]) -> None:
        """The final (not 1xx) response head."""

    def data(self, data: bytes) -> None:
        """A piece of the body: everything one read event brought."""


class UpstreamCall(NamedTuple):
    """One HTTP request to a provider. `path` is joined to the provider's base URL path.

    `headers` holds end-to-end headers only; the adapter adds host, content-length and credential.
    """

    provider: ProviderRecord
    credential: CredentialRecord | None
    method: str
    path: str
    headers: tuple[Header, ...]
    body: bytes
    stream: bool


class Upstream(Protocol):
    """Providers. Never raises for what a provider or the network does: returns the failure.

    Deadlines: connect, TLS, response head, first token, idle, total: each its own setting.
    """

    async def call(self, call: UpstreamCall, sink: ResponseSink) -> Failure | None:
        """Send the request and feed the answer to the sink until it is complete (None: complete
        and framed correctly, whatever its status) or has failed."""


class Progress(NamedTuple):
    """What a slot of the progress file says. `state`: 0 free, 1 intent, 2 sent, 3 first event."""

    ticket: int
    state: int
    events: int
    content_bytes: int


class Journal(Protocol):
    """The local append-only record of intents and outcomes, and the progress of running attempts.

    Fails closed: `intend` returns False when the record cannot be kept (disk full), and then the
    attempt must not be made. Outcomes always have room. With fsync policy `always` the caller
    awaits `durable` before it acts; with the others `durable` returns at once.
    """

    def intend(self, intent: Intent) -> bool:
        """Record that an attempt is about to be made, and open its progress slot."""

    async def durable(self) -> None:
        """Wait until all that was recorded so far survives power loss, if the policy says so."""

    needs_wait: bool  # whether `durable` ever waits: spares the hot path an await

    def claim(self) -> tuple[int, int]:
        """A free progress slot and a fresh ticket for it: (slot, ticket)."""

    def sent(self, slot: int) -> None:
        """The request is on its way to the provider."""

    def progress(self, slot: int, events: int, content_bytes: int) -> None:
        """Content about to be written to the client, as running totals. About 0.2 us."""

    def settle(self, slot: int, receipt: Receipt) -> None:
        """Record the outcome and free the slot."""


class Observer(Protocol):
    """Sees every receipt, after it was journalled. Never raises; must not block."""

    def observe(self, receipt: Receipt) -> None:
        """Count it, log it, trace it."""


class Guard(Protocol):
    """A policy over what is asked. Fails closed: a guard that cannot decide refuses. No I/O."""

    def screen(self, principal: Principal, model: str, body: bytes) -> Refusal | None:
        """None to let the request pass, or why not."""


class CacheScope(NamedTuple):
    """Whose answers may be served for what: every field is derived by us, none is optional."""

    tenant_id: str
    key_id: str
    endpoint: str
    model_id: str
    model_version: int


class ResponseCache(Protocol):
    """Whole answers by scope and exact body. Fails open: a cache that is gone is a miss."""

    enabled: bool  # spares the hot path the call

    def look_up(self, scope: CacheScope, body: bytes) -> bytes | None:
        """The answer's body, or None."""

    def store(self, scope: CacheScope, body: bytes, answer: bytes) -> None:
        """Keep a complete, good answer."""


class QuotaStore(Protocol):
    """Counters and holds. Fails closed: what cannot be counted is refused. Nothing raises."""

    def reserve(self, hold: Hold) -> Decision:
        """Hold every line or none. `UNDECIDED`: await `decided`."""

    async def decided(self, hold: Hold) -> Decision:
        """The same once it can be known; never `UNDECIDED`. Waits two seconds at most."""

    def extend(
        self, hold: Hold, *, strict: Sizes = NOTHING, bounded: Sizes = NOTHING
    ) -> Bound | None:
        """Hold more while an answer runs: so much for the rules of each precision. Only strict ones
        can say no; then nothing is held."""

    def settle(self, hold: Hold, actual: Sizes) -> None:
        """Book what was used instead of what was held, into the windows of the admission. Once:
        again, or for a hold that was never in, changes nothing. After the journal has it."""

    def void(self, hold: Hold) -> None:
        """Free what was held; nothing was used."""

    def tightest(self, rules: Sequence[Rule], at_s: int) -> Tightest | None:
        """Of rules that are held on, the one with the least left."""

    def standing(self, rule: Rule) -> Stand | None:
        """How a rule's counter stands now, where it is known here."""

    async def look(self, rule: Rule, at_s: int) -> Stand | None:
        """The same without making one; None: there is none, or it cannot be had."""

    def count_again(self) -> None:
        """What was booked before was put right in the ledger: count everything from there again."""


class Counted(NamedTuple):
    """What was used so far, for each counter asked for: by the second its bucket of ten begins
    (minute) or the window does. `foreign` is held by other processes. `upto`: the place in the
    asker's journal that the sums have counted to; `others` the same of every journal there is,
    `closed` those of them that nobody writes and that were counted to their end. `settling`: others
    still have requests under way, so ask again."""

    used: Sequence[dict[int, int]]
    foreign: Sequence[int]
    upto: tuple[int, int]
    settling: bool
    others: Sequence[tuple[str, int, int]] = ()
    closed: Sequence[str] = ()


class Counting(Protocol):
    """The ledger as a source of counters. Raises StoreUnavailableError."""

    async def count(self, refs: Sequence[CounterRef]) -> Counted:
        """Everything that was settled before the call is in the answer."""


class Untold(Protocol):
    """Whether a process let in what the shared counters were not told of. Outlives the process:
    when it dies only the ledger knows, and whoever comes next has the counters begin again."""

    @property
    def inherited(self) -> bool:
        """Whether somebody died who had not told all."""

    def settle(self) -> None:
        """The counters have begun again: they have what was inherited."""

    def mark(self) -> bool:
        """Something is let in that will have to be told; False: it must not be let in."""

    def clear(self) -> None:
        """All of our own was told."""


class SnapshotSource(Protocol):
    """The configuration. Keeps the last good one when the source is unreachable."""

    @property
    def current(self) -> Snapshot:
        """What to serve from right now. A request keeps the one it began with."""


class SnapshotStore(Protocol):
    """Where configuration lives (SQL)."""

    def version(self) -> int:
        """The newest committed version. Cheap: one row."""

    def load(self) -> SnapshotRows:
        """All rows at one version, for whoever wants to look at them."""

    def stream(self) -> Iterator[SnapshotRows]:
        """All rows at one version, in pieces of a bounded size. The state that is read is held
        until the iterator ends or is closed."""

    def changes(self, since: int, limit: int) -> SnapshotChanges | None:
        """What has become of a version by now; None when it is more than so many rows of a kind:
        then all of it is needed."""


class SecretBox(Protocol):
    """Sealing with the master key. Raises `SecretError` when a secret cannot be opened."""

    def seal(self, secret: bytes, purpose: str) -> bytes:
        """An envelope that opens only for the same purpose."""

    def open(self, envelope: bytes, purpose: str) -> bytes:
        """The secret inside."""


class SecretError(Exception):
    """A secret cannot be opened: wrong master key, wrong purpose or damaged."""


class LedgerStore(Protocol):
    """The ledger of record (SQL). Raises `StoreUnavailableError`: then the same batch may be given
    again, whether it was kept or not."""

    def cursor(self, source: str) -> tuple[int, int]:
        """How far a journal was shipped: (segment, offset); (0, 0) when never."""

    def append(self, source: str, receipts: Sequence[Receipt], upto: tuple[int, int]) -> int:
        """Insert receipts, their roll-ups and the source's cursor in one transaction.

        Idempotent on (day, request_id, attempt, kind, seq): the first outcome wins, a differing
        later one becomes a correction row. Returns how many rows were new. A receipt that cannot
        be a row is set aside with its reason, and holds up nothing. The cursor never goes back.
        """

    def quarantined(self) -> int:
        """How many receipts were set aside so far: each needs a person."""


class StoreUnavailableError(Exception):
    """The database cannot be reached or is locked: try again later."""


class JournalReader(Protocol):
    """The journals of this machine, as the shipper sees them."""

    def sources(self) -> list[str]:
        """The names of all journals with records."""

    def read(self, source: str, after: tuple[int, int], limit: int) -> "JournalBatch":
        """Up to `limit` outcomes after a position."""

    def forget(self, source: str, upto: tuple[int, int]) -> None:
        """Segments wholly before this position and without open intents may be deleted."""


class JournalBatch(NamedTuple):
    """Outcomes in order, and the position after the last of them. `damaged` counts records that
    could not be read and were stepped over."""

    receipts: list[Receipt]
    upto: tuple[int, int]
    damaged: int
