"""The pipeline in one process, without sockets: `serve` over an upstream and a client that cost
nothing, and the rungs of the ladder, each with one part more of what a worker has.

Knows the application's parts as `wiring` does, and changes with them.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from bench.chat import (
    CLIENT_MODEL,
    PROVIDER_MODEL,
    answer_body,
    request_body,
    stream_events,
)
from tollway.adapters.journal.opening import open_journal
from tollway.adapters.journal.options import JournalOptions
from tollway.adapters.journal.slots import acquire_slot
from tollway.adapters.memory.cache import MemoryResponseCache
from tollway.adapters.memory.quota import MemoryQuotaStore
from tollway.adapters.prometheus.tally import Tally
from tollway.adapters.system.clock import SystemClock
from tollway.app.gateway.exchange import Inbound
from tollway.app.gateway.request_ids import RequestIds
from tollway.app.gateway.runtime import Gateway
from tollway.app.gateway.serve import serve
from tollway.app.ports import Flow, Header, Journal, Observer, ResponseSink, UpstreamCall
from tollway.app.pricing import PriceList, Pricing
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.failure import Failure
from tollway.domain.ids import CredentialId, KeyId, ModelId, ProviderId, QuotaId, TenantId
from tollway.domain.key import KeyRecord, digest_key, make_key, split_key
from tollway.domain.model import ModelRecord, Target
from tollway.domain.price_book import Entry
from tollway.domain.provider import CredentialRecord, ProviderKind, ProviderRecord
from tollway.domain.quota import Metric, QuotaPlace, QuotaRecord, Scope, place_of
from tollway.domain.receipt import Intent, Receipt
from tollway.domain.snapshot import Snapshot
from tollway.domain.tenant import TenantRecord
from tollway.domain.window import Period

Call = Callable[[], Awaitable[None]]  # serves one request, raises when it was not served rightly
_STREAM_CHUNKS = 64
_EVENTS_PER_READ = 8
_JSON = [(b"content-type", b"application/json")]
_EVENT_STREAM = [(b"content-type", b"text/event-stream; charset=utf-8")]


class _NoJournal:
    """Keeps nothing: the rung below the journal."""

    needs_wait = False

    def __init__(self) -> None:
        self._ticket = 0

    def intend(self, intent: Intent) -> bool:
        return True

    async def durable(self) -> None:
        return

    def claim(self) -> tuple[int, int]:
        self._ticket += 1
        return 0, self._ticket

    def sent(self, slot: int) -> None: ...

    def progress(self, slot: int, events: int, content_bytes: int) -> None: ...

    def settle(self, slot: int, receipt: Receipt) -> None: ...


class _Flow:
    """A provider that never has to wait."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def progress(self) -> None: ...

    def cancel(self, failure: Failure) -> None:
        raise AssertionError(f"nothing fails here: {failure}")

    def satisfied(self) -> None: ...

    def redact(self, text: str) -> str:
        return text


class _Upstream:
    """Feeds the same answer to every call, at once."""

    def __init__(self, headers: Sequence[Header], pieces: Sequence[bytes]) -> None:
        self._headers, self._pieces = headers, pieces
        self._flow: Flow = _Flow()

    async def call(self, call: UpstreamCall, sink: ResponseSink) -> Failure | None:
        sink.attach(self._flow)
        sink.head(200, self._headers)
        for piece in self._pieces:
            sink.data(piece)
        return None


