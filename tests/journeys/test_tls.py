"""TLS on both sides: the official client over HTTPS, a provider with a private authority, and on
either side a peer that gets the handshake wrong.
"""

import contextlib
import itertools
import json
import socket
import ssl
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.fakes.certificates import Certificates
from tests.fakes.gateway import wait_until
from tests.fakes.provider import ProviderProcess
from tests.fakes.raw_provider import RawProvider, RawRequest
from tests.fakes.stage import Reply, Stage

NONCES = itertools.count(1)
WRONG = ("expired", "wrong_name", "unknown_ca")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def certificates(folder: Path) -> Certificates:
    return Certificates(folder)


@pytest.fixture(scope="module")
def providers(folder: Path, certificates: Certificates) -> Iterator[dict[str, ProviderProcess]]:
    """One with a good certificate, and one with each kind of a wrong one."""
    made = {
        kind: ProviderProcess(folder / f"truth-{kind}", pem=certificates.file(kind))
        for kind in ("good", *WRONG)
    }
    yield made
    for provider in made.values():
        provider.stop()


@pytest.fixture(scope="module")
def listener() -> Iterator[RawProvider]:
    """No TLS at all, or a script's own."""
    made = RawProvider()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def stage(
    folder: Path,
    certificates: Certificates,
    providers: dict[str, ProviderProcess],
    listener: RawProvider,
) -> Iterator[Stage]:
    pem = certificates.file("good")
    made = Stage(
        folder,
        tls_cert_file=pem,
        tls_key_file=pem,
        upstream_ca_file=certificates.ca_file,
        upstream_tls_timeout_s=0.5,
        header_timeout_s=1,
    )
    for kind, provider in providers.items():
        made.add_provider(kind, provider.base_url, credentials=_SECRET)
    made.add_provider("plain", listener.base_url.replace("http:", "https:"), credentials=_SECRET)
    made.begin()
    assert made.tree.base_url.startswith("https://")
    yield made
    made.close()


_SECRET = [{"reference": "env:SIMULATED_PROVIDER_KEY"}]


@pytest.fixture
def trusting(certificates: Certificates) -> ssl.SSLContext:
    return certificates.client_context()


def say(stage: Stage, context: ssl.SSLContext, model: str, script: str, **fields: Any) -> Reply:
    """A chat completion over HTTPS."""
    nonce = f"t{next(NONCES)}"
    body = {
        "model": model,
        "messages": [{"role": "user", "content": f"hi [[id={nonce} {script}]]"}],
        **fields,
    }
    connection = stage.connect(context)
    headers = {
        "authorization": f"Bearer {stage.tree.key}",
        "content-type": "application/json",
        "x-request-id": nonce,
    }
    with contextlib.closing(connection):
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        with connection.getresponse() as response:
            text = response.read()
            return Reply(response.status, dict(response.getheaders()), text, True, nonce)


def test_the_official_client(
    stage: Stage, trusting: ssl.SSLContext, providers: dict[str, ProviderProcess]
) -> None:
    """Whole and streamed, over HTTPS both ways; the ledger equals the truth log."""
    with OpenAI(
        base_url=stage.tree.base_url,
        api_key=stage.tree.key,
        max_retries=0,
        http_client=httpx2.Client(verify=trusting),
    ) as client:
        for stream in (False, True):
            nonce = f"both-{stream}"
            given: Any = client.chat.completions.create(
                model="good",
                messages=[{"role": "user", "content": f"hi [[id={nonce} tokens=6]]"}],
                stream=stream,
                extra_headers={"x-request-id": nonce},
            )
            if stream:
                assert sum(bool(one.choices[0].delta.content) for one in given) == 6
            (emitted,) = providers["good"].truth.by_nonce()[nonce]
            assert emitted.usage is not None
            row = stage.row(nonce)
            assert row["output"] == emitted.usage["completion_tokens"] == 6
            assert row["input"] == emitted.usage["prompt_tokens"]
        with pytest.raises(openai.APIError):
            list(
                client.chat.completions.create(
                    model="good",
                    messages=[{"role": "user", "content": "hi [[tokens=9 fault=reset at=3]]"}],
                    stream=True,
                )
            )


async def test_the_asynchronous_client(stage: Stage, trusting: ssl.SSLContext) -> None:
    """The same over asyncio."""
    async with AsyncOpenAI(
        base_url=stage.tree.base_url,
        api_key=stage.tree.key,
        max_retries=0,
        http_client=httpx2.AsyncClient(verify=trusting),
    ) as client:
        stream = await client.chat.completions.create(
            model="good", messages=[{"role": "user", "content": "[[tokens=3]]"}], stream=True
        )
        assert len([one async for one in stream if one.choices[0].delta.content]) == 3


