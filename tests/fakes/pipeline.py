"""A whole pipeline on memory adapters: a scripted upstream, a recording client, one tenant."""

import json
from collections import deque
from dataclasses import dataclass, field

from tollway.adapters.memory.cache import MemoryResponseCache
from tollway.adapters.memory.journal import MemoryJournal
from tollway.adapters.memory.quota import MemoryQuotaStore
from tollway.adapters.system.sealing import SivSealing
from tollway.app.gateway.exchange import Inbound
from tollway.app.gateway.request_ids import RequestIds
from tollway.app.gateway.runtime import Gateway, GatewayOptions
from tollway.app.gateway.serve import serve
from tollway.dialects.redact import redact
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.ids import ModelId, ProviderId, TenantId
from tollway.domain.key import KeyRecord, digest_key, make_key, split_key
from tollway.domain.model import ModelRecord, Target
from tollway.domain.provider import CredentialRecord, ProviderKind, ProviderRecord
from tollway.domain.snapshot import Snapshot, names_by_owner
from tollway.domain.tenant import TenantRecord

PEPPER = b"pepper"
SECRET = "plain-word-of-the-provider"  # what the upstream was called with
TENANT = TenantRecord(TenantId("ten_a"), "acme", "Acme", b"salt")
KEY_ID, KEY = make_key("test", bytes(range(41)))
RECORD = KeyRecord(KEY_ID, TENANT.id, digest_key(PEPPER, TENANT.id, KEY_ID, split_key(KEY)[1]), 1)
CHAT = ENDPOINTS[b"/v1/chat/completions"]


def provider(name, **changes):
    """One provider of the platform."""
    return ProviderRecord(
        **{
            "id": ProviderId(f"prv_{name}"),
            "name": name,
            "kind": ProviderKind.OPENAI,
            "base_url": f"http://{name}/v1",
            "credentials": (CredentialRecord(f"crd_{name}"),),
            **changes,
        }
    )


def snapshot(targets=("one",), **changes):
    """A configuration with one tenant, one key and the model `m` on the given providers."""
    model = ModelRecord(
        ModelId("mdl_m"),
        "m",
        tuple(
            Target(ProviderId(f"prv_{name}"), f"{name}-model", priority=rank)
            for rank, name in enumerate(targets)
        ),
    )
    models = changes.pop("models", {(None, "m"): model})
    return Snapshot(
        **{
            "version": 1,
            "peppers": {1: PEPPER},
            "tenants": {TENANT.id: TENANT},
            "keys": {RECORD.id: RECORD},
            "providers": {ProviderId(f"prv_{name}"): provider(name) for name in targets},
            "models": models,
            "names": names_by_owner(models.values()),
            **changes,
        }
    )


class FakeClock:
    """A clock that moves a millisecond with every look."""

    def __init__(self):
        self.now_ns = 1_795_000_000_000_000_000

    def wall_ns(self):
        self.now_ns += 1_000_000
        return self.now_ns

    def monotonic(self):
        return self.now_ns / 1e9


class FakeClient:
    """Records what a client would have received."""

    def __init__(self):
        self.gone = False
        self.congested = False
        self.status = None
        self.headers = {}
        self.body = b""
        self.writes = []
        self.ended = None  # whole | finished | aborted
        self.on_gone = self.on_writable = lambda: None

    def watch(self, on_gone, on_writable):
        self.on_gone, self.on_writable = on_gone, on_writable
        if self.gone:
            on_gone()

    def respond(self, status, headers, body):
        assert self.status is None, "answered twice"
        self.status, self.headers, self.body, self.ended = status, dict(headers), body, "whole"

    def start(self, status, headers):
        assert self.status is None, "answered twice"
        self.status, self.headers = status, dict(headers)

    def write(self, data):
        assert self.ended is None, "wrote after the end"
        self.writes.append(data)
        self.body += data

    def finish(self):
        assert self.ended is None
        self.ended = "finished"

    def abort(self):
        assert self.ended is None
        self.ended = "aborted"

    def leave(self):
        self.gone = True
        self.on_gone()


@dataclass
class Script:
    """One answer of the scripted upstream. A callable among the pieces runs at its place."""

    status: int = 200
    headers: list = field(default_factory=lambda: [(b"content-type", b"application/json")])
    pieces: list = field(default_factory=list)
    failure: Failure | None = None
    raises: Exception | None = None


