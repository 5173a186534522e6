"""Trying a provider: a real call over a real socket, by the rules that hold for every call."""

import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tollway.adapters.http.options import UpstreamOptions
from tollway.adapters.http.probe import HttpProbe
from tollway.adapters.system.secrets import AesGcmBox
from tollway.app.admin.sealing import seal_credential
from tollway.domain.provider import CredentialRecord, ProviderKind, ProviderRecord

SECRET = "sk-very-secret"
KEY = CredentialRecord("crd_1", "env:PROBE_KEY")


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setenv("PROBE_KEY", SECRET)


@contextmanager
def provider(status=200, *, body=b'{"data": []}', headers=(), gate=None):
    """A provider that answers so, once `gate` is open; yields its record and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.headers["content-type"] == "application/json"
            assert b'"hi"' in body
            self.do_GET()

        def do_GET(self):
            asked.append((self.path, self.headers["authorization"]))
            if gate is not None:
                gate.wait(10)
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield record(f"http://127.0.0.1:{server.server_port}/v1"), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def record(base_url, owner=None, kind=ProviderKind.OPENAI_COMPATIBLE):
    return ProviderRecord("prv_1", "p", kind, base_url, owner)


def probe(**options):
    return HttpProbe(UpstreamOptions(**options))


def test_a_good_provider_is_asked_for_its_models():
    """With the credential, once."""
    with provider() as (good, asked):
        assert probe().probe(good, KEY) == (True, 200, "The provider answered.")
        assert asked == [("/v1/models", f"Bearer {SECRET}")]
        assert probe().probe(good, None).ok
        assert asked[1] == ("/v1/models", None)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "credential"),
        (403, "credential"),
        (404, "/models"),
        (302, "not followed"),
        (429, "429"),
        (500, "500"),
    ],
)
def test_other_answers_are_told_in_our_words(status, words):
    """Nothing the provider says is repeated: it may be our own secret."""
    echoed = f"wrong key: {SECRET}".encode()
    headers = [("location", "http://169.254.169.254/")]
    with provider(status, body=echoed, headers=headers) as (bad, asked):
        report = probe().probe(bad, KEY)
    assert (report.ok, report.status) == (False, status)
    assert words in report.reason
    assert SECRET not in report.reason
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("status", "words"), [(200, "answered"), (403, "ListAsyncInvokes"), (404, "/async-invoke")]
)
def test_bedrock_is_asked_what_runs(status, words, monkeypatch):
    """It lists no models there; a no may be about the credential, or about what it may do."""
    monkeypatch.setenv("PROBE_KEY", "AKIDPROBE:secret")
    with provider(status) as (there, asked):
        port = there.base_url.rpartition(":")[2].removesuffix("/v1")
        url = f"http://bedrock-runtime.us-east-1.amazonaws.com:{port}"
        one = HttpProbe(UpstreamOptions(), lookup=lambda host, port: ["127.0.0.1"])
        report = one.probe(record(url, kind=ProviderKind.BEDROCK), KEY)
    assert (report.ok, report.status) == (status == 200, status)
    assert words in report.reason
    [(path, authorization)] = asked
    assert path == "/async-invoke"
    assert authorization.startswith("AWS4-HMAC-SHA256 Credential=AKIDPROBE/")


def test_a_long_answer_is_not_read_to_its_end():
    """It answered: that is enough."""
    with provider(body=b"x" * 5_000_000) as (long, _):
        assert probe().probe(long, KEY).ok


def test_a_tenants_provider_is_guarded():
    """By its address, and by the address its name leads to; nothing is sent there."""
    with provider() as (private, asked):
        theirs = record(private.base_url, "ten_1")
        report = probe().probe(theirs, None)
        assert (report.ok, report.status) == (False, None)
        named = record("https://public.example/v1", "ten_1")
        rebound = HttpProbe(UpstreamOptions(), lookup=lambda host, port: ["8.8.8.8", "127.0.0.1"])
        assert rebound.probe(named, None).reason == (
            "A tenant's provider may not be at this address."
        )
        assert asked == []


def test_a_sealed_secret_is_opened_for_its_own_place_only():
    """Sealed for another origin, it is not sent anywhere."""
    box = AesGcmBox(bytes(32))
    one = HttpProbe(UpstreamOptions(), box)
    with provider() as (good, asked):
        sealed = CredentialRecord("crd_1", envelope=seal_credential(box, good, SECRET))
        assert one.probe(good, sealed).ok
        assert asked == [("/v1/models", f"Bearer {SECRET}")]
        elsewhere = record("http://127.0.0.1:1/v1")
        moved = CredentialRecord("crd_1", envelope=seal_credential(box, elsewhere, SECRET))
        assert one.probe(good, moved).ok is False
        assert len(asked) == 1


def test_what_the_network_does_is_a_report():
    """Nobody there, no name, no secret, no answer in time."""
    with provider() as (gone, _):
        pass
    assert "refused" in probe().probe(gone, KEY).reason

    def nowhere(host, port):
        raise OSError("no such name")

    nameless = HttpProbe(UpstreamOptions(), lookup=nowhere)
    assert "name" in nameless.probe(record("https://nowhere.example"), KEY).reason
    with provider() as (good, asked):
        missing = probe().probe(good, CredentialRecord("crd_1", "env:PROBE_NONE"))
        assert (missing.ok, asked) == (False, [])
        assert "PROBE_NONE" in missing.reason
    gate = threading.Event()
    with provider(gate=gate) as (slow, _):
        report = probe(headers_timeout_s=0.2).probe(slow, KEY)
        gate.set()
    assert (report.ok, report.status) == (False, None)


def test_the_built_in_provider_always_answers():
    """Without a call."""
    assert probe().probe(record("", kind=ProviderKind.ECHO), None).ok


def test_few_are_tried_at_once():
    """Two of an owner, so that one tenant's slow providers do not hold the admin API."""
    gate, reports = threading.Event(), []
    with provider(gate=gate) as (slow, asked):
        one = probe()

        def ask():
            reports.append(one.probe(slow, KEY))

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        while len(reports) < 4:  # those beyond two come back at once
            threading.Event().wait(0.01)
        assert reports == [None] * 4
        gate.set()
        for thread in threads:
            thread.join()
        assert [report.ok for report in reports[4:]] == [True, True]
        assert one.probe(slow, KEY).ok
        assert len(asked) == 3


def test_ollama_lists_its_models_elsewhere():
    """And needs no secret."""
    with provider() as (good, asked):
        theirs = record(good.base_url.removesuffix("/v1"), kind=ProviderKind.OLLAMA)
        assert probe().probe(theirs, None).ok
        assert asked == [("/api/tags", None)]


def test_vertex_counts_a_word():
    """It lists no models in a project, and counting costs nothing."""
    with provider() as (good, asked):
        theirs = record(good.base_url, kind=ProviderKind.VERTEX)
        assert probe().probe(theirs, KEY).ok
        path = "/v1/publishers/google/models/gemini-2.5-flash:countTokens"
        assert asked == [(path, f"Bearer {SECRET}")]
