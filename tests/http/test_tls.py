"""The same server behind TLS."""

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import replace

import pytest

from tests.fakes.certificates import Certificates
from tests.http.serving import HOST, JSON, LOOPS, chunked, get, post, running
from tollway.web.gateway.options import ServerOptions
from tollway.web.gateway.tls import server_tls

FAST = ServerOptions(sweep_s=0.02, drain_grace_s=0.1, linger_timeout_s=0.3)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module", params=sorted(LOOPS))
def served(request, certificates):
    tls = server_tls(str(certificates.file()))
    client_tls = certificates.client_context()
    with running(options=FAST, tls=tls, client_tls=client_tls, loop=request.param) as served:
        yield served


def test_requests(served):
    """Plain, chunked, pipelined and streamed requests work as without TLS."""
    client = served.client()
    assert client.sock.version() in ("TLSv1.2", "TLSv1.3")
    client.send(post(b"hello") + chunked(b"2\r\nhi\r\n0\r\n\r\n") + get(b"/stream"))
    assert [client.answer().body for _ in range(3)] == [b"hello", b"hi", b"onetwo"]
    client.send(get(b"/x", b"Connection: close"))
    assert client.answer().status == 200
    assert client.closed()


def test_refusal_can_be_read(served):
    """A protocol refusal arrives whole although the client is still sending."""
    client = served.client()
    head = b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 3000000\r\n\r\n"
    client.send(head, b"x" * 3_000_000)
    assert client.answer().status == 413
    assert client.closed()


def test_http_1_0_stream(served):
    """An unframed stream ends with the close."""
    client = served.client()
    client.send(get(b"/stream", version=b"1.0"))
    assert client.answer().body == b"onetwo"


def test_client_that_leaves(served):
    """Over TLS a close is a close: the answer's client is gone."""
    client = served.client()
    client.send(get(b"/hold"))
    assert served.handler.arrived.acquire(timeout=5)
    client.close()
    assert served.handler.gone.acquire(timeout=2)


def test_abort_cuts_visibly(served):
    """An aborted stream ends without the last chunk."""
    client = served.client()
    client.send(get(b"/hold"))
    served.spin(lambda: served.handler.held and not served.handler.held[-1].gone)
    answer = served.handler.held[-1]
    served.call(answer.start, 200, JSON)
    served.call(answer.write, b"half")
    served.call(answer.abort)
    assert client.rest().endswith(b"\r\n\r\n4\r\nhalf\r\n")


def test_slow_reader_is_congestion(served):
    """Backpressure reaches the answer through TLS, and its end does too."""
    client = served.client(buffers=4096)
    client.send(get(b"/hold"))
    served.spin(lambda: served.handler.held and not served.handler.held[-1].gone)
    answer = served.handler.held[-1]
    served.call(answer.start, 200, JSON)
    written = 0
    while not answer.congested and written < 50_000_000:
        served.call(answer.write, b"x" * 16_384)
        written += 16_384
    assert answer.congested
    assert written < 5_000_000
    served.call(answer.finish)
    assert len(client.answer().body) == written


def test_old_versions_are_refused(served):
    """TLS 1.1 finds no common version."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection(("127.0.0.1", served.port)) as sock,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(sock)


def test_silent_handshake_ends(certificates):
    """A client that never begins its handshake is let go."""
    tls = server_tls(str(certificates.file()))
    options = replace(FAST, tls_handshake_timeout_s=0.1)
    with (
        running(options=options, tls=tls) as served,
        socket.create_connection(("127.0.0.1", served.port)) as sock,
    ):
        sock.settimeout(5)
        with suppress(ConnectionResetError):
            assert sock.recv(100) == b""


def test_certificate_without_key(tmp_path, certificates):
    """Files that do not belong together are an error at start."""
    with pytest.raises(ssl.SSLError):
        server_tls(str(certificates.ca_file), str(certificates.file()))
    with pytest.raises(OSError):
        server_tls(str(tmp_path / "absent.pem"))


def test_drain(certificates):
    """A drain answers the next request of a kept connection with `close`, and ends."""
    tls = server_tls(str(certificates.file()))
    client_tls = certificates.client_context()
    options = replace(FAST, drain_grace_s=0.3)
    with running(options=options, tls=tls, client_tls=client_tls) as served:
        client = served.client()
        client.send(get())
        assert client.answer().status == 200
        drained = asyncio.run_coroutine_threadsafe(served.server.drain(10), served.loop)
        served.spin(lambda: served.server.draining)
        client.send(get())
        assert client.answer().headers["connection"] == "close"
        assert client.closed()
        assert drained.result(5) == 0