def test_a_large_body_both_ways(stage: Stage, trusting: ssl.SSLContext) -> None:
    """Several megabytes in, a long stream out, through both encryptions."""
    messages = [
        {"role": "user", "content": "x" * (4 << 20)},
        {"role": "user", "content": "hi [[tokens=3000 burst=100]]"},
    ]
    reply = say(stage, trusting, "good", "", messages=messages, stream=True)
    assert reply.status == 200
    assert reply.body.count(b'"content"') == 3001
    assert reply.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("fault", ["reset", "fin"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_encrypted_provider_that_breaks_off(
    stage: Stage, trusting: ssl.SSLContext, fault: str, stream: bool
) -> None:
    """Also over TLS a close that is not the end of the answer is not taken for it."""
    reply = say(stage, trusting, "good", f"tokens=3 fault={fault} at=first", stream=stream)
    assert reply.status == 502
    assert stage.row(reply.nonce)["payer"] == "failed"
    assert say(stage, trusting, "good", "tokens=1").status == 200


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_provider_whose_certificate_is_wrong(
    stage: Stage,
    trusting: ssl.SSLContext,
    providers: dict[str, ProviderProcess],
    kind: str,
    stream: bool,
) -> None:
    """Row 100: 502, and neither request nor secret left."""
    reply = say(stage, trusting, kind, "tokens=1", stream=stream)
    assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
    row = stage.row(reply.nonce)
    assert (row["error"], row["payer"], row["upstream_status"]) == ("connect:tls", "failed", None)
    assert providers[kind].truth.requests == {}


def old_tls(connection: socket.socket, certificates: Certificates) -> None:
    """A server that speaks nothing newer than TLS 1.1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = certificates.server_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with contextlib.suppress(OSError):
        context.wrap_socket(connection, server_side=True).recv(1)


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("not-tls", "connect:tls"),
        ("reset", "connect:tls"),
        ("silent", "connect:timeout"),
        ("old", "connect:tls"),
    ],
)
def test_a_provider_that_cannot_shake_hands(
    stage: Stage,
    trusting: ssl.SSLContext,
    listener: RawProvider,
    certificates: Certificates,
    how: str,
    error: str,
) -> None:
    """Something else than TLS, a reset, silence, TLS 1.1: 502 or 504 in time, nothing was sent."""
    received = b""

    def take(connection: socket.socket, number: int) -> RawRequest | None:
        nonlocal received
        if how == "old":
            old_tls(connection, certificates)
            return None
        received += connection.recv(65536)
        if how == "not-tls":
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        elif how == "reset":
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return None
        while piece := connection.recv(65536):
            received += piece
        return None

    listener.read = take
    reply = say(stage, trusting, "plain", "tokens=1")
    assert reply.status == 502
    assert reply.error["code"] in ("upstream_unreachable", "upstream_timeout")
    assert stage.row(reply.nonce)["error"] == error
    assert b"POST" not in received
    assert b"simulated-provider-key" not in received


def test_clients_that_cannot_shake_hands(stage: Stage, trusting: ssl.SSLContext) -> None:
    """Plain HTTP, TLS 1.1, garbage, half a handshake, a cut without close_notify: closed in time,
    and others are served."""
    for start in (
        b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00" + b"\xff" * 600,
        b"\x00",
        b"",
    ):
        connection = socket.create_connection(stage.address, timeout=15)
        connection.sendall(start)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    with socket.create_connection(stage.address, timeout=15) as plain:
        plain.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            while piece := plain.recv(4096):
                assert b"HTTP/1.1 200" not in piece
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(stage.address, timeout=15) as connection,
        pytest.raises((ssl.SSLError, ConnectionResetError)),
    ):
        old.wrap_socket(connection)
    assert say(stage, trusting, "good", "tokens=2").status == 200


def test_a_client_that_leaves_an_encrypted_stream(
    stage: Stage, trusting: ssl.SSLContext, providers: dict[str, ProviderProcess]
) -> None:
    """Without a word, over TLS: the provider's work ends within a second, billed as received."""
    body = (
        b'{"model":"good","stream":true,"messages":[{"role":"user","content":'
        b'"[[id=tls-leaver tokens=5000 gap_ms=5]]"}]}'
    )
    raw = socket.create_connection(stage.address, timeout=15)
    encrypted = trusting.wrap_socket(raw, server_hostname="localhost")
    encrypted.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"authorization: Bearer %b\r\nx-request-id: tls-leaver\r\ncontent-length: %d\r\n\r\n%b"
        % (stage.tree.key.encode(), len(body), body)
    )
    got = b""
    while got.count(b'"content"') < 5:
        got += encrypted.recv(65536)
    encrypted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    encrypted.close()
    truth = providers["good"]
    wait_until(lambda: truth.truth.by_nonce()["tls-leaver"][0].closed_by == "peer", 1.5)
    row = stage.row("tls-leaver")
    assert (row["payer"], row["usage_source"]) == ("client_gone", "estimated")
    assert 4 <= row["output"] <= truth.truth.by_nonce()["tls-leaver"][0].tokens
