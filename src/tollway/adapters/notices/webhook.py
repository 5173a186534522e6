"""Posts a notice to a URL that a tenant may have chosen. Blocking; for a thread of the keeper.

What comes back is an enemy's until shown otherwise: only the status and `retry-after` are looked
at, no redirect is followed, and no text of it gets into a reason. Neither does the URL's path: for
many receivers it is the whole secret.
"""

import ssl
from contextlib import ExitStack, suppress
from dataclasses import replace
from http.client import HTTPConnection, HTTPException, HTTPResponse
from socket import socket

from tollway.adapters.notices.deadline import Deadline
from tollway.adapters.notices.dialing import Dialer, UnreachableError
from tollway.domain.brand import NAME
from tollway.domain.notice_delivery import Failed, Outcome, judge_status
from tollway.domain.notice_posting import Posting
from tollway.domain.result import Err
from tollway.domain.webhook_url import WebhookUrl, parse_webhook_url

TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 64 * 1024
_DRAIN_S = 1.0


class WebhookSender:
    """Thread-safe. `tls` verifies certificates and names."""

    def __init__(
        self, dialer: Dialer, *, tls: ssl.SSLContext, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._dialer = dialer
        self._tls = tls
        self._timeout_s = timeout_s

    def send(self, posting: Posting) -> Outcome:
        """Post once, within ten seconds in all. Raises nothing."""
        parsed = parse_webhook_url(posting.url, tenant_owned=posting.owner is not None)
        if isinstance(parsed, Err):
            return Failed(False, parsed.error)
        url = parsed.value
        deadline = Deadline(self._timeout_s)
        retryable = True
        try:
            outcome = self._exchange(url, posting, deadline)
        except UnreachableError as error:
            reason, retryable = str(error), error.retryable
        except (OSError, HTTPException, ValueError) as error:
            reason = self._late if deadline.passed else _reason(error)
        else:
            if isinstance(outcome, Failed):
                return replace(outcome, reason=f"{url.place}: {outcome.reason}")
            return outcome
        return Failed(retryable, f"{url.place}: {reason}")

    @property
    def _late(self) -> str:
        return f"no answer within {self._timeout_s:g} s"

    def _exchange(self, url: WebhookUrl, posting: Posting, deadline: Deadline) -> Outcome:
        origin = url.origin
        with ExitStack() as ends:
            wire = self._dialer.dial(
                origin.host, origin.port, owner=posting.owner, deadline=deadline
            )
            ends.callback(wire.close)
            ends.enter_context(deadline.cutting(wire))
            if origin.tls:
                wire = self._tls.wrap_socket(
                    wire, server_hostname=origin.host, do_handshake_on_connect=False
                )
                ends.callback(wire.close)
                wire.do_handshake()
            connection = HTTPConnection(origin.host, origin.port)
            connection.sock = wire
            headers = {"host": origin.authority, "user-agent": NAME, "connection": "close"}
            connection.request(
                "POST", url.target, posting.body, {**headers, **dict(posting.headers)}
            )
            response = connection.getresponse()
            ends.callback(response.close)
            deadline.left_s()  # a head that was cut off by it reads like one that has ended
            _drain(response, wire, deadline)
            return judge_status(
                response.status, retry_after=response.getheader("retry-after"), now_s=posting.at_s
            )


def _drain(response: HTTPResponse, wire: socket, deadline: Deadline) -> None:
    """Read a usual answer to its end, so that the receiver sees no reset. The status is known: what
    goes wrong from here on changes nothing."""
    drain = Deadline(_DRAIN_S)
    left_bytes = MAX_ANSWER_BYTES
    with suppress(OSError, HTTPException, ValueError):
        while left_bytes > 0:
            wire.settimeout(min(drain.left_s(), deadline.left_s()))
            piece = response.read1(left_bytes)
            if not piece:
                return
            left_bytes -= len(piece)


def _reason(error: Exception) -> str:
    """In our words: an exception's text may hold what the receiver said."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "the TLS handshake failed"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionError):
        return "the connection was closed without an answer"
    return "the answer is not HTTP" if isinstance(error, HTTPException) else "the exchange failed"
