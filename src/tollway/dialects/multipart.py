"""`multipart/form-data` (RFC 7578), read so strictly that no other reader can see another form in
it: no bytes before the first boundary or after the last, the boundary nowhere but between parts,
each part named once and plainly. Parts are views of the body: nothing is copied. What a form may
hold is `uploads.py`.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from tollway.domain.refusal import BadRequest

MEDIA_TYPE = b"multipart/form-data"
MAX_PARTS = 128
MAX_HEAD_BYTES = 4096  # of one part
_CODE = "invalid_form"
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_TOKEN = rb"[0-9A-Za-z!#$%&'*+.^_`|~-]+"
_PLAIN_BOUNDARY = re.compile(_TOKEN)
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
# No escapes: readers differ on where such a text ends.
_PARAMETER = re.compile(
    rb"[ \t]*;[ \t]*(" + _TOKEN + rb")=(?:\"([^\"\\\x00-\x1f\x7f]*)\"|(" + _TOKEN + rb"))"
)
_DECODED = frozenset({b"7bit", b"8bit", b"binary"})


class Part(NamedTuple):
    """One part. `raw` is its head and content as they came; `is_file`: it has a file's name;
    `is_text`: no type of its own, or plain text in UTF-8."""

    name: str
    is_file: bool
    is_text: bool
    raw: memoryview
    content: memoryview


class Upload(NamedTuple):
    """A form."""

    boundary: bytes
    parts: tuple[Part, ...]


def read_upload(body: bytes) -> Upload | BadRequest:
    """The form in a body, or the first thing that is wrong with it. The boundary is that of its
    first line; that the header names the same is `boundary_problem`."""
    first = body.find(b"\r\n", 0, 80)
    if first < 0 or body[:2] != b"--" or _BOUNDARY.fullmatch(body, 2, first) is None:
        return _bad("The body must begin with the boundary of its parts.")
    delimiter, view, parts = body[:first], memoryview(body), list[Part]()
    at = 0
    while not body.startswith(b"--", start := at + first):
        if not body.startswith(b"\r\n", start):
            return _bad("The boundary stands where no part begins.")
        if len(parts) == MAX_PARTS:
            return _bad(f"The body has more than {MAX_PARTS} parts.")
        start += 2
        at = body.find(delimiter, start)
        if at < 0:
            return _bad("The body ends before its last boundary.")
        if not body.endswith(b"\r\n", start, at):
            return _bad("The boundary stands inside of a part.")
        part = _part(body, view[start : at - 2], start)
        if isinstance(part, BadRequest):
            return part
        parts.append(part)
    if body[start + 2 :] not in (b"", b"\r\n"):
        return _bad("Something follows the last boundary.")
    return Upload(delimiter[2:], tuple(parts)) if parts else _bad("The body has no parts.")


def boundary_problem(headers: Iterable[tuple[bytes, bytes]], boundary: bytes) -> BadRequest | None:
    """Why the header and the body do not belong together; names in lower case."""
    types = [value for name, value in headers if name == b"content-type"]
    named = None
    if len(types) == 1:
        kind, semicolon, rest = types[0].partition(b";")
        given = parameters(semicolon + rest)
        if kind.strip().lower() == MEDIA_TYPE and given is not None:
            named = given.get(b"boundary")
    if named != boundary:
        return _bad("The 'content-type' header must name the boundary that the body has.")
    return None


def form_type(boundary: bytes) -> bytes:
    """The `content-type` of a form."""
    shown = boundary if _PLAIN_BOUNDARY.fullmatch(boundary) else b'"%b"' % boundary
    return MEDIA_TYPE + b"; boundary=" + shown


def text_part(name: str, text: str) -> bytes:
    """A part of text: head and content."""
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{text}'.encode()


def written(boundary: bytes, parts: Iterable[bytes | memoryview]) -> bytes:
    """The body that these parts make."""
    pieces: list[bytes | memoryview] = []
    for part in parts:
        pieces += (b"--", boundary, b"\r\n", part, b"\r\n")
    pieces += (b"--", boundary, b"--\r\n")
    return b"".join(pieces)


def parameters(text: bytes) -> dict[bytes, bytes] | None:
    """`; name=value; ...` by name in lower case; None when it is not that, or one stands twice."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None or match[1].lower() in found:
            return None
        found[match[1].lower()] = match[3] if match[2] is None else match[2]
        at = match.end()
    return found


def _part(body: bytes, raw: memoryview, start: int) -> Part | BadRequest:
    most = min(start + len(raw), start + MAX_HEAD_BYTES)
    end = body.find(b"\r\n\r\n", start, most)
    if end < 0:
        return _bad(f"A part's head has no end within {MAX_HEAD_BYTES} bytes.")
    head = _head(body[start:end])
    if head is None:
        return _bad("A part's head is malformed.")
    kind, semicolon, rest = head.get(b"content-disposition", b"").partition(b";")
    given = parameters(semicolon + rest)
    name = None if given is None else _text(given.get(b"name", b""))
    if (
        not name
        or given is None
        or kind.strip().lower() != b"form-data"
        or not {b"name", b"filename", b"filename*"}.issuperset(given)
        or head.get(b"content-transfer-encoding", b"binary").strip().lower() not in _DECODED
    ):
        return _bad("A part must be named as form-data, in UTF-8, without escapes or encodings.")
    is_file = b"filename" in given or b"filename*" in given
    is_text = _is_text(head.get(b"content-type", b"text/plain"))
    return Part(name, is_file, is_text, raw, raw[end + 4 - start :])


def _head(head: bytes) -> dict[bytes, bytes] | None:
    """A part's header fields by name in lower case; None: malformed, or one stands twice."""
    if _text(head) is None:
        return None
    fields: dict[bytes, bytes] = {}
    for line in head.split(b"\r\n"):
        match = _FIELD.fullmatch(line)
        if match is None or match[1].lower() in fields:
            return None
        fields[match[1].lower()] = match[2]
    return fields


def _is_text(kind: bytes) -> bool:
    media, semicolon, rest = kind.strip().partition(b";")
    given = parameters(semicolon + rest)
    if given is None or media.strip().lower() != b"text/plain":
        return False
    return given.get(b"charset", b"utf-8").lower() in (b"utf-8", b"utf8", b"us-ascii")


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _bad(message: str) -> BadRequest:
    return BadRequest(message, _CODE)