class ScriptedUpstream:
    """Plays scripts in order and records the calls; also the flow it hands out."""

    def __init__(self, *scripts):
        self.scripts = deque(scripts)
        self.calls = []
        self.cancelled = None
        self.paused = 0
        self.resumed = 0
        self.progressed = 0
        self.was_satisfied = False

    async def call(self, call, sink):
        self.calls.append(call)
        self.cancelled = None
        script = self.scripts.popleft()
        sink.attach(self)
        if script.raises is not None:
            raise script.raises
        if script.failure is not None and script.failure.phase in (Phase.CONNECT, Phase.HEADERS):
            return script.failure
        if self.cancelled is None:
            sink.head(script.status, script.headers)
        for piece in script.pieces:
            if self.cancelled is not None:
                return self.cancelled
            if callable(piece):
                piece()
            else:
                sink.data(piece)
        return self.cancelled or script.failure

    def pause(self):
        self.paused += 1

    def resume(self):
        self.resumed += 1

    def progress(self):
        self.progressed += 1

    def satisfied(self):
        self.was_satisfied = True

    def cancel(self, failure):
        self.cancelled = failure

    def redact(self, text):
        return redact(text, (SECRET,))


class Recorder:
    """An observer that keeps every receipt."""

    def __init__(self):
        self.receipts = []

    def observe(self, receipt):
        self.receipts.append(receipt)


class FixedSource:
    """A configuration that never changes."""

    def __init__(self, current):
        self.current = current


@dataclass
class Bench:
    """A pipeline and everything around it."""

    gateway: Gateway
    upstream: ScriptedUpstream
    journal: MemoryJournal
    recorder: Recorder
    clock: FakeClock

    async def ask(self, body, *, headers=None, client=None, endpoint=CHAT, peer_ip="127.0.0.1"):
        """Serve one request; returns (client, verdict)."""
        client = client or FakeClient()
        if headers is None:
            headers = [(b"authorization", b"Bearer " + KEY.encode())]
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        _, verdict = await serve(self.gateway, Inbound(endpoint, headers, body, peer_ip), client)
        assert len(self.gateway.running) == 0
        assert len(self.journal.intents) == len(self.journal.receipts), "an attempt has no outcome"
        return client, verdict


def make_bench(
    *scripts,
    config=None,
    journal=None,
    quotas=None,
    cache_bytes=0,
    guards=(),
    options=None,
    prices=None,
    answers=None,
):
    """A pipeline over the given scripts."""
    upstream, recorder, clock = ScriptedUpstream(*scripts), Recorder(), FakeClock()
    journal = journal or MemoryJournal()
    gateway = Gateway(
        clock=clock,
        source=FixedSource(config or snapshot()),
        upstreams=dict.fromkeys(ProviderKind, upstream),
        journal=journal,
        quotas=quotas or MemoryQuotaStore(clock),
        cache=MemoryResponseCache(cache_bytes),
        guards=guards,
        observers=[recorder],
        sealing=SivSealing(),
        request_ids=RequestIds(lambda size: b"\x01" * size, lambda day: "20261123"),
        options=options or GatewayOptions(),
        prices=prices,
        answers=answers,
    )
    return Bench(gateway, upstream, journal, recorder, clock)


def reply(content="hello", usage=(5, 2), **changes):
    """A whole chat completion of a provider."""
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "one-model",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content},
                "finish_reason": "stop",
            }
        ],
        **changes,
    }
    if usage is not None:
        body["usage"] = {
            "prompt_tokens": usage[0],
            "completion_tokens": usage[1],
            "total_tokens": sum(usage),
        }
    return json.dumps(body).encode()


def chunk(content=None, *, finish=None, usage=None, choices=None):
    """One server-sent event of a chat stream."""
    if choices is None:
        delta = {} if content is None else {"content": content}
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": choices}
    if usage is not None:
        body["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
EVENT_STREAM = [(b"content-type", b"text/event-stream; charset=utf-8")]


def streamed(*pieces, **changes):
    """A script of a stream."""
    return Script(headers=EVENT_STREAM, pieces=list(pieces), **changes)


def whole(body=None, **changes):
    """A script of a whole answer."""
    return Script(pieces=[reply() if body is None else body], **changes)


RESET = Failure(Phase.BODY, Cause.RESET, "The connection was reset.")
REFUSED = Failure(Phase.CONNECT, Cause.REFUSED, "The connection was refused.")
