"""What the events of a Responses stream say: content, usage, the end. Source: OpenAI's
ResponseStreamEvent: `response.*.delta` brings content, and the last event holds the whole answer.
"""

import msgspec
from msgspec import Raw

from tollway.dialects.bounded import ABSENT, error_in, usage_in
from tollway.dialects.chunk import size_of
from tollway.dialects.faults import Fault, read_fault
from tollway.dialects.typed_stream import TypedEvent, TypedReader
from tollway.dialects.usage_responses import read_responses_usage

# Deltas whose `delta` is text of the model's: most of a stream.
_WRITTEN = {
    kind.encode(): kind
    for kind in (
        "response.output_text.delta",
        "response.function_call_arguments.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_text.delta",
        "response.refusal.delta",
        "response.custom_tool_call_input.delta",
        "response.mcp_call_arguments.delta",
        "response.code_interpreter_call_code.delta",
        "response.audio.transcript.delta",
    )
}
_SOUND = "response.audio.delta"  # in base64: its length says nothing about tokens


class _Item(msgspec.Struct, gc=False):
    """An item that begins."""

    name: str | None = None


class _Response(msgspec.Struct, gc=False):
    """The answer, as far as it has come."""

    usage: Raw = ABSENT
    error: Raw = ABSENT


class _Event(TypedEvent, gc=False):
    delta: str | None = None
    item: _Item | None = None
    response: _Response | None = None


_load_event = msgspec.json.Decoder(_Event).decode


class ResponsesReader(TypedReader):
    """Reads one stream of `/v1/responses`."""

    __slots__ = ()
    last = frozenset({"response.completed", "response.incomplete"})
    found = frozenset({"response.shell_call_output_content.delta"})
    last_is_whole = True

    @property
    def finished(self) -> bool:
        """The answer is whole: its last event came."""
        return self.done

    def _read_ordinary(self, name: bytes, payload: bytes) -> bool:
        kind = _WRITTEN.get(name)
        if kind is None:
            return False
        try:
            if not payload.isascii():
                payload.decode()
            event = _load_event(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        if event.type != kind or event.error is not ABSENT:
            return False
        self._note_ordinary(size_of(event.delta))
        return True

    def _load(self, payload: bytes) -> TypedEvent:
        return _load_event(payload)

    def _note(self, kind: str, event: TypedEvent) -> Fault | None:
        if not isinstance(event, _Event):
            return None if kind != "response.failed" else Fault(None, None, None)
        size = 0
        if kind == _SOUND:
            size = min(1, size_of(event.delta))
        elif kind.endswith(".delta") and kind not in self.found:
            size = size_of(event.delta)
        elif kind == "response.output_item.added" and event.item is not None:
            size = size_of(event.item.name)
        if size:
            self.events += 1
            self.content_bytes += size
        response = event.response
        if response is not None and response.usage is not ABSENT:
            self._note_usage(read_responses_usage(usage_in(response.usage)))
        if kind != "response.failed":
            return None
        error = None if response is None else error_in(response.error)
        return read_fault({"error": error}) or Fault(None, None, None)
