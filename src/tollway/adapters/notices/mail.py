"""Mails a notice through the operator's mail server. Blocking; for a thread of the keeper.

The library's client speaks the protocol; the connection, its encryption and its deadline are made
here, because the client's own time-out begins anew with every byte.
"""

import ssl
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from email.policy import SMTP as SMTP_POLICY
from smtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)
from socket import AF_INET6, socket

from tollway.adapters.notices.deadline import Deadline
from tollway.adapters.notices.dialing import Dialer, UnreachableError
from tollway.domain.notice import Notice
from tollway.domain.notice_delivery import Delivered, Failed, Outcome
from tollway.domain.notice_mail import compose
from tollway.domain.smtp_url import SmtpServer

TIMEOUT_S = 10.0


class MailSender:
    """Thread-safe. `tls` verifies certificates and names; mails are from the address `sender`."""

    def __init__(
        self,
        server: SmtpServer,
        *,
        sender: str,
        dialer: Dialer,
        tls: ssl.SSLContext,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._server = server
        self._sender = sender
        self._dialer = dialer
        self._tls = tls
        self._timeout_s = timeout_s

    def send(self, notice: Notice, recipients: Sequence[str]) -> Outcome:
        """Send one mail to all recipients, within ten seconds in all. Raises nothing. Once one of
        them is taken the mail is delivered, and the remark counts those that were refused: another
        attempt would send it to the others twice."""
        try:
            raw = compose(notice, sender=self._sender, recipients=recipients)
        except ValueError as error:
            return Failed(False, str(error))
        deadline = Deadline(self._timeout_s)
        try:
            refused = self._exchange(raw.as_bytes(policy=SMTP_POLICY), recipients, deadline)
        except UnreachableError as error:
            failed = Failed(error.retryable, str(error))
        except (OSError, ValueError) as error:  # SMTPException is an OSError
            late = f"no answer within {self._timeout_s:g} s"
            failed = Failed(True, late) if deadline.passed else _judge(error)
        else:
            return Delivered(
                f"{refused} of {len(recipients)} recipients refused" if refused else ""
            )
        return Failed(failed.retryable, f"{self._server.place}: {failed.reason}")

    def _exchange(self, raw: bytes, recipients: Sequence[str], deadline: Deadline) -> int:
        """How many of the recipients were refused."""
        server = self._server
        with ExitStack() as ends:
            wire = self._dialer.dial(server.host, server.port, owner=None, deadline=deadline)
            ends.callback(wire.close)
            ends.enter_context(deadline.cutting(wire))
            client = SMTP(local_hostname=_own_name(wire))
            client.sock = self._encrypt(wire) if server.tls_first else wire
            ends.callback(client.close)
            code, _ = client.getreply()
            if code != 220:
                raise SMTPResponseException(code, "")
            client.ehlo_or_helo_if_needed()
            if server.starttls:
                self._start_tls(client)
            if server.user:
                client.login(server.user, server.password)
            refused = client.sendmail(self._sender, list(recipients), raw)
            with suppress(OSError):  # it has the mail
                client.quit()
            return len(refused)

    def _start_tls(self, client: SMTP) -> None:
        """Whatever was said before the handshake is forgotten (RFC 3207), and what is waiting to be
        read is thrown away: anyone may have written it."""
        code, _ = client.docmd("STARTTLS")
        if code != 220:
            raise UnreachableError("it does not offer STARTTLS, and nothing is sent in the clear")
        assert client.sock is not None
        client.sock = self._encrypt(client.sock)
        client.file = None
        client.helo_resp = client.ehlo_resp = None
        client.does_esmtp = False
        client.ehlo_or_helo_if_needed()

    def _encrypt(self, wire: socket) -> ssl.SSLSocket:
        encrypted = self._tls.wrap_socket(
            wire, server_hostname=self._server.host, do_handshake_on_connect=False
        )
        try:
            encrypted.do_handshake()
        except OSError:
            encrypted.close()
            raise
        return encrypted


def _own_name(wire: socket) -> str:
    """What we call ourselves: our address (RFC 5321). The library would look our name up, and a
    look-up may stall."""
    address = wire.getsockname()[0]
    return f"[IPv6:{address}]" if wire.family == AF_INET6 else f"[{address}]"


def _judge(error: Exception) -> Failed:
    """A 5xx to sender, recipients or text is about this mail and stays. Everything else, a wrong
    password too, is about the server or its settings, which somebody will put right."""
    match error:
        case SMTPRecipientsRefused():
            codes = sorted(code for code, _ in error.recipients.values())
            retryable = any(code < 500 for code in codes)
            return Failed(retryable, f"refused all recipients with {codes[0]}")
        case SMTPSenderRefused():
            return Failed(error.smtp_code < 500, f"refused the sender with {error.smtp_code}")
        case SMTPDataError():
            return Failed(error.smtp_code < 500, f"refused the mail with {error.smtp_code}")
        case SMTPAuthenticationError():
            return Failed(True, f"refused user and password with {error.smtp_code}")
        case SMTPResponseException() if error.smtp_code < 0:
            return Failed(True, "the answer is not SMTP")
        case SMTPResponseException():
            return Failed(True, f"answered with {error.smtp_code}")
        case SMTPException():
            return Failed(True, "the server closed the connection or does not offer what is needed")
        case ssl.SSLCertVerificationError():
            return Failed(True, f"its certificate is not valid: {error.verify_message}")
        case ssl.SSLError():
            return Failed(True, "the TLS handshake failed")
    return Failed(True, "the connection was closed without an answer")
