"""Providers behind a proxy: a tunnel for https, nothing in the clear, the guard stays in force."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.fakes.certificates import Certificates
from tests.fakes.promptly import within
from tests.unit.adapters.http.scripted import Peer, Server, answers, client, provider
from tollway.domain.failure import Cause, Phase
from tollway.domain.ids import TenantId


class Proxy:
    """Opens tunnels to wherever a test says, and remembers what it was asked."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def __call__(self, peer: Peer) -> None:
        line, fields, _ = await peer.request()
        self.asked.append((line, fields))
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        peer.write(b"HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n")

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)

        ways = [
            asyncio.ensure_future(copy(peer._reader, writer)),
            asyncio.ensure_future(copy(reader, peer._writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            writer.transport.abort()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def test_https_goes_through_a_tunnel(certificates: Certificates) -> None:
    """CONNECT to the origin's name, TLS with the origin inside; the connection is kept."""
    async with Server(answers, certificates.server_context()) as origin:
        proxy = Proxy(origin.port)
        async with (
            Server(proxy) as near,
            client(
                proxy_url=f"http://127.0.0.1:{near.port}", ca_file=str(certificates.ca_file)
            ) as http,
        ):
            for _ in range(3):
                failure, sink = await http.ask(provider(origin.url))
                assert failure is None
                assert sink.body == b"hi"
            target = f"localhost:{origin.port}"
            assert proxy.asked == [(f"CONNECT {target} HTTP/1.1", {"host": target})]


async def test_http_goes_direct() -> None:
    """Plain http is for private hosts of the platform: no proxy sees it."""

    async def never(peer: Peer) -> None:
        raise AssertionError("the proxy was used")

    async with (
        Server(answers) as origin,
        Server(never) as near,
        client(proxy_url=f"http://127.0.0.1:{near.port}") as http,
    ):
        assert (await http.ask(provider(origin.url)))[0] is None


async def test_the_guard_is_in_force(certificates: Certificates) -> None:
    """A tenant's name is resolved and checked by us, and the proxy is given the checked address:
    it does not look the name up again."""
    async with Server(answers, certificates.server_context()) as origin:
        proxy = Proxy(origin.port)
        async with Server(proxy) as near:
            addresses = {"inside.example": "10.0.0.1", "api.example": "8.8.8.8"}
            async with client(
                proxy_url=f"http://127.0.0.1:{near.port}",
                ca_file=str(certificates.ca_file),
                lookup=lambda host, port: [addresses[host]],
            ) as http:
                at = provider("https://inside.example/v1", tenant_id=TenantId("ten_1"))
                failure, _ = await http.ask(at)
                assert failure is not None
                assert failure.cause is Cause.FORBIDDEN_ADDRESS
                assert near.accepted == 0
                at = provider("https://api.example/v1", tenant_id=TenantId("ten_1"))
                failure, _ = await http.ask(at)
                assert failure is not None
                assert failure.cause is Cause.TLS, "the origin's certificate has another name"
                assert [line for line, _ in proxy.asked] == ["CONNECT 8.8.8.8:443 HTTP/1.1"]


def says(answer: bytes) -> Callable[[Peer], Awaitable[None]]:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(answer)
        await peer.drain()

    return script


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", Cause.REFUSED),
        (b"HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\n", Cause.REFUSED),
        (b"HTTP/1.1 302 Found\r\nlocation: https://evil.example\r\n\r\n", Cause.REFUSED),
        (b"HTTP/2 200\r\n\r\n", Cause.REFUSED),
        (b"garbage\r\n\r\n", Cause.REFUSED),
        (b"HTTP/1.1 200 OK\r\n\r\nsurplus", Cause.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 10_000 + b"\r\n\r\n", Cause.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\n", Cause.PROTOCOL),
        (b"", Cause.PROTOCOL),
    ],
)
async def test_no_tunnel(answer: bytes, cause: Cause) -> None:
    """A proxy that refuses or talks nonsense is a failure to connect; nothing else is sent."""
    async with (
        Server(says(answer)) as near,
        client(proxy_url=f"http://127.0.0.1:{near.port}") as http,
    ):
        failure, _ = await http.ask(provider("https://api.example/v1"))
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.CONNECT, cause)


async def test_a_silent_proxy() -> None:
    """Costs the connect timeout."""

    async def silent(peer: Peer) -> None:
        await peer.gone()

    async with (
        Server(silent) as near,
        client(proxy_url=f"http://127.0.0.1:{near.port}", connect_timeout_s=0.1) as http,
    ):
        with within(0.35):
            failure, _ = await http.ask(provider("https://api.example/v1"))
            assert failure is not None
            assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.TIMEOUT)
