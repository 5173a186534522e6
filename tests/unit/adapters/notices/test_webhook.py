"""Posting to receivers that behave, that do not, and that are not receivers at all."""

import functools
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from tests.fakes.certificates import Certificates
from tests.fakes.receiver import OK, Receiver, answering, running_receiver
from tests.unit.domain.test_notice import made
from tests.unit.domain.test_origin import FORBIDDEN
from tollway.adapters.http.guard import any_forbidden
from tollway.adapters.notices.dialing import Dialer, Lookup
from tollway.adapters.notices.webhook import WebhookSender
from tollway.domain.notice import NoticeFormat
from tollway.domain.notice_delivery import Delivered, Failed, Outcome
from tollway.domain.notice_posting import Posting, write_posting
from tollway.domain.notice_signing import sign

SECRET = bytes(range(32))
AT_S = 1_790_000_100
PUBLIC = "8.8.8.8"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@functools.cache
def system_trust() -> ssl.SSLContext:
    """Read once: it takes 20 ms."""
    return ssl.create_default_context()


def to_here(host: str, port: int) -> list[str]:
    """A look-up that finds this machine under every name."""
    return ["127.0.0.1"]


def sender(
    *,
    lookup: Lookup = to_here,
    guard: Callable[[list[str]], bool] = any_forbidden,
    tls: ssl.SSLContext | None = None,
    timeout_s: float = 5.0,
) -> WebhookSender:
    dialer = Dialer(lookup=lookup, any_forbidden=guard)
    return WebhookSender(dialer, tls=tls or system_trust(), timeout_s=timeout_s)


def posting(url: str, **changes: Any) -> Posting:
    wanted = {"url": url, "owner": None, "notice_format": NoticeFormat.JSON, "secrets": [SECRET]}
    return write_posting(made(), **{**wanted, "at_s": AT_S, **changes})


def failure(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed)
    assert "secret" not in outcome.reason
    return outcome


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver(Receiver()) as running:
        yield running


def test_a_notice_arrives(receiver: Receiver) -> None:
    """The line, the headers of the specification, and exactly the bytes that were signed."""
    sent = posting(f"http://127.0.0.1:{receiver.port}/hook?a=%2Fb")
    assert sender().send(sent) == Delivered()
    (request,) = receiver.requests
    assert request.line == "POST /hook?a=%2Fb HTTP/1.1"
    assert request.body == sent.body
    assert json.loads(request.body)["type"] == "quota.threshold_reached"
    signature = sign(SECRET, message_id=made().id, timestamp_s=AT_S, body=request.body)
    assert request.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "accept-encoding": "identity",
        "content-length": str(len(sent.body)),
        "user-agent": "Tollway",
        "connection": "close",
        "content-type": "application/json",
        "webhook-id": "evt_0123456789abcdef",
        "webhook-timestamp": str(AT_S),
        "webhook-signature": signature,
    }


def test_over_tls(certificates: Certificates) -> None:
    """The certificate is checked against the name, though the address is what is connected to."""
    with running_receiver(Receiver(tls=certificates.server_context())) as receiver:
        over = sender(tls=certificates.client_context())
        assert over.send(posting(f"https://localhost:{receiver.port}/")) == Delivered()
    assert receiver.requests[0].headers["host"] == f"localhost:{receiver.port}"


@pytest.mark.parametrize("kind", ["expired", "wrong_name", "unknown_ca"])
def test_a_wrong_certificate_gets_nothing(certificates: Certificates, kind: str) -> None:
    """No request, so no secret; and another attempt, for certificates are renewed (row 100)."""
    with running_receiver(Receiver(tls=certificates.server_context(kind))) as receiver:
        over = sender(tls=certificates.client_context())
        outcome = failure(over.send(posting(f"https://localhost:{receiver.port}/secret")))
    assert outcome.retryable
    assert "certificate is not valid" in outcome.reason
    assert not receiver.requests


def test_old_tls_gets_nothing(certificates: Certificates) -> None:
    """TLS 1.1 is no TLS (row 100)."""
    old = certificates.server_context()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with running_receiver(Receiver(tls=old)) as receiver:
        over = sender(tls=certificates.client_context())
        outcome = over.send(posting(f"https://localhost:{receiver.port}/secret"))
    assert outcome == Failed(True, f"https://localhost:{receiver.port}: the TLS handshake failed")
    assert not receiver.requests


@pytest.mark.parametrize(
    ("status", "retryable", "gone"),
    [(400, False, False), (404, False, False), (410, False, True), (429, True, False),
     (500, True, False), (503, True, False), (600, True, False)],
)  # fmt: skip
def test_a_refusal(receiver: Receiver, status: int, retryable: bool, gone: bool) -> None:
    """Its status, and nothing of its text."""
    receiver.answer = answering(status, "x-secret: secret\r\n", b"secret")
    outcome = failure(sender().send(posting(f"http://127.0.0.1:{receiver.port}/secret?secret")))
    assert (outcome.retryable, outcome.gone) == (retryable, gone)
    assert outcome.reason.startswith(f"http://127.0.0.1:{receiver.port}: answered with status")


