"""Phase 8 for sound: the provider's bytes pass as they come, under its own type. There is no event
that could tell of a failure in the middle: a cut answer ends without its end, so that its client
sees that it is not whole.
"""

from collections.abc import Sequence

from tollway.app.gateway.stream_relay import StreamRelay
from tollway.app.ports import Header
from tollway.dialects.carrier import SOUND
from tollway.dialects.reading import EventReader
from tollway.domain.failure import Failure

_UNNAMED = b"application/octet-stream"
_TYPE_CHARS = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789/.+-;= ")


class SoundRelay(StreamRelay):
    """The sink of one attempt whose answer is sound. Anything else than sound with a 200 is read
    whole: a browser must never be handed a provider's page as ours."""

    __slots__ = ("_type",)
    wanted = "sound"

    def head(self, status: int, headers: Sequence[Header]) -> None:
        """A 200 with a type of sound, or with the type of bytes that nobody names."""
        super().head(status, headers)
        self._type = _UNNAMED
        if status == 200:
            for name, value in headers:
                if name == b"content-type":
                    kind = value.strip().lower()
                    named = kind.startswith(SOUND) and _TYPE_CHARS.issuperset(kind)
                    self._streaming = named or kind == _UNNAMED
                    self._type = kind if named else _UNNAMED

    def produced(self) -> tuple[int, int]:
        """Nothing that counts as tokens."""
        return 0, 0

    def counted(self) -> tuple[int, int]:
        """All of it."""
        return 0, 0

    def _advance(self, reader: EventReader) -> Failure | None:
        """The first piece came. From here on the input is billed, whatever becomes of us."""
        self._events = reader.events
        self._gateway.journal.progress(self.intent.slot, 0, 0)
        return None

    def _stream_headers(self) -> list[Header]:
        return [(b"content-type", self._type)]

    def _break_off(self, failure: Failure) -> None:
        self._client.abort()
