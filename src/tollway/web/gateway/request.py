"""One complete, framed, bounded request, as the server hands it to its handler."""

from tollway.web.gateway.framing import RequestLine


class Request:
    """`path` (no query) and `query` stand as received: no percent-decoding, no normalising.

    Header names are lower-cased, values stripped, order and repetition kept. `body` is whole and
    without transfer coding. `peer_ip` is who asks: behind a trusted proxy, whom the proxy names.
    """

    __slots__ = ("_first", "body", "headers", "method", "path", "peer_ip", "query")

    def __init__(
        self,
        line: RequestLine,
        headers: list[tuple[bytes, bytes]],
        first: dict[bytes, bytes],
        peer_ip: str,
    ) -> None:
        self.method, self.path, self.query, _ = line
        self.headers = headers
        self._first = first
        self.peer_ip = peer_ip
        self.body = b""

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, or None. `name` in lower case."""
        return self._first.get(name)