class _Client:
    """Counts what it is sent, and keeps nothing."""

    gone = False
    congested = False

    def __init__(self) -> None:
        self.status = 0
        self.ended = False

    def watch(self, on_gone: Callable[[], None], on_writable: Callable[[], None]) -> None: ...

    def respond(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        self.status, self.ended = status, True

    def start(self, status: int, headers: Sequence[Header]) -> None:
        self.status = status

    def write(self, data: bytes) -> None: ...

    def finish(self) -> None:
        self.ended = True

    def abort(self) -> None:
        raise AssertionError("an answer was cut")


class _Source:
    """A configuration that never changes."""

    def __init__(self, current: Snapshot) -> None:
        self.current = current


class _Prices:
    """A price for everything."""

    def mark(self) -> int:
        return 1

    def read(self) -> PriceList:
        return PriceList([Entry("prc_bench", "*", 0, {"input": "1", "output": "2"})], {})


def _eight_limits(tenant_id: TenantId, key_id: KeyId) -> dict[str, QuotaPlace]:
    """Two rates, two budgets and a number at a time for tenant and key, none of them near."""
    written = [
        (Scope.TENANT, None, Metric.REQUESTS, Period.MINUTE),
        (Scope.TENANT, None, Metric.TOKENS, Period.MINUTE),
        (Scope.TENANT, None, Metric.TOKENS, Period.DAY),
        (Scope.TENANT, None, Metric.COST, Period.MONTH),
        (Scope.KEY, key_id, Metric.REQUESTS, Period.MINUTE),
        (Scope.KEY, key_id, Metric.TOKENS, Period.DAY),
        (Scope.KEY, key_id, Metric.COST, Period.DAY),
        (Scope.KEY, key_id, Metric.CONCURRENCY, Period.NONE),
    ]
    quotas = [
        QuotaRecord(QuotaId(f"quo_{n}"), tenant_id, scope, scope_id, metric, period, 10**15)
        for n, (scope, scope_id, metric, period) in enumerate(written)
    ]
    places = {place_of(quota) for quota in quotas}
    return {
        place: QuotaPlace(place, tuple(one for one in quotas if place_of(one) == place))
        for place in places
    }


def _snapshot(*, limits: bool) -> tuple[Snapshot, str]:
    """One tenant, key, provider and model; and the key's text."""
    tenant = TenantRecord(TenantId("ten_bench"), "bench", "Bench", b"salt")
    key_id, key = make_key("test", bytes(range(41)))
    parts = split_key(key)
    assert parts is not None
    digest = digest_key(b"pepper", tenant.id, key_id, parts[1])
    provider = ProviderRecord(
        id=ProviderId("prv_bench"),
        name="bench",
        kind=ProviderKind.OPENAI,
        base_url="http://bench.invalid/v1",
        credentials=(CredentialRecord(CredentialId("crd_bench")),),
    )
    model = ModelRecord(
        ModelId("mdl_bench"), CLIENT_MODEL, (Target(provider.id, PROVIDER_MODEL, priority=0),)
    )
    snapshot = Snapshot(
        version=1,
        peppers={1: b"pepper"},
        tenants={tenant.id: tenant},
        keys={key_id: KeyRecord(key_id, tenant.id, digest, 1)},
        providers={provider.id: provider},
        models={(None, CLIENT_MODEL): model},
        quotas=_eight_limits(tenant.id, key_id) if limits else {},
    )
    return snapshot, key


def _call(
    journal: Journal, observers: Sequence[Observer], *, chunks: int = 0, limits: bool = False
) -> Call:
    """A request through `serve` with these parts."""
    snapshot, key = _snapshot(limits=limits)
    upstream = _Upstream(_JSON, [answer_body()])
    if chunks:
        events = stream_events(chunks)
        steps = range(0, len(events), _EVENTS_PER_READ)
        upstream = _Upstream(
            _EVENT_STREAM, [b"".join(events[at : at + _EVENTS_PER_READ]) for at in steps]
        )
    clock = SystemClock()
    gateway = Gateway(
        clock=clock,
        source=_Source(snapshot),
        upstreams=dict.fromkeys(ProviderKind, upstream),
        journal=journal,
        quotas=MemoryQuotaStore(clock),
        cache=MemoryResponseCache(),
        guards=(),
        observers=observers,
        prices=Pricing(_Prices()),
        request_ids=RequestIds(os.urandom, lambda day: time.strftime("%Y%m%d", time.gmtime(day))),
    )
    headers = [
        (b"host", b"gateway.bench"),
        (b"authorization", f"Bearer {key}".encode()),
        (b"content-type", b"application/json"),
    ]
    endpoint, body = ENDPOINTS[b"/v1/chat/completions"], request_body(chunks)

    async def serve_one() -> None:
        client = _Client()
        await serve(gateway, Inbound(endpoint, headers, body, "127.0.0.1"), client)
        if client.status != 200 or not client.ended:
            raise AssertionError(f"not served: {client.status}")

    return serve_one


def _disk_journal(folder: Path) -> Journal:
    lock = acquire_slot(folder, 0)
    assert lock is not None
    return open_journal(lock, JournalOptions())


RUNGS: dict[str, Callable[[Path], Call]] = {
    "relay": lambda _: _call(_NoJournal(), []),
    "journal": lambda folder: _call(_disk_journal(folder), []),
    "metrics": lambda folder: _call(_disk_journal(folder), [Tally()]),
    "limits": lambda folder: _call(_disk_journal(folder), [Tally()], limits=True),
    "stream": lambda folder: _call(_disk_journal(folder), [Tally()], chunks=_STREAM_CHUNKS),
}


async def measure(make: Callable[[Path], Call], calls: int) -> float:
    """CPU microseconds of one call, threads of the parts included."""
    with tempfile.TemporaryDirectory(prefix="tollway-bench-") as name:
        call = make(Path(name))
        for _ in range(min(2000, calls)):
            await call()
        began = time.process_time_ns()
        for number in range(calls):
            await call()
            if number % 64 == 0:
                await asyncio.sleep(0)  # the loop's own callbacks have their turn
        return (time.process_time_ns() - began) / 1000 / calls
