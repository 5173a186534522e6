"""Amazon's binary event streams (`application/vnd.amazon.eventstream`): bytes become frames. What a
frame says is its dialect's.

Source: "Event stream encoding" in Amazon's Transcribe guide and Smithy's specification. A frame is
two lengths (of all of it, of its headers) and their CRC-32, headers, a payload, and the CRC-32 of
all before. Numbers are big-endian. Once one is damaged nobody knows where the next begins.
"""

from struct import Struct
from typing import NamedTuple
from zlib import crc32

from tollway.dialects.sse import MAX_EVENT_BYTES

_PRELUDE = Struct(">III")
_CHECK = Struct(">I")
_LEAST_BYTES = _PRELUDE.size + _CHECK.size
# What a header's value of each type is long, in bytes; texts and blobs say it themselves.
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_BLOB, _TEXT = 6, 7


class FrameError(Exception):
    """The stream cannot be read on. `too_large`: it may be sound, but nobody holds so much."""

    def __init__(self, message: str, *, too_large: bool = False) -> None:
        super().__init__(message)
        self.too_large = too_large


class Frame(NamedTuple):
    """One frame. Of its headers only texts are kept, no other is in use."""

    headers: dict[str, str]
    payload: bytes


class FrameBuffer:
    """Holds back what is not yet a whole frame: at most `MAX_EVENT_BYTES`, and what one read
    brought."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def add(self, data: bytes) -> None:
        """More of the stream."""
        self._data += data

    def take(self) -> Frame | None:
        """The next whole frame; None: it is not there yet. Raises FrameError, however the bytes
        were cut, at the same frame."""
        data = self._data
        if len(data) < _PRELUDE.size:
            return None
        total, headers, check = _PRELUDE.unpack_from(data)
        if crc32(data[:8]) != check or total < headers + _LEAST_BYTES:
            raise FrameError("The provider sent a damaged frame.")
        if total > MAX_EVENT_BYTES:
            raise FrameError("The provider sent an event that is too large.", too_large=True)
        if len(data) < total:
            return None
        frame = bytes(data[:total])
        del data[:total]
        if crc32(frame[:-4]) != _CHECK.unpack_from(frame, total - 4)[0]:
            raise FrameError("The provider sent a damaged frame.")
        begin = _PRELUDE.size + headers
        return Frame(_read_headers(frame[_PRELUDE.size : begin]), frame[begin:-4])


def _read_headers(data: bytes) -> dict[str, str]:
    headers = {}
    at = 0
    try:
        while at < len(data):
            begin = at + 1 + data[at]
            name, kind = data[at + 1 : begin].decode(), data[begin]
            at = begin + 1
            size = _SIZES.get(kind)
            if size is None:
                if kind not in (_BLOB, _TEXT):
                    raise FrameError("The provider sent a frame with a header of no known type.")
                size = data[at] << 8 | data[at + 1]
                at += 2
            value = data[at : at + size]
            at += size
            if kind == _TEXT:
                headers[name] = value.decode()
    except (IndexError, UnicodeDecodeError) as error:
        raise FrameError("The provider sent a frame whose headers cannot be read.") from error
    if at != len(data):
        raise FrameError("The provider sent a frame whose headers cannot be read.")
    return headers
