"""Making connections: names, addresses, TLS, and what is never sent when one of them fails."""

import asyncio
import errno
import os
import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.certificates import Certificates
from tests.fakes.promptly import within
from tests.unit.adapters.http.scripted import (
    GOOD,
    Peer,
    Server,
    Sink,
    against,
    answers,
    client,
    provider,
)
from tollway.adapters.http import dialing, guard
from tollway.adapters.http.options import UpstreamOptions
from tollway.adapters.http.upstream import HttpUpstream
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.ids import TenantId

TENANT = TenantId("ten_1")


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port of loopback whose queue is full: connecting to it neither succeeds nor fails."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


def resolving(*addresses: str) -> Any:
    return lambda host, port: list(addresses)


async def test_refused() -> None:
    """Nobody listens: the request was not sent."""
    async with Server(answers) as server:
        pass
    async with client() as http:
        failure, _ = await http.ask(provider(server.url))
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.REFUSED)


@pytest.mark.parametrize("own", [True, False])
async def test_connect_timeout(deaf_port: int, own: bool) -> None:
    """A host that does not answer costs the connect timeout, the provider's own or the server's."""
    at = provider(f"http://127.0.0.1:{deaf_port}/v1")
    options = {} if own else {"connect_timeout_s": 0.1}
    async with client(**options) as http:
        with within(0.35):
            failure, _ = await http.ask(replace(at, connect_timeout_s=0.1 if own else None))
            assert failure is not None
            assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.TIMEOUT)


async def test_the_next_address_is_tried(deaf_port: int) -> None:
    """A name's dead addresses cost a share of the time each, and the living one serves."""
    async with Server(answers) as server:
        for dead in ("127.0.0.99", "::1"):
            async with client(lookup=resolving(dead, "127.0.0.1")) as http:
                failure, _ = await http.ask(provider(f"http://name.example:{server.port}"))
                assert failure is None


@pytest.mark.parametrize("code", [errno.EAFNOSUPPORT, errno.EMFILE, errno.ENETUNREACH])
async def test_no_socket_for_an_address(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A machine without IPv6, or out of descriptors, is a failure of that address and no more."""
    new_socket = dialing._new_socket

    def only_v4(address: str) -> socket.socket:
        if ":" in address:
            raise OSError(code, os.strerror(code))
        return new_socket(address)

    monkeypatch.setattr(dialing, "_new_socket", only_v4)
    async with Server(answers) as server:
        for addresses, cause in ((["::1", "127.0.0.1"], None), (["::1"], Cause.REFUSED)):
            async with client(lookup=resolving(*addresses)) as http:
                failure, _ = await http.ask(provider(f"http://name.example:{server.port}"))
                assert (failure and failure.cause) is cause
                assert failure is None or os.strerror(code) in failure.message


async def test_reset_before_it_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant's provider that resets what it has just accepted is a failure, not an exception."""

    class Reset(socket.socket):
        def getpeername(self) -> Any:
            raise OSError(errno.ENOTCONN, "not connected")

    def reset(address: str) -> socket.socket:
        made = Reset(socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        return made

    monkeypatch.setattr(dialing, "_new_socket", reset)
    monkeypatch.setattr(dialing, "any_forbidden", lambda addresses: False)
    async with Server(answers) as server, client(lookup=resolving("127.0.0.1")) as http:
        at = provider(f"https://name.example:{server.port}/v1", tenant_id=TENANT)
        failure, _ = await http.ask(at)
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.RESET)


async def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is unknown, empty or not resolved in time is a failure of DNS."""

    def lookup(host: str, port: int) -> list[str]:
        if host == "unknown.example":
            raise OSError
        if host == "stalled.example":
            time.sleep(0.3)
        return []

    async with client(lookup=lookup, dns_timeout_s=0.1) as http:
        for name in ("unknown", "empty", "stalled"):
            with within(0.35):
                failure, _ = await http.ask(provider(f"http://{name}.example/v1"))
                assert failure is not None
                assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.DNS)


async def test_slow_dns_of_one_host_delays_no_other() -> None:
    """Row 101: while many names of a tenant stall, calls to others go on; kept connections need no
    name."""
    asked: list[str] = []

    def lookup(host: str, port: int) -> list[str]:
        asked.append(host)
        if host.startswith("stalled"):
            time.sleep(0.25)
            raise OSError
        return ["127.0.0.1"]

    async with Server(answers) as server, client(lookup=lookup) as http:
        stalled = [
            asyncio.ensure_future(
                http.ask(provider(f"https://stalled{n}.example", id=f"prv_s{n}", tenant_id=TENANT))
            )
            for n in range(6)
        ]
        await asyncio.sleep(0.02)
        for _ in range(3):
            with within(0.1):
                failure, _ = await http.ask(provider(f"http://good.example:{server.port}"))
                assert failure is None
        assert asked.count("good.example") == 1
        for failure, _ in await asyncio.gather(*stalled):
            assert failure is not None
            assert failure.cause is Cause.DNS


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"]],
)
async def test_a_tenants_name_must_not_lead_inside(
    certificates: Certificates, addresses: list[str]
) -> None:
    """Row 85: every address of a tenant's provider is checked; nothing is connected to."""
    tls = certificates.server_context()
    async with Server(answers, tls) as server, client(lookup=resolving(*addresses)) as http:
        at = provider(f"https://localhost.example:{server.port}/v1", tenant_id=TENANT)
        failure, _ = await http.ask(at)
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.FORBIDDEN_ADDRESS)
        assert server.accepted == 0


