"""Documents from identity providers."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.certificates import Authority
from tests.fakes.issuer import Issuer, running_issuer
from tollway.adapters.identity.fetching import MAX_BODY_BYTES, Answer, Fetcher, FetchError


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as running:
        yield running


def test_an_object_comes_with_its_status(issuer: Issuer) -> None:
    """Also that of an error; forms and credentials arrive."""
    issuer.answers["/token"] = (400, {"error": "invalid_grant"})
    issuer.answers["/token"] = lambda: (400, {"error": "invalid_grant"})
    answer = Fetcher().post(f"{issuer.url}/token", {"code": "a b&c"}, authorization="Basic eA==")
    assert answer == Answer(400, {"error": "invalid_grant"})
    assert issuer.forms == [{"code": "a b&c"}]
    assert issuer.authorizations == ["Basic eA=="]


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (302, "redirect"),
        (307, "redirect"),
        (b"[]", "JSON object"),
        (b"", "JSON object"),
        (b'{"a":1,"a":2}', "JSON object"),
        (b"<html>", "JSON object"),
        (b" " * (MAX_BODY_BYTES + 1), "more than"),
    ],
)
def test_answers_that_are_none(issuer: Issuer, answer: object, part: str) -> None:
    """A redirect is not followed; a body that is large, or no object, is not read."""
    issuer.answers["/x"] = answer
    with pytest.raises(FetchError, match=part):
        Fetcher().get(f"{issuer.url}/x")
    assert "/jwks" not in issuer.asked


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "http://id.example/x", "ftp://127.0.0.1/", "http://127.0.0.1:99999/",
        "http://user@127.0.0.1/", "file:///etc/passwd", "http://127.0.0.1:1/",
        "http://127.0.0.1:1/?a b", "https://" + "a" * 300 + ".example/",
    ],
)  # fmt: skip
def test_places_that_are_not_asked(url: str) -> None:
    """Plain http reaches this machine only; whatever is wrong is a FetchError without a query."""
    with pytest.raises(FetchError) as caught:
        Fetcher().get(f"{url}?secret" if "?" not in url and url.startswith("http") else url)
    assert "secret" not in str(caught.value)


def _speaker(pieces: Iterator[bytes]) -> tuple[str, threading.Thread]:
    """A server that says these pieces to whoever comes first."""
    listener = socket.create_server(("127.0.0.1", 0))

    def speak() -> None:
        with listener, contextlib.suppress(OSError):
            peer, _ = listener.accept()
            with peer:
                peer.recv(65536)
                for piece in pieces:
                    peer.sendall(piece)

    thread = threading.Thread(target=speak)
    thread.start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/x", thread


def _dripping(begin: bytes, drop: bytes) -> Iterator[bytes]:
    yield begin
    for _ in range(250):  # five seconds: without a deadline the test fails, and does not hang
        time.sleep(0.02)
        yield drop


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n{", b" "),
        (b"HTTP/1.1 200 OK\r\n\r\n{", b" "),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 200 OK\r\nx: ", b"y"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"H"),
    ],
)
def test_a_drip_meets_the_deadline(begin: bytes, drop: bytes) -> None:
    """Bytes that keep coming do not keep the exchange alive."""
    url, thread = _speaker(_dripping(begin, drop))
    began = time.monotonic()
    with pytest.raises(FetchError):
        Fetcher(timeout_s=0.3).get(url)
    assert time.monotonic() - began < 3
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    "text",
    [
        b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200,
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000,
    ],
)  # fmt: skip
def test_broken_answers_are_errors(text: bytes) -> None:
    """Whatever a server says, nothing but FetchError comes out."""
    url, thread = _speaker(iter([text]))
    with pytest.raises(FetchError):
        Fetcher(timeout_s=2).get(url)
    thread.join(10)


def test_fetches_at_once_are_bounded(issuer: Issuer) -> None:
    """A provider that hangs does not collect threads without end: the ninth is refused."""
    issuer.hold.clear()
    issuer.answers["/x"] = {}
    fetcher = Fetcher()
    threads = [threading.Thread(target=fetcher.get, args=(f"{issuer.url}/x",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    while issuer.asked.get("/x", 0) < 8:
        time.sleep(0.005)
    with pytest.raises(FetchError, match="too many"):
        fetcher.get(f"{issuer.url}/x")
    issuer.hold.set()
    for thread in threads:
        thread.join(10)
    assert fetcher.get(f"{issuer.url}/x").status == 200


def _tls_server(pem: bytes, folder: Path) -> tuple[int, threading.Thread]:
    chain = folder / "server.pem"
    chain.write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, contextlib.suppress(OSError):
            peer, _ = listener.accept()
            with peer, context.wrap_socket(peer, server_side=True) as secured:
                secured.recv(65536)
                secured.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    thread = threading.Thread(target=serve)
    thread.start()
    return listener.getsockname()[1], thread


@pytest.mark.parametrize(
    ("names", "days", "trusted", "works"),
    [
        (["localhost"], 1, True, True),
        (["localhost"], 1, False, False),
        (["other.example"], 1, True, False),
        (["localhost"], -1, True, False),
    ],
)
def test_certificates_are_checked(
    tmp_path: Path, names: list[str], days: int, trusted: bool, works: bool
) -> None:
    """Another name, another authority, or too late: no fetch."""
    authority = Authority()
    port, thread = _tls_server(authority.issue(names, days=days), tmp_path)
    known = authority if trusted else Authority("Another")
    context = ssl.create_default_context(cadata=known.pem().decode())
    with contextlib.nullcontext() if works else pytest.raises(FetchError, match="certificate"):
        assert Fetcher(tls=context).get(f"https://localhost:{port}/").document == {}
    thread.join(10)
