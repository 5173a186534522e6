"""What the events of pictures, speech and transcriptions say: that something came, usage, the end.
Pictures and sounds pass unread. Sources: OpenAI's ImageGenStreamEvent, ImageEditStreamEvent,
SpeechAudioDeltaEvent and TranscriptionStreamEvent. Some have an `event:` line, others only data.
"""

from abc import abstractmethod
from typing import ClassVar

import msgspec
from msgspec import Raw

from tollway.dialects.bounded import ABSENT, usage_in
from tollway.dialects.chunk import size_of
from tollway.dialects.faults import Fault
from tollway.dialects.typed_stream import TypedEvent, TypedReader
from tollway.dialects.usage_media import read_media_usage

# A picture stands whole in its event, in base64. Of an answer at once there may be ten, and it may
# have twice as much (`GatewayOptions.large_reply_bytes`).
MAX_PICTURE_EVENT_BYTES = 32 * 1024 * 1024
# What a partial picture counts for where usage must be estimated: 100 tokens, as at OpenAI.
_PARTIAL_BYTES = 400


class _Event(TypedEvent, gc=False):
    delta: str | None = None
    text: str | None = None
    usage: Raw = ABSENT


_load_event = msgspec.json.Decoder(_Event).decode


class MediaReader(TypedReader):
    """One stream. Its ordinary events are those of the types `pieces`."""

    __slots__ = ()
    pieces: ClassVar[frozenset[str]]
    last_is_whole = True

    @property
    def finished(self) -> bool:
        """The answer is whole: its last event came."""
        return self.done

    @abstractmethod
    def _size(self, event: _Event) -> int:
        """The bytes that a piece counts for as content, at least one."""

    def _read_many(self, data: bytes) -> int:
        """Read the leading events that are pieces, with an `event:` line or without: how many
        bytes they are."""
        if data[-2:] != b"\n\n" or 13 in data:
            return 0
        passed, most = 0, self.max_event_bytes - 2
        for event in data[:-2].split(b"\n\n"):
            head, payload = b"", event
            if event[:7] == b"event: ":
                head, _, payload = event.partition(b"\n")
            if payload[:6] != b"data: " or 10 in payload or len(event) > most:
                break
            if not self._read_ordinary(head[7:], payload[6:]):
                break
            passed += len(event) + 2
        return passed

    def _read_ordinary(self, name: bytes, payload: bytes) -> bool:
        if name and name.decode("latin-1") not in self.pieces:
            return False
        try:
            if not payload.isascii():
                payload.decode()
            event = _load_event(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        kind = event.type
        if kind not in self.pieces or (name and name != kind.encode()):
            return False
        if event.error is not ABSENT:
            return False
        self._note_ordinary(self._size(event))
        return True

    def _load(self, payload: bytes) -> TypedEvent:
        return _load_event(payload)

    def _note(self, kind: str, event: TypedEvent) -> Fault | None:
        if not isinstance(event, _Event):
            return None
        if kind in self.pieces:
            self.events += 1
            self.content_bytes += self._size(event)
        elif kind in self.last:
            self._note_last(event)
            self._note_usage(read_media_usage(usage_in(event.usage)))
        return None

    @abstractmethod
    def _note_last(self, event: _Event) -> None:
        """The last event came: what in it is content."""


class PictureReader(MediaReader):
    """Reads one stream of `/v1/images/generations` or `/v1/images/edits`."""

    __slots__ = ()
    max_event_bytes = MAX_PICTURE_EVENT_BYTES
    pieces = frozenset({"image_generation.partial_image", "image_edit.partial_image"})
    last = frozenset({"image_generation.completed", "image_edit.completed"})

    def _size(self, event: _Event) -> int:
        return _PARTIAL_BYTES

    def _note_last(self, event: _Event) -> None:
        self.events += 1  # it must be in the progress file before it goes out


class SpeechReader(MediaReader):
    """Reads one stream of `/v1/audio/speech`. A sound's length says nothing about tokens."""

    __slots__ = ()
    pieces = frozenset({"speech.audio.delta"})
    last = frozenset({"speech.audio.done"})
    last_is_whole = False

    def _size(self, event: _Event) -> int:
        return 1

    def _note_last(self, event: _Event) -> None:
        """No sound."""


class TranscriptReader(MediaReader):
    """Reads one stream of `/v1/audio/transcriptions`. Segments repeat what deltas said."""

    __slots__ = ()
    pieces = frozenset({"transcript.text.delta"})
    last = frozenset({"transcript.text.done"})

    def _size(self, event: _Event) -> int:
        return size_of(event.delta)

    def _note_last(self, event: _Event) -> None:
        if not self.content_bytes:
            self.events += 1
            self.content_bytes = size_of(event.text)
