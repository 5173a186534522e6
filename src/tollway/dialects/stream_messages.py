"""What the events of a Messages stream say: content, usage, the end. Source: Anthropic's
RawMessageStreamEvent; counts of usage are cumulative, and those of the input come first.
"""

import msgspec
from msgspec import Raw

from tollway.dialects.bounded import ABSENT, usage_in
from tollway.dialects.chunk import size_of
from tollway.dialects.faults import Fault
from tollway.dialects.typed_stream import TypedEvent, TypedReader
from tollway.dialects.usage_anthropic import later_usage, read_anthropic_usage


class _Delta(msgspec.Struct, gc=False):
    """More of a block, or what became of the message. Quotes of documents and signatures are no
    words of a model's, and not here. `content` is a compacted conversation."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    content: str | None = None
    stop_reason: str | None = None


class _Block(msgspec.Struct, gc=False):
    """A block that begins, in most cases empty."""

    name: str | None = None
    text: str | None = None
    thinking: str | None = None


class _Message(msgspec.Struct, gc=False):
    """A message that begins."""

    usage: Raw = ABSENT


class _Event(TypedEvent, gc=False):
    delta: _Delta | None = None
    content_block: _Block | None = None
    message: _Message | None = None
    usage: Raw = ABSENT


_load_event = msgspec.json.Decoder(_Event).decode


class MessagesReader(TypedReader):
    """Reads one stream of `/v1/messages`."""

    __slots__ = ("_stopped",)
    last = frozenset({"message_stop"})
    last_is_whole = False

    def __init__(self) -> None:
        super().__init__()
        self._stopped = False  # a stop_reason was given

    @property
    def finished(self) -> bool:
        """The answer is whole: its last event came, or it says why it stopped."""
        return self.done or self._stopped

    def _read_ordinary(self, name: bytes, payload: bytes) -> bool:
        if name != b"content_block_delta":
            return False
        try:
            if not payload.isascii():
                payload.decode()
            event = _load_event(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        delta = event.delta
        if delta is None or event.type != "content_block_delta" or event.error is not ABSENT:
            return False
        text = delta.text or delta.thinking or delta.partial_json
        if not text:
            return False
        self._note_ordinary(len(text) if text.isascii() else len(text.encode()))
        return True

    def _load(self, payload: bytes) -> TypedEvent:
        return _load_event(payload)

    def _note(self, kind: str, event: TypedEvent) -> Fault | None:
        if not isinstance(event, _Event):
            return None
        size = 0
        if kind == "content_block_delta" and event.delta is not None:
            delta = event.delta
            size = size_of(delta.text or delta.thinking or delta.partial_json or delta.content)
        elif kind == "content_block_start" and event.content_block is not None:
            block = event.content_block
            size = size_of(block.name or block.text or block.thinking)
        elif kind == "message_start" and event.message is not None:
            self.input_usage = read_anthropic_usage(usage_in(event.message.usage))
        elif kind == "message_delta":
            self._note_end(event)
        if size:
            self.events += 1
            self.content_bytes += size
        return None

    def _note_end(self, event: _Event) -> None:
        if event.delta is not None and event.delta.stop_reason:
            self._stopped = True
        usage = read_anthropic_usage(usage_in(event.usage))
        self._note_usage(usage and later_usage(self.usage or self.input_usage, usage))