def test_when_to_come_back(receiver: Receiver) -> None:
    """`retry-after` in seconds, or as a date counted from the attempt."""
    for text, wait_s in (("120", 120), ("Mon, 21 Sep 2026 14:16:00 GMT", 60), ("99999", 3600)):
        receiver.answer = answering(429, f"retry-after: {text}\r\n")
        outcome = failure(sender().send(posting(f"http://127.0.0.1:{receiver.port}/")))
        assert outcome.retry_after_s == wait_s


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    """To nowhere (row 83)."""
    place = f"location: http://127.0.0.1:{receiver.port}/elsewhere\r\n"
    receiver.answer = answering(status, place)
    outcome = failure(sender().send(posting(f"http://127.0.0.1:{receiver.port}/")))
    assert not outcome.retryable
    assert (receiver.connections, len(receiver.requests)) == (1, 1)
    assert "elsewhere" not in outcome.reason


# The tricks with URLs and names that are tried on providers (rows 83 to 85 and 102).


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/secret", "https://0.0.0.0/secret", "https://[::]/secret",
        "https://127.1/secret", "https://2130706433/secret", "https://0x7f.1/secret",
        "https://0177.0.0.1/secret", "https://[::ffff:127.0.0.1]/secret",
        "https://[2002:7f00:1::]/secret", "https://[64:ff9b::7f00:1]/secret",
        "https://localhost/secret", "https://localhost./secret", "https://a.localhost/secret",
        "https://user@127.0.0.1/secret", "https://hooks.example@127.0.0.1/secret",
        "https://hooks.example#.azure.com/secret", "https://127。0。0。1/secret",
        "https://169.254.169.254/latest/secret", "https://[fd00:ec2::254]/secret",
        "https://100.64.0.1/secret", "https://168.63.129.16/secret", "ftp://hooks.example/secret",
        "https://hooks.example/secret\r\nhost: 127.0.0.1", "https://hooks.example:0/secret",
        "https://hooks.example\\@127.0.0.1/secret", "", "secret",
    ],
)  # fmt: skip
def test_a_tenants_url_with_a_trick(url: str) -> None:
    """Row 102: nothing is looked up and nobody is connected to; another attempt would be no
    better."""
    asked: list[str] = []

    def lookup(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    outcome = failure(sender(lookup=lookup).send(posting(url, owner="ten_1")))
    assert not outcome.retryable
    assert not asked


@pytest.mark.parametrize("address", FORBIDDEN)
def test_a_name_that_leads_to_a_forbidden_address(address: str, monkeypatch: Any) -> None:
    """It is refused before a socket is made; so is one that also leads to a public address."""
    monkeypatch.setattr("tollway.adapters.notices.dialing._connect", None)
    for found in ([address], [PUBLIC, address]):
        over = sender(lookup=lambda host, port, found=found: found)  # type: ignore[misc]  # bound
        outcome = over.send(posting("https://hooks.example/secret", owner="ten_1"))
        reason = "https://hooks.example: a tenant's webhook may not be at this address"
        assert outcome == Failed(False, reason)


def test_rebinding_finds_no_second_look_up(certificates: Certificates) -> None:
    """The name is asked for once; a second answer, with this machine in it, would not be heard."""
    answers = iter([["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1"]])
    here = Receiver(tls=certificates.server_context(), address="127.0.0.2")
    with running_receiver(here) as receiver:
        over = sender(
            lookup=lambda host, port: next(answers),
            guard=lambda addresses: addresses != ["127.0.0.2"],
            tls=certificates.client_context(),
        )
        sent = posting(f"https://public.example:{receiver.port}/", owner="ten_1")
        outcome = failure(over.send(sent))
        assert "certificate is not valid" in outcome.reason  # it did connect, to 127.0.0.2
        assert receiver.connections == 1
    assert next(answers) == ["127.0.0.1"]


def test_the_machines_own_address_is_refused() -> None:
    """A public address of this very machine is in no table; the connection shows it."""
    with running_receiver(Receiver()) as receiver:
        over = sender(guard=lambda addresses: False)
        sent = posting(f"https://hooks.example:{receiver.port}/", owner="ten_1")
        outcome = failure(over.send(sent))
        assert not outcome.retryable
        assert "may not be at this address" in outcome.reason
    assert not receiver.requests


def test_the_platforms_own_may_be_near(receiver: Receiver) -> None:
    """An operator's receiver in the private network, without TLS."""
    outcome = sender().send(posting(f"http://chat.internal:{receiver.port}/"))
    assert outcome == Delivered()


# Receivers as attackers (rows 87, 88, 91 to 98).


def dripping(begin: bytes, drop: bytes) -> Callable[[], Iterable[bytes]]:
    def pieces() -> Iterable[bytes]:
        yield begin
        for _ in range(250):  # five seconds: without a deadline the test fails, and does not hang
            time.sleep(0.02)
            yield drop

    return pieces


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nx: ", b"y"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("encrypted", [False, True])
def test_a_drip_meets_the_deadline(
    certificates: Certificates, begin: bytes, drop: bytes, encrypted: bool
) -> None:
    """Bytes that keep coming do not keep the exchange alive, encrypted or not."""
    tls = certificates.server_context() if encrypted else None
    with running_receiver(Receiver(dripping(begin, drop), tls=tls)) as receiver:
        over = sender(tls=certificates.client_context(), timeout_s=0.3)
        began = time.monotonic()
        scheme = "https" if encrypted else "http"
        outcome = over.send(posting(f"{scheme}://localhost:{receiver.port}/secret"))
        assert time.monotonic() - began < 2
    assert outcome == Failed(True, f"{scheme}://localhost:{receiver.port}: no answer within 0.3 s")


def test_silence_meets_the_deadline() -> None:
    """A receiver that takes the connection and says nothing, with TLS and without."""
    with socket.create_server(("127.0.0.1", 0)) as listener:  # the kernel accepts, nobody reads
        for scheme in ("http", "https"):
            place = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
            began = time.monotonic()
            outcome = sender(timeout_s=0.2).send(posting(f"{place}/secret"))
            assert time.monotonic() - began < 2
            assert outcome == Failed(True, f"{place}: no answer within 0.2 s")


@pytest.mark.parametrize(
    "pieces",
    [
        dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n", b"x"),
        dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        dripping(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"0"),
    ],
)
def test_a_body_that_does_not_end_changes_nothing(
    pieces: Callable[[], Iterable[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status has said it; the rest is waited for a moment only."""
    monkeypatch.setattr("tollway.adapters.notices.webhook._DRAIN_S", 0.1)
    with running_receiver(Receiver(pieces)) as receiver:
        began = time.monotonic()
        assert (
            sender(timeout_s=1).send(posting(f"http://127.0.0.1:{receiver.port}/")) == Delivered()
        )
        assert time.monotonic() - began < 2


def test_an_endless_body_is_left_unread() -> None:
    """64 KiB are read and thrown away; no more is taken in."""
    taken: list[int] = []

    def endless() -> Iterable[bytes]:
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        while True:
            taken.append(65536)
            yield b"x" * 65536

    with running_receiver(Receiver(endless)) as receiver:
        assert sender().send(posting(f"http://127.0.0.1:{receiver.port}/")) == Delivered()
    assert sum(taken) < 64 * 1024 * 1024  # what the kernel's buffers hold


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "the connection was closed without an answer"),
        (b"secret\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 secret OK\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 99 secret\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 1000 secret\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/9.9 200 secret\r\n\r\n", "the answer is not HTTP"),
        (b"SSH-2.0-OpenSSH_secret\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"secret: x\r\n" * 2000, "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nsecret: " + b"x" * 1_000_000, "the answer is not HTTP"),
        (b"x" * 1_000_000, "the answer is not HTTP"),
    ],
)
def test_what_is_no_answer(receiver: Receiver, said: bytes, reason: str) -> None:
    """A failure in our words, none of which the receiver chose."""
    receiver.answer = lambda: [said]
    outcome = sender().send(posting(f"http://127.0.0.1:{receiver.port}/secret"))
    assert outcome == Failed(True, f"http://127.0.0.1:{receiver.port}: {reason}")


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\ncontent-length: secret\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n\x1f\x8bnonsense",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffff\r\nx",
        b"HTTP/1.1 204 No\r\nset-cookie: a=b\r\nlocation: http://127.0.0.1/\r\n\r\n",
        OK + b"HTTP/1.1 500 Second\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.0 200\r\n\r\n<html>",
    ],
)
def test_a_lie_behind_a_good_status(receiver: Receiver, said: bytes) -> None:
    """It was taken; what follows is not looked at, and the connection is never used again."""
    receiver.answer = lambda: [said]
    assert sender().send(posting(f"http://127.0.0.1:{receiver.port}/")) == Delivered()
    receiver.answer = lambda: [OK]
    assert sender().send(posting(f"http://127.0.0.1:{receiver.port}/")) == Delivered()
    assert receiver.connections == 2


def test_nobody_there() -> None:
    """A refused connection is worth another attempt."""
    with running_receiver(Receiver()) as receiver:
        port = receiver.port
    outcome = sender().send(posting(f"http://127.0.0.1:{port}/secret"))
    assert outcome == Failed(True, f"http://127.0.0.1:{port}: the connection was refused")


def test_an_odd_id_is_not_sent(receiver: Receiver) -> None:
    """Where no signature guards the id, the line's end in it is refused all the same."""
    sent = write_posting(
        made(id="evt_1\r\nx: y"),
        url=f"http://127.0.0.1:{receiver.port}/",
        owner=None,
        notice_format=NoticeFormat.SLACK,
        secrets=[],
        at_s=AT_S,
    )
    assert failure(sender().send(sent)).reason.endswith("the exchange failed")
    assert not receiver.requests