async def test_rebinding_changes_nothing(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 84: a name is looked up once for a connection; the checked address is the one used."""
    allowed = [["8.8.8.8"], ["127.0.0.1"]]
    connected: list[str] = []

    async def connect(self: object, addresses: list[str], port: int, timeout_s: float) -> None:
        connected.extend(addresses)
        raise dialing.DialError(Cause.REFUSED, "enough seen")

    monkeypatch.setattr(dialing.Dialer, "_connect", connect)
    async with client(lookup=lambda host, port: allowed.pop(0)) as http:
        at = provider("https://rebinding.example/v1", tenant_id=TENANT)
        failure, _ = await http.ask(at)
        assert failure is not None
        assert failure.cause is Cause.REFUSED
        assert connected == ["8.8.8.8"]


async def test_our_own_machine_under_another_address(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that no table lists but that leads back to this machine is refused."""
    monkeypatch.setattr(dialing, "any_forbidden", lambda addresses: False)
    tls = certificates.server_context()
    spoken: list[bytes] = []

    async def script(peer: Peer) -> None:
        spoken.append(b"a request")

    async with Server(script, tls) as server, client(lookup=resolving("127.0.0.1")) as http:
        failure, _ = await http.ask(
            provider(f"https://name.example:{server.port}/v1", tenant_id=TENANT)
        )
        assert failure is not None
        assert failure.cause is Cause.FORBIDDEN_ADDRESS
        assert not spoken


@pytest.mark.parametrize("url", ["http://api.example.com", "https://10.0.0.1", "https://a@b.c"])
async def test_a_tenants_base_url_is_judged_first(url: str) -> None:
    """A URL outside the grammar, or an address in it, fails before anything is looked up."""
    asked: list[str] = []
    async with client(lookup=lambda host, port: asked.append(host) or []) as http:
        failure, sink = await http.ask(provider(url, tenant_id=TENANT))
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.FORBIDDEN_ADDRESS)
        assert not asked
        assert sink.flow is None


async def test_a_platform_provider_may_be_private() -> None:
    """The platform admin's own model server is on loopback, by plain HTTP."""
    async with against(answers) as (http, at, _):
        assert (await http.ask(at))[0] is None


async def test_tls(certificates: Certificates) -> None:
    """Verified against our authority, TLS 1.2 or newer, HTTP/1.1 agreed on, name and host sent."""
    context = certificates.server_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    names: list[str] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    seen: list[Any] = []

    async def script(peer: Peer) -> None:
        encryption = peer._writer.get_extra_info("ssl_object")
        seen.append((encryption.version(), encryption.selected_alpn_protocol()))
        _, fields, _ = await peer.request()
        seen.append(fields["host"])
        peer.write(GOOD)
        await answers(peer)

    ca_file = str(certificates.ca_file)
    async with against(script, tls=context, ca_file=ca_file) as (http, at, server):
        for _ in range(3):
            assert (await http.ask(at))[0] is None
        assert server.accepted == 1
        assert seen == [("TLSv1.3", "http/1.1"), f"localhost:{server.port}"]
        assert names == ["localhost"]


