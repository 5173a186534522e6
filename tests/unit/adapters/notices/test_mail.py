"""Mails through a small mail server: taken, refused, encrypted, slow."""

import functools
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.certificates import Authority
from tests.fakes.smtp_server import SmtpScript, running_smtp_server
from tests.unit.domain.test_notice import made
from tollway.adapters.notices.dialing import Dialer
from tollway.adapters.notices.mail import MailSender
from tollway.domain.notice_delivery import Delivered, Failed, Outcome
from tollway.domain.smtp_url import SmtpServer

FROM = "alerts@gateway.example"
TO = ["a@acme.example", "b@acme.example"]
HOST = "mail.example"


class Trust:
    """A mail server's certificate, and who trusts it."""

    def __init__(self, folder: Path, name: str) -> None:
        authority = Authority()
        file = folder / f"{name}.pem"
        file.write_bytes(authority.issue([name]))
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(file)
        self.client = ssl.create_default_context(cadata=authority.pem().decode())


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust(tmp_path_factory.mktemp("mail"), HOST)


@functools.cache
def system_trust() -> ssl.SSLContext:
    """Read once: it takes 20 ms."""
    return ssl.create_default_context()


def send(
    script: SmtpScript,
    *,
    host: str = "127.0.0.1",
    user: str = "",
    password: str = "",
    tls: ssl.SSLContext | None = None,
    timeout_s: float = 5.0,
) -> Outcome:
    """Send one notice to whoever plays by the script."""
    with running_smtp_server(script) as running:
        server = SmtpServer(host, running.port, script.tls_first, user, password)
        dialer = Dialer(
            lookup=lambda host, port: ["127.0.0.1"], any_forbidden=lambda addresses: True
        )
        sender = MailSender(
            server, sender=FROM, dialer=dialer, tls=tls or system_trust(), timeout_s=timeout_s
        )
        return sender.send(made(), TO)


def test_a_mail_arrives() -> None:
    """To a relay on this machine, in the clear and without a user."""
    script = SmtpScript()
    assert send(script) == Delivered()
    (mail,) = script.mails
    assert (mail.sender, mail.recipients, mail.encrypted) == (FROM, TO, False)
    assert mail.message["Subject"] == "[Tollway] acme has used 80 % of its monthly cost limit"
    assert mail.message["To"] == "a@acme.example, b@acme.example"
    assert mail.message.get_content().startswith("acme has used 80 %")


def test_to_another_machine_it_is_encrypted(trust: Trust) -> None:
    """STARTTLS before user, password, addresses and text; the certificate is checked."""
    script = SmtpScript(tls=trust.server, user="u", password="p@ss")
    assert send(script, host=HOST, user="u", password="p@ss", tls=trust.client) == Delivered()
    (mail,) = script.mails
    assert (mail.encrypted, mail.user) == (True, "u")
    assert [verb for verb in script.verbs if verb.startswith("!")] == ["!EHLO", "!STARTTLS"]


def test_encrypted_from_the_first_byte(trust: Trust) -> None:
    """`smtps`."""
    script = SmtpScript(tls=trust.server, tls_first=True)
    assert send(script, host=HOST, tls=trust.client) == Delivered()
    assert script.mails[0].encrypted
    assert not [verb for verb in script.verbs if verb.startswith("!")]


def test_nothing_is_said_in_the_clear() -> None:
    """A server, or somebody on the way, that offers no STARTTLS gets no password and no mail."""
    for script in (SmtpScript(user="u", password="p"), SmtpScript(answers={"STARTTLS": "454 no"})):
        outcome = send(script, host=HOST, user="u", password="p")
        assert isinstance(outcome, Failed)
        assert outcome.retryable
        assert "does not offer STARTTLS" in outcome.reason
        assert script.verbs == ["!EHLO", "!STARTTLS"]


def test_what_was_slipped_in_before_the_handshake_is_not_heard(trust: Trust) -> None:
    """A reply written in the clear behind the go-ahead: the handshake fails, or it is dropped."""
    script = SmtpScript(tls=trust.server, answers={"INJECTED": "250 AUTH PLAIN\r\n"})
    outcome = send(script, host=HOST, tls=trust.client)
    if outcome == Delivered():
        assert script.mails[0].encrypted
    else:
        assert isinstance(outcome, Failed)
        assert not script.mails


@pytest.mark.parametrize("tls_first", [False, True])
def test_a_wrong_certificate_gets_nothing(trust: Trust, tls_first: bool, tmp_path: Path) -> None:
    """For another name, or from an authority nobody trusts."""
    other = Trust(tmp_path, "elsewhere.example")
    for server, client in ((other.server, other.client), (trust.server, other.client)):
        script = SmtpScript(tls=server, tls_first=tls_first, user="u", password="p")
        outcome = send(script, host=HOST, user="u", password="p", tls=client)
        assert isinstance(outcome, Failed)
        assert outcome.retryable
        assert "certificate is not valid" in outcome.reason
        assert not {"AUTH", "MAIL"} & {verb.strip("!") for verb in script.verbs}


