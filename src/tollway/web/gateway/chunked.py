"""A chunked request body, cut exactly where it ends so that what follows stays unread.

llhttp judges every byte of the coding; this only follows where it is, because the parser does not
tell. Overhead is bounded: framing may not outweigh the data by more than 64 KiB.
"""

from httptools import HttpRequestParser

from tollway.web.gateway.framing import RefusedError, malformed

_LINE_BYTES = 4_096
_SPARE_BYTES = 64 * 1024
_TRAILER_BYTES = 8 * 1024
_SIZE, _DATA, _TRAILER = range(3)


class ChunkedBody:
    """Feed it with `take` until the parser reports the message complete; then `body` is whole."""

    __slots__ = ("_left", "_limit", "_line", "_overhead", "_parser", "_stage", "body", "size")

    def __init__(self, parser: HttpRequestParser, limit: int) -> None:
        self._parser = parser
        self._limit = limit
        self._stage = _SIZE
        self._line = b""  # of the size line or the trailers: what came of it so far
        self._left = 0  # of the current chunk, its CRLF included
        self._overhead = 0
        self.body = bytearray()
        self.size = 0  # of the body, as far as the chunk sizes have told

    def take(self, data: bytes, at: int) -> int:
        """Use up one part of the coding from `at`; returns where the next one begins.

        Raises `RefusedError` over a limit and httptools' errors for what is not strict chunking.
        """
        if self._stage == _DATA:
            return self._take_data(data, at)
        newline = data.find(b"\n", at)
        end = newline + 1 if newline >= 0 else len(data)
        line = data[at:end]
        self._overhead += len(line)
        self._parser.feed_data(line)
        if self._stage == _TRAILER:
            if self._overhead > _TRAILER_BYTES:
                raise RefusedError(431, "trailers_too_large", "The trailers are too large.")
            return end
        self._line += line
        if len(self._line) > _LINE_BYTES or self._overhead > self.size + _SPARE_BYTES:
            raise malformed("The chunks hold too little data for their framing.")
        if newline >= 0:
            self._open_chunk()
        return end

    def _open_chunk(self) -> None:
        size = int(self._line.partition(b";")[0], 16)  # llhttp has seen plain hex digits
        self._line = b""
        if size == 0:
            self._stage = _TRAILER
            self._overhead = 0
            return
        self.size += size
        self._overhead += 2  # the CRLF behind the data
        if self.size > self._limit:
            raise too_large(self._limit)
        self._stage = _DATA
        self._left = size + 2

    def _take_data(self, data: bytes, at: int) -> int:
        end = min(at + self._left, len(data))
        part = data[at:end]
        self._parser.feed_data(part)
        left = self._left - len(part)
        if left >= 2:
            self.body += part
        elif self._left > 2:
            self.body += part[: self._left - 2]
        self._left = left
        if left == 0:
            self._stage = _SIZE
        return end


def too_large(limit: int) -> RefusedError:
    """The refusal for a body above its limit."""
    return RefusedError(413, "request_too_large", f"The body is larger than {limit} bytes.")
