"""Documents from identity providers, over the standard library's client: few, small, off the hot
path. Every fetch has one deadline, a size, and a bound on how many run at once.

Redirects are refused: a provider's documents say themselves where things are.
"""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from socket import SHUT_RDWR, create_connection, socket
from threading import BoundedSemaphore, Timer
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from tollway.domain.issuer import url_problem
from tollway.domain.jwt_claims import strict_object

TIMEOUT_S = 10.0
MAX_BODY_BYTES = 512 * 1024
_AT_ONCE = 8
_FORM = "application/x-www-form-urlencoded"


class FetchError(Exception):
    """A document could not be had. The text is for the log; it holds no secret and no query."""


class Answer(NamedTuple):
    """A status and the JSON object it came with."""

    status: int
    document: dict[str, Any]


class Fetcher:
    """Fetches JSON objects. Thread-safe. Raises FetchError and nothing else."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._tls = tls or ssl.create_default_context()
        self._timeout_s = timeout_s
        self._slots = BoundedSemaphore(_AT_ONCE)

    def get(self, url: str, *, authorization: str = "") -> Answer:
        """The object at a URL."""
        headers = {"authorization": authorization} if authorization else {}
        return self._fetch("GET", url, headers, None)

    def post(self, url: str, form: Mapping[str, str], *, authorization: str = "") -> Answer:
        """The object a form is answered with."""
        headers = {"content-type": _FORM}
        if authorization:
            headers["authorization"] = authorization
        return self._fetch("POST", url, headers, urlencode(form).encode())

    def _fetch(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        place = url.partition("?")[0]
        problem = url_problem(place, what="The URL")
        if problem is not None:
            raise FetchError(f"{place}: {problem}")
        if not self._slots.acquire(timeout=1):
            raise FetchError(f"{place}: too many fetches at once")
        try:
            return self._exchange(method, url, headers, body)
        except (OSError, HTTPException, ValueError) as error:
            raise FetchError(f"{place}: {error or type(error).__name__}") from None
        finally:
            self._slots.release()

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        host = parts.hostname or ""
        port = parts.port or (443 if secure else 80)
        connection = HTTPConnection(host, port)
        wire: socket = create_connection((host, port), self._timeout_s)
        try:
            if secure:
                wire = self._tls.wrap_socket(
                    wire, server_hostname=host, do_handshake_on_connect=False
                )
            with _deadline(wire, self._timeout_s):
                if isinstance(wire, ssl.SSLSocket):
                    wire.do_handshake()
                connection.sock = wire
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                connection.request(method, target, body, {"accept": "application/json", **headers})
                response = connection.getresponse()
                if 300 <= response.status < 400:
                    raise ValueError(f"answered with a redirect ({response.status})")
                document = _object(response.read(MAX_BODY_BYTES + 1))
                if response.length:  # `read` with a size ends early without a word
                    raise ValueError("ended before its length")
                return Answer(response.status, document)
        finally:
            connection.close()
            wire.close()


@contextmanager
def _deadline(wire: socket, timeout_s: float) -> Iterator[None]:
    """Ends the exchange after this time: the socket's own timeout restarts with every byte."""
    ended = []

    def end() -> None:
        ended.append(True)
        try:
            wire.shutdown(SHUT_RDWR)
        except OSError:
            return  # the other side was quicker

    timer = Timer(timeout_s, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, HTTPException, ValueError):
        if ended:
            raise TimeoutError(f"no whole answer within {timeout_s:g} s") from None
        raise
    finally:
        timer.cancel()


def _object(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(f"answered with more than {MAX_BODY_BYTES} bytes")
    document = strict_object(body)
    if document is None:
        raise ValueError("did not answer with a JSON object")
    return document