@pytest.mark.parametrize("kind", ["expired", "wrong_name", "unknown_ca", "self_signed", "old"])
async def test_tls_that_does_not_verify(certificates: Certificates, kind: str) -> None:
    """Row 100: no byte of a request, and so no secret, goes to whom we cannot verify."""
    context = certificates.server_context("good" if kind in ("self_signed", "old") else kind)
    if kind == "old":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
    ca_file = None if kind == "self_signed" else str(certificates.ca_file)
    spoken: list[object] = []

    async def script(peer: Peer) -> None:
        spoken.append(await peer.request())

    # Servers of old versions and refused handshakes are reported to the loop, not to the test.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with against(script, tls=context, ca_file=ca_file) as (http, at, _):
        failure, _ = await http.ask(at)
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.TLS)
        assert http.http.open_connections == 0
    assert not spoken


@pytest.mark.parametrize("greeting", [b"SSH-2.0-x\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
async def test_no_tls_at_all(greeting: bytes) -> None:
    """G-60: an origin that speaks something else, or hangs up, fails in the handshake."""

    async def script(peer: Peer) -> None:
        await peer._reader.read(1)
        peer.write(greeting)
        await peer.drain()
        peer.close()

    async with Server(script) as server, client() as http:
        failure, _ = await http.ask(provider(f"https://localhost:{server.port}/v1"))
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.TLS)


async def test_tls_timeout() -> None:
    """G-60: a handshake that stalls has its own deadline."""

    async def script(peer: Peer) -> None:
        await peer.gone()

    async with Server(script) as server, client(tls_timeout_s=0.1) as http:
        with within(0.35):
            failure, _ = await http.ask(provider(f"https://localhost:{server.port}/v1"))
            assert failure is not None
            assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.TIMEOUT)


@pytest.mark.parametrize("how", ["task", "flow", "total"])
async def test_giving_up_while_connecting(deaf_port: int, how: str) -> None:
    """A call that ends while it dials leaves nothing behind."""
    gone = Failure(Phase.CONNECT, Cause.CLIENT_GONE, "")
    total_s = 0.1 if how == "total" else 60.0
    async with client(total_timeout_s=total_s) as http:
        sink = Sink()
        asking = asyncio.ensure_future(http.ask(provider(f"http://127.0.0.1:{deaf_port}/v1"), sink))
        await asyncio.sleep(0.02)
        if how == "task":
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        else:
            if how == "flow":
                sink.flow.cancel(gone)
            failure, _ = await asking
            assert failure is not None
            expected = Cause.CLIENT_GONE if how == "flow" else Cause.TIMEOUT
            assert (failure.phase, failure.cause) == (Phase.CONNECT, expected)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert all(pool.unused for pool in http.http._pools.values())


async def test_a_connection_that_came_too_late_is_kept() -> None:
    """A call was cancelled when its connection had just come: the next call uses it."""
    async with against(answers) as (http, at, server):
        for _ in range(20):
            asking = asyncio.ensure_future(http.ask(at))
            while server.accepted == 0:
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])
            break
        assert (await http.ask(at))[0] is None
        pool = next(iter(http.http._pools.values()))
        assert pool._slots == pool.open_connections


def test_options_that_cannot_be_used(tmp_path: Any) -> None:
    """A CA file or proxy that makes no sense stops the start, not a request."""
    nonsense = tmp_path / "ca.pem"
    nonsense.write_text("nothing")
    for options in (
        {"ca_file": str(nonsense)},
        {"ca_file": str(tmp_path / "absent.pem")},
        {"proxy_url": "https://proxy:3128"},
        {"proxy_url": "proxy:3128"},
        {"proxy_url": "http://user:pass@proxy:3128"},
        {"proxy_url": "http://proxy:3128/path"},
    ):
        with pytest.raises(ValueError, match=r"PEM|proxy"):
            HttpUpstream(UpstreamOptions(**options))


def test_the_guard_is_the_one_that_is_tested() -> None:
    """Dialing uses the table of `guard.py`."""
    assert dialing.any_forbidden is guard.any_forbidden