@pytest.mark.parametrize(
    ("verb", "answer", "retryable", "reason"),
    [
        ("GREETING", "554 secret", True, "answered with 554"),
        ("GREETING", "421 secret", True, "answered with 421"),
        ("GREETING", "secret", True, "the answer is not SMTP"),
        ("GREETING", None, True, "closed the connection"),
        ("MAIL", "451 secret", True, "refused the sender with 451"),
        ("MAIL", "550 secret", False, "refused the sender with 550"),
        ("RCPT", "450 secret", True, "refused all recipients with 450"),
        ("RCPT", "550 secret", False, "refused all recipients with 550"),
        ("RCPT", "421 secret", True, "refused all recipients with 421"),
        ("DATA", "451 secret", True, "refused the mail with 451"),
        ("DATA", "554 secret", False, "refused the mail with 554"),
        (".", "452 secret", True, "refused the mail with 452"),
        (".", "552 secret", False, "refused the mail with 552"),
        (".", None, True, "closed the connection"),
        ("RCPT", None, True, "closed the connection"),
    ],
)
def test_refusals(verb: str, answer: str | None, retryable: bool, reason: str) -> None:
    """4xx is worth another attempt; 5xx about this mail is not. The server's words stay away."""
    script = SmtpScript(answers={verb: answer})
    outcome = send(script)
    assert isinstance(outcome, Failed)
    assert outcome.retryable is retryable
    assert reason in outcome.reason
    assert outcome.reason.startswith(f"smtp://127.0.0.1:{script.port}: ")
    assert "secret" not in outcome.reason
    assert not script.mails


def test_some_recipients_are_refused() -> None:
    """The others have it: it is delivered, and the remark counts who has not. None of them taken,
    one temporarily: another attempt."""
    script = SmtpScript(answers={"RCPT b@acme.example": "550 unknown"})
    assert send(script) == Delivered("1 of 2 recipients refused")
    assert script.mails[0].recipients == ["a@acme.example"]
    answers: dict[str, str | None] = {
        "RCPT a@acme.example": "450 x",
        "RCPT b@acme.example": "550 x",
    }
    outcome = send(SmtpScript(answers=answers))
    assert isinstance(outcome, Failed)
    assert outcome.retryable


def test_a_wrong_password() -> None:
    """Is put right by somebody within three days; it is in no message."""
    outcome = send(SmtpScript(user="u", password="p"), user="u", password="secret")
    assert isinstance(outcome, Failed)
    assert outcome.retryable
    assert outcome.reason.endswith("refused user and password with 535")
    unasked = send(SmtpScript(), user="u", password="secret")
    assert isinstance(unasked, Failed)
    assert unasked.reason.endswith("does not offer what is needed")


def test_it_hangs_up_after_taking_the_mail() -> None:
    """Taken is taken, whatever becomes of the good-bye."""
    for answer in (None, "500 what"):
        script = SmtpScript(answers={"QUIT": answer})
        assert send(script) == Delivered()
        assert len(script.mails) == 1


def dripping(begin: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    def speak(peer: socket.socket) -> None:
        peer.sendall(begin)
        for _ in range(250):  # five seconds: without a deadline the test fails, and does not hang
            time.sleep(0.02)
            peer.sendall(drop)

    return speak


def silent(begin: bytes) -> Callable[[socket.socket], None]:
    def speak(peer: socket.socket) -> None:
        peer.sendall(begin)
        while peer.recv(4096):
            pass  # until it is hung up on

    return speak


@pytest.mark.parametrize(
    "speak",
    [
        dripping(b"", b"2"),
        dripping(b"220-hello\r\n", b"220-more\r\n"),
        dripping(b"220 hello\r\n250-", b"x"),
        silent(b""),
        silent(b"220 hello\r\n"),
    ],
)
def test_a_drip_meets_the_deadline(speak: Callable[[socket.socket], None]) -> None:
    """One deadline over all, however many bytes and replies come, or none."""
    script = SmtpScript(speak=speak)
    began = time.monotonic()
    outcome = send(script, timeout_s=0.2)
    assert outcome == Failed(True, f"smtp://127.0.0.1:{script.port}: no answer within 0.2 s")
    assert time.monotonic() - began < 2


def test_a_handshake_that_stalls_meets_the_deadline(trust: Trust) -> None:
    """At the begin, and in the middle."""
    begins = ((b"", True), (b"220 hello\r\n250 ok\r\n220 go\r\n", False))
    for begin, tls_first in begins:
        script = SmtpScript(speak=silent(begin), tls_first=tls_first)
        outcome = send(script, host=HOST, tls=trust.client, timeout_s=0.2)
        assert isinstance(outcome, Failed)
        assert outcome.reason.endswith("no answer within 0.2 s")


def test_addresses_are_checked_before_anything_is_sent() -> None:
    """No connection for a mail that cannot be written."""

    def lookup(host: str, port: int) -> list[str]:
        raise AssertionError(host)

    dialer = Dialer(lookup=lookup, any_forbidden=lambda addresses: True)
    server = SmtpServer(HOST, 587, False)
    sender = MailSender(server, sender=FROM, dialer=dialer, tls=system_trust())
    for recipients in ([], ["a@b.example\r\nRCPT TO:<x@y.example>"], ["a@b.example"] * 2):
        outcome = sender.send(made(), recipients)
        assert isinstance(outcome, Failed)
        assert not outcome.retryable


def test_nobody_there() -> None:
    """A refused connection is worth another attempt."""
    script = SmtpScript()
    with running_smtp_server(script):
        pass
    dialer = Dialer(lookup=lambda host, port: [], any_forbidden=lambda addresses: True)
    server = SmtpServer("127.0.0.1", script.port, False)
    outcome = MailSender(server, sender=FROM, dialer=dialer, tls=system_trust()).send(made(), TO)
    assert outcome == Failed(True, f"smtp://127.0.0.1:{script.port}: the connection was refused")
