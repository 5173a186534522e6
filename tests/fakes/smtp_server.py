"""A small mail server on a real socket: EHLO, STARTTLS, AUTH PLAIN, MAIL, RCPT, DATA. A test may
give any verb another answer, drip, or hang up.
"""

import contextlib
import socket
import ssl
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import BinaryIO


@dataclass
class Mail:
    """One mail as it was taken."""

    sender: str
    recipients: list[str]
    raw: bytes
    encrypted: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        """The mail, parsed."""
        message = message_from_bytes(self.raw, policy=default)
        assert isinstance(message, EmailMessage)
        return message


@dataclass
class SmtpScript:
    """What the server does. `answers` maps a verb, or a verb and its argument (`RCPT a@b.example`),
    to a reply; None hangs up. `GREETING` and `.` (the end of a mail) are verbs here."""

    tls: ssl.SSLContext | None = None
    tls_first: bool = False
    user: str = ""
    password: str = ""
    answers: dict[str, str | None] = field(default_factory=dict)
    speak: Callable[[socket.socket], None] | None = None  # instead of everything above
    port: int = 0
    mails: list[Mail] = field(default_factory=list)
    verbs: list[str] = field(default_factory=list)  # with `!` in front when they came in the clear


@contextmanager
def running_smtp_server(script: SmtpScript) -> Iterator[SmtpScript]:
    """Serves one connection after the other on 127.0.0.1 until the block is left."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        script.port = listener.getsockname()[1]
        thread = threading.Thread(target=_serve, args=(listener, script))
        thread.start()
        try:
            yield script
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # `close` alone does not wake `accept`
            thread.join(10)
            assert not thread.is_alive()


def _serve(listener: socket.socket, script: SmtpScript) -> None:
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        peer.settimeout(10)
        with contextlib.suppress(OSError), peer:
            if script.speak is not None:
                script.speak(peer)
                continue
            if script.tls_first:
                assert script.tls is not None
                peer = script.tls.wrap_socket(peer, server_side=True)
            dialogue = _Dialogue(peer, script)
            with contextlib.closing(dialogue):
                dialogue.run()


class _Dialogue:
    def __init__(self, peer: socket.socket, script: SmtpScript) -> None:
        self._peer = peer
        self._script = script
        self._file: BinaryIO = peer.makefile("rb")
        self._user = ""
        self._sender = ""
        self._recipients: list[str] = []

    def close(self) -> None:
        """Let go of the connection, as it is by now."""
        self._file.close()
        self._peer.close()

    def run(self) -> None:
        """Answer until somebody has had enough."""
        if not self._answer("GREETING", "", "220 mail.example ESMTP"):
            return
        while line := self._file.readline(4096):
            verb, _, argument = line.decode().strip().partition(" ")
            verb = verb.upper()
            encrypted = isinstance(self._peer, ssl.SSLSocket)
            self._script.verbs.append(verb if encrypted else f"!{verb}")
            if verb == "STARTTLS" and self._script.tls is not None:
                if not self._start_tls(argument):
                    return
            elif not self._obey(verb, argument):
                return

    def _obey(self, verb: str, argument: str) -> bool:
        address = argument.partition("<")[2].partition(">")[0]
        match verb:
            case "EHLO":
                return self._answer(verb, "", self._features())
            case "AUTH":
                return self._authenticate(argument)
            case "MAIL":
                self._sender, self._recipients = address, []
                return self._answer(verb, address, "250 ok")
            case "RCPT":
                return self._take_recipient(address)
            case "DATA":
                return self._take_mail()
            case "RSET" | "NOOP":
                return self._answer(verb, "", "250 ok")
            case "QUIT":
                self._answer(verb, "", "221 bye")
                return False
        return self._answer(verb, "", "502 unknown")

    def _features(self) -> str:
        features = ["250-mail.example"]
        encrypted = isinstance(self._peer, ssl.SSLSocket)
        if self._script.tls is not None and not encrypted:
            features.append("250-STARTTLS")
        if self._script.user:
            features.append("250-AUTH PLAIN")
        return "\r\n".join([*features, "250 SIZE 1000000"])

    def _start_tls(self, argument: str) -> bool:
        if "STARTTLS" in self._script.answers:
            return self._answer("STARTTLS", argument, "")
        assert self._script.tls is not None
        # What is written behind the reply, in the clear, is what an attacker would slip in.
        injected = self._script.answers.get("INJECTED") or ""
        self._peer.sendall(b"220 go\r\n" + injected.encode())
        self._file.close()
        self._peer = self._script.tls.wrap_socket(self._peer, server_side=True)
        self._file = self._peer.makefile("rb")
        return True

    def _authenticate(self, argument: str) -> bool:
        _, user, password = b64decode(argument.partition(" ")[2]).decode().split("\0")
        good = (user, password) == (self._script.user, self._script.password)
        self._user = user if good else ""
        return self._answer("AUTH", "", "235 ok" if good else "535 no")

    def _take_recipient(self, address: str) -> bool:
        answers = self._script.answers
        if f"RCPT {address}" not in answers and "RCPT" not in answers:
            self._recipients.append(address)
        return self._answer("RCPT", address, "250 ok")

    def _take_mail(self) -> bool:
        if "DATA" in self._script.answers:
            return self._answer("DATA", "", "")
        self._peer.sendall(b"354 go on\r\n")
        lines = []
        while (line := self._file.readline(4096)) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        if "." not in self._script.answers:
            encrypted = isinstance(self._peer, ssl.SSLSocket)
            mail = Mail(self._sender, self._recipients, b"".join(lines), encrypted, self._user)
            self._script.mails.append(mail)
        return self._answer(".", "", "250 taken")

    def _answer(self, verb: str, argument: str, usual: str) -> bool:
        """Whether the dialogue goes on."""
        answers = self._script.answers
        answer = answers.get(f"{verb} {argument}", answers.get(verb, usual))
        if answer is None:
            return False
        self._peer.sendall(answer.encode() + b"\r\n")
        return True
