"""Server-sent events as bytes: where an event ends, and which lines it has. What the lines mean is
`stream.py`. Source: WHATWG HTML, "Event stream interpretation": a line ends with CRLF, LF or CR,
and an empty line ends an event.
"""

from collections.abc import Iterator

MAX_EVENT_BYTES = 1024 * 1024
MAX_EVENT_LINES = 8192  # taken apart, each takes many times its bytes
BOM = b"\xef\xbb\xbf"


class EventBuffer:
    """Holds back what is not yet a whole event. Memory is what was given and not yet taken."""

    __slots__ = ("_line_ends", "_tail")

    def __init__(self) -> None:
        self._tail = bytearray()
        self._line_ends = 0  # in it

    def __len__(self) -> int:
        return len(self._tail)

    def holds_more_than(self, size_bytes: int) -> bool:
        """Whether an event that has not ended is too large already, or has too many lines."""
        return len(self._tail) > size_bytes or self._line_ends > MAX_EVENT_LINES

    def take(self, data: bytes) -> bytes:
        """Everything up to the end of the last whole event."""
        tail = self._tail
        seen = max(len(tail) - 2, 0)  # an end may straddle the cut; what lies before has none
        tail += data
        end = _last_end(tail, seen)
        if end == 0:
            self._line_ends += data.count(b"\n") + data.count(b"\r")
            return b""
        whole = bytes(memoryview(tail)[:end])  # one copy: a picture is megabytes
        self._tail = tail = tail[end:]
        self._line_ends = tail.count(b"\n") + tail.count(b"\r")
        return whole

    def rest(self) -> bytes:
        """What is left when no more will come."""
        rest, self._tail = bytes(self._tail), bytearray()
        return rest


def split_events(whole: bytes) -> Iterator[list[bytes]]:
    """Each event as its lines, ends included, the last of them empty. Further empty lines between
    events are dropped."""
    lines: list[bytes] = []
    for line in whole.splitlines(keepends=True):
        if line not in (b"\n", b"\r\n", b"\r"):
            lines.append(line)
        elif lines:
            # After a CR the event was over already; an LF behind it belongs to nothing.
            lines.append(b"\r" if lines[-1][-1:] == b"\r" else line)
            yield lines
            lines = []


def field_of(line: bytes) -> tuple[bytes, bytes]:
    """A line's field name and value; the name of a comment is empty."""
    name, _, value = line.rstrip(b"\r\n").partition(b":")
    return name, value[1:] if value[:1] == b" " else value


def _last_end(tail: bytearray, seen: int) -> int:
    end = tail.rfind(b"\n\n", seen) + 2
    if tail.find(b"\r", seen) >= 0:
        # A last CR may be half of a CRLF, so after an LF it ends nothing yet.
        feed = tail.rfind(b"\n\r", seen, len(tail) - 1) + 2
        if feed > 1:
            feed += tail[feed : feed + 1] == b"\n"
        end = max(end, feed, tail.rfind(b"\r\r", seen) + 2)
    return end if end > 1 else 0
