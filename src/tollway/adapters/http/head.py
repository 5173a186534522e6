"""The head of a request. What never changes for a path and a secret is rendered once and kept; what
a caller may name is on a short leash, since a header is where a second request would be smuggled.
A signature is rendered for each request.
"""

import re
from collections.abc import Sequence

from tollway.adapters.http.authorizing import SECRET_HEADERS, Sign, secret_line, signing
from tollway.app.ports import Header, UpstreamCall
from tollway.domain.origin import Origin

_MAX_HEADS = 256
_MAX_FIELDS = 1024
_METHOD = re.compile(r"[A-Z]{3,10}")
_PATH = re.compile(r"(?:/[!-\"$-~]*)?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
# Ours to say, or about one connection only.
_RESERVED = SECRET_HEADERS | frozenset(
    {
        b"accept-encoding", b"connection", b"content-length", b"expect", b"host",
        b"keep-alive", b"proxy-authorization", b"proxy-connection", b"te", b"trailer",
        b"transfer-encoding", b"upgrade", b"user-agent",
    }
)  # fmt: skip


class HeadError(ValueError):
    """The call asks for a head that must not be sent; the message never repeats a value."""


class RequestHeads:
    """The heads of calls to one origin."""

    __slots__ = ("_agent", "_fields", "_known", "_origin")

    def __init__(self, origin: Origin, agent: str) -> None:
        self._origin = origin
        self._agent = agent
        self._known: dict[tuple[str, str, str], tuple[str, bytes, Sign | None]] = {}
        self._fields: dict[tuple[Header, ...], bytes] = {}

    def render(self, call: UpstreamCall, secret: str) -> bytes:
        """The whole request, body included. Raises `HeadError`, or `CredentialError` for a secret
        that is none of its kind."""
        credential = call.credential
        key = (call.method, call.path, "" if credential is None else credential.id)
        known = self._known.get(key)
        if known is None or known[0] != secret:
            head, sign = self._render_head(call, secret)
            known = secret, head, sign
            if call.body:  # without one it is about a thing that the path names: not a common path
                if len(self._known) >= _MAX_HEADS:
                    self._known.clear()
                self._known[key] = known
        headers = tuple(call.headers)
        fields = self._fields.get(headers)
        if fields is None:
            if len(self._fields) >= _MAX_FIELDS:
                self._fields.clear()
            fields = self._fields[headers] = _render_fields(headers)
        if known[2] is not None:
            fields += known[2](call)
        body = call.body
        return b"%b%bcontent-length: %d\r\n\r\n%b" % (known[1], fields, len(body), body)

    def _render_head(self, call: UpstreamCall, secret: str) -> tuple[bytes, Sign | None]:
        if not _METHOD.fullmatch(call.method) or not _PATH.fullmatch(call.path):
            raise HeadError("The request's method or path has characters it must not have.")
        target = (self._origin.path + call.path) or "/"
        kind = call.provider.kind
        credential = secret_line(kind, secret)
        head = (
            f"{call.method} {target} HTTP/1.1\r\nhost: {self._origin.authority}\r\n"
            f"user-agent: {self._agent}\r\naccept-encoding: identity\r\n{credential}"
        ).encode("ascii")
        return head, signing(kind, secret, self._origin)


def _render_fields(headers: Sequence[Header]) -> bytes:
    for name, value in headers:
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise HeadError("A header is not one that a caller may set.")
        if not _VALUE.fullmatch(value):
            raise HeadError("A header value has a line break or another control character.")
    return b"".join([b"%b: %b\r\n" % header for header in headers])
