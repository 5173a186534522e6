"""One record: `length+kind u32 | crc32 u32 | ticket u64 | msgpack array`, padded to 8 bytes.

The crc covers ticket, array and padding and is seeded with the first word, so no flipped bit goes
unseen. Kind and ticket stand outside the array so that a reader can pair intents with outcomes
without decoding them. Arrays grow at their end only; new fields need defaults.

No text holds NUL, and the first word of every record does: text from a client can never pass for
a record when a reader searches behind damage.
"""

import struct
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Generic, TypeVar
from zlib import crc32

import msgspec

from tollway.domain.receipt import Intent, Receipt

INTENT, OUTCOME, END = 1, 2, 3
KINDS = frozenset({INTENT, OUTCOME, END})
HEAD = struct.Struct("<IIQ")
HEAD_BYTES = HEAD.size
FRAME_BYTES = 8  # the words before the ticket: not counted in `length`
LENGTH_MASK = 0xFFFFFF

_FRAME = struct.Struct("<II")
_TICKET = struct.Struct("<Q")
_PADDING = tuple(bytes(-count & 7) for count in range(8))
_REPLACEMENT = "\ufffd"
_INT64_MAX = 2**63 - 1
# What may be cut to make a record fit: never an id, for an id says who pays.
_FREE_TEXT = ("error", "end_user", "client_request_id", "target_model", "model", "price_version")
_CUT_CHARS = (64, 16, 0)

_encode = msgspec.msgpack.Encoder().encode
RecordT = TypeVar("RecordT", bound=tuple[Any, ...])


class DamagedRecordError(Exception):
    """A record whose checksum is right but whose content is not what its kind says."""


class Codec(Generic[RecordT]):
    """Reads arrays written by older and newer versions of one NamedTuple."""

    def __init__(self, shape: type[RecordT], width: int) -> None:
        self._shape = shape
        self._width = width
        self._decode: Callable[[bytes | memoryview], RecordT] = msgspec.msgpack.Decoder(
            shape
        ).decode

    def decode(self, body: bytes | memoryview) -> RecordT:
        """Missing fields take their defaults, unknown ones are dropped. Raises
        DamagedRecordError."""
        try:
            return self._decode(body)
        except msgspec.ValidationError:
            return self._decode_newer(body)
        except msgspec.DecodeError as error:
            raise DamagedRecordError(str(error)) from error

    def _decode_newer(self, body: bytes | memoryview) -> RecordT:
        try:
            fields = msgspec.msgpack.decode(body)
            record: RecordT = msgspec.convert(fields[: self._width], self._shape)
            return record
        except (msgspec.DecodeError, TypeError) as error:
            raise DamagedRecordError(str(error)) from error


INTENTS = Codec(Intent, len(Intent._fields))
OUTCOMES = Codec(Receipt, len(Receipt._fields))


def framed(kind: int, ticket: int, body: bytes) -> bytes:
    """The record, ready to be stored at an offset divisible by 8."""
    payload = _TICKET.pack(ticket) + body + _PADDING[len(body) & 7]
    word = kind << 24 | (len(body) + 8)
    return _FRAME.pack(word, crc32(payload, word)) + payload


END_RECORD = framed(END, 0, b"")


def intent_record(intent: Intent, max_bytes: int) -> bytes | None:
    """The record of an intent; None when even its ids alone are larger than the bound."""
    record = framed(INTENT, intent.ticket, _body(intent))
    if len(record) > max_bytes:
        record = _shortened(INTENT, intent.ticket, intent, max_bytes)
    return record if len(record) <= max_bytes else None


def outcome_record(receipt: Receipt, ticket: int, max_bytes: int) -> bytes:
    """The record of an outcome; its free texts are cut until it fits (its ids never are)."""
    record = framed(OUTCOME, ticket, _body(receipt))
    if len(record) > max_bytes:
        record = _shortened(OUTCOME, ticket, receipt, max_bytes)
    return record


def _body(fields: Intent | Receipt) -> bytes:
    if _has_nul(fields):
        fields = _cleaned(fields)
    try:
        return _encode(fields)
    except (UnicodeEncodeError, OverflowError):
        return _encode(_cleaned(fields))


def _has_nul(fields: Intent | Receipt) -> bool:
    # Only what callers, configuration or providers may have written; ids are ours.
    texts = f"{fields.model}{fields.target_model}{fields.client_request_id}{fields.end_user}"
    if "\0" in texts:
        return True
    return bool(fields.tags) and any("\0" in text for text in chain.from_iterable(fields.tags))


def _cleaned(fields: Intent | Receipt) -> Intent | Receipt:
    return type(fields)(*(_clean(field) for field in fields))


def _clean(field: Any) -> Any:
    if isinstance(field, str):
        text = field.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        return text.replace("\0", _REPLACEMENT)
    if isinstance(field, int):
        return field if field is True or field is False else min(field, _INT64_MAX)
    if isinstance(field, tuple):
        return tuple(_clean(one) for one in field)
    return field


def _shortened(kind: int, ticket: int, fields: Intent | Receipt, max_bytes: int) -> bytes:
    record = b""
    for chars in _CUT_CHARS:
        cut = {name: _cut(getattr(fields, name, None), chars) for name in _FREE_TEXT}
        known = {name: text for name, text in cut.items() if name in fields._fields}
        if not chars:
            known["tags"] = ()
        record = framed(kind, ticket, _body(fields._replace(**known)))
        if len(record) <= max_bytes:
            break
    return record


def _cut(text: Sequence[str] | None, chars: int) -> Any:
    return text if text is None else text[:chars]
