"""Table F of the attack list, rows 87 and 88, above HTTP: a provider of each dialect that sends too
much of something. The processor's time grows with the bytes, not with their square, memory stays
within a bound, and the client gets one error event.
"""

import itertools
import json
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from msgspec import Raw

from tests.fakes.amazon import called, delta
from tests.fakes.hostile import (
    PAIRS,
    SIDES,
    TRANSLATED,
    Quiet,
    Side,
    ask,
    at,
    event,
    told_once,
    typed,
)
from tests.fakes.pipeline import Script, chunk
from tollway.dialects.ask import Heading
from tollway.dialects.registry import ENDPOINTS
from tollway.dialects.reply import Reply
from tollway.dialects.stream import StreamReader
from tollway.dialects.translate.pieces import Begun, PartEnded, ThinkingPiece, ToolBegun, ToolPiece
from tollway.dialects.translate.responses_writer import ResponseEvents
from tollway.domain.usage import total_tokens

MANY = 20_000
READ_BYTES = 64 * 1024  # what one read event brings at most
MOST_BYTES = 64 << 20
ONLY_JSON = [pair for pair in PAIRS if pair[1] != "bedrock"]


def cut(data: bytes) -> list[bytes]:
    """As they would be read from a socket."""
    return [data[place : place + READ_BYTES] for place in range(0, len(data), READ_BYTES)]


class Endless(list[bytes]):
    """Pieces that are made as they are asked for, so that none is held here."""

    def __init__(self, begin: list[bytes], more: Iterator[bytes]) -> None:
        super().__init__()
        self._begin, self._more = begin, more
        self.taken = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self._begin
        for piece in self._more:
            self.taken += 1
            yield piece


async def flooded(client: str, side: str, pieces: list[bytes]) -> Quiet:
    """The client, and what it cost: one row, and for who had a beginning, one error."""
    spoken = SIDES[side]
    script = Script(headers=spoken.head)
    script.pieces = pieces
    made, by = at(side, script), Quiet()
    _, verdict = await ask(made, client, stream=True, by=by)
    [row] = made.journal.receipts
    if by.status is None:
        assert verdict is not None
        assert row.payer == "failed"
    elif by.ended == "aborted":
        assert told_once(client, by.body[by.body.find(b"\n\n") + 2 :])
        assert row.payer == "cut"
    assert row.output is not None
    assert row.output >= 0
    return by


def calls_in_one(side: str, count: int) -> bytes:
    """One event with so many calls, where the dialect has such."""
    if side == "chat":
        function = {"name": "f", "arguments": "{}"}
        calls = [{"index": n, "id": f"c{n}", "function": function} for n in range(count)]
        return chunk(choices=[{"index": 0, "delta": {"tool_calls": calls}}])
    parts = [{"functionCall": {"name": "f", "args": {}}} for _ in range(count)]
    return event({"candidates": [{"content": {"parts": parts}}]})


def never_ended(side: str, number: int) -> bytes:
    """A call, or a block, that begins and is left open."""
    if side == "bedrock":
        return called(number, f"c{number}", "f")
    if side == "messages":
        block = {"type": "tool_use", "id": f"c{number}", "name": "f"}
        return typed("content_block_start", index=number, content_block=block)
    return SIDES[side].call(number, f"c{number}", "f", "{}")


@pytest.mark.parametrize(("client", "side"), TRANSLATED)
@pytest.mark.uncounted
async def test_thousands_of_calls(client: str, side: str) -> None:
    """Row 87: an answer has a most of parts, and reaching it costs no more than its bytes do."""
    spoken = SIDES[side]
    pieces = [spoken.start, *(never_ended(side, number) for number in range(MANY))]
    began_s = time.process_time()
    by = await flooded(client, side, [*pieces, spoken.stopped({}), spoken.last])
    assert time.process_time() - began_s < 2
    assert by.ended == "aborted" or (by.status is None and client == "ollama"), "told when whole"


@pytest.mark.parametrize(("client", "side"), TRANSLATED)
async def test_thousands_of_calls_at_once(client: str, side: str) -> None:
    """Row 87: the same in one event, and in a whole answer."""
    spoken = SIDES[side]
    if side in ("chat", "gemini"):
        pieces = cut(spoken.start + calls_in_one(side, MANY))
        began_s = time.process_time()
        await flooded(client, side, [*pieces, spoken.stopped({}), spoken.last])
        assert time.process_time() - began_s < 2
    whole = json.loads(spoken.whole({}))
    wholes: dict[str, Callable[[], None]] = {
        "chat": lambda: whole["choices"][0]["message"].update(
            tool_calls=[{"id": "c", "function": {"name": "f", "arguments": "{}"}}] * MANY
        ),
        "messages": lambda: whole.update(content=[{"type": "text", "text": "x"}] * MANY),
        "gemini": lambda: whole["candidates"][0]["content"].update(parts=[{"text": "xy"}] * MANY),
        "bedrock": lambda: whole["output"]["message"].update(content=[{"text": "x"}] * MANY),
        "ollama": lambda: whole["message"].update(tool_calls=[{"function": {"name": "f"}}] * MANY),
    }
    wholes[side]()
    made, by = at(side, Script(pieces=[json.dumps(whole).encode()])), Quiet()
    began_s = time.process_time()
    await ask(made, client, stream=False, by=by)
    assert time.process_time() - began_s < 2
    assert len(made.journal.receipts) == 1


@pytest.mark.uncounted
def test_a_long_answer_costs_no_more_than_its_bytes() -> None:
    """Row 87: who tells the whole answer at the end does not copy it at every word."""
    tools = {"tools": Raw(b'[{"type": "custom", "name": "free"}]')}
    writer = ResponseEvents(Heading("m", "req_1", 1, False, tools))
    writer.write([Begun(), ToolBegun(0, "c", "free")])
    more, signed = [ToolPiece(0, "x" * 50)], [ThinkingPiece(1, signature="x" * 50)]
    began_s = time.process_time()
    for _ in range(8 * MANY):
        writer.write(more)
        writer.write(signed)
    told = writer.write([PartEnded(0), PartEnded(1)])
    assert time.process_time() - began_s < 6
    assert len(told) > 2 * 8 * MANY * 50


@pytest.mark.parametrize(("client", "side"), TRANSLATED)
async def test_an_endless_answer(client: str, side: str) -> None:
    """Row 87: what would be held for the client's last word is bounded, whatever it consists of."""
    spoken = SIDES[side]
    words = spoken.words("x" * 60_000)
    pieces = Endless([spoken.start], itertools.repeat(words, 1000))
    tracemalloc.start()
    try:
        by = await flooded(client, side, pieces)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
    assert by.ended == "aborted"
    assert pieces.taken < 300


def silent(side: str) -> Callable[[int], bytes]:
    """A sound event that says nothing, or begins what never says anything."""
    makers: dict[str, Callable[[int], bytes]] = {
        "messages": lambda number: typed(
            "content_block_start", index=number, content_block={"type": "text", "text": ""}
        ),
        "bedrock": lambda number: delta(number, text="x"),
        "chat": lambda number: SIDES["chat"].call(number * 10**9, "", "", ""),
        "gemini": lambda number: event(
            {"candidates": [{"content": {"parts": [{"functionCall": {}}]}}]}
        ),
        "ollama": lambda number: SIDES["ollama"].call(number, "", "", "{}"),
    }
    return makers[side]


@pytest.mark.parametrize(("client", "side"), TRANSLATED)
async def test_endless_beginnings(client: str, side: str) -> None:
    """Row 87: blocks without a word, calls at places 10^9 apart: soon there are enough."""
    make = silent(side)
    pieces = Endless([SIDES[side].start], (make(number) for number in range(MANY)))
    by = await flooded(client, side, pieces)
    assert by.ended == "aborted" or (by.status is None and client == "ollama"), "told when whole"
    assert pieces.taken < MANY / 2


def test_endless_choices() -> None:
    """Row 87: a choice of another number in every event leaves nothing behind."""
    reader = StreamReader(forward_usage=False)
    for number in range(MANY):
        reader.feed(chunk(choices=[{"index": number * 10**9, "delta": {"content": "x"}}]))
    assert len(reader._seen) <= 128
    reader.feed(chunk(choices=[{"index": 1, "delta": {}, "finish_reason": "stop"}]))
    assert not reader.finished


LINES = {"short": b"d\n", "data": b"data:x\n", "CR": b"d\r"}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize(("client", "side"), ONLY_JSON)
async def test_an_event_of_a_million_lines(client: str, side: str, line: str) -> None:
    """Row 87: it is cut before it is taken apart."""
    spoken = SIDES[side]
    many = LINES[line] * (READ_BYTES // len(LINES[line]))
    pieces = [spoken.start, *([many] * 100), b"\n\n", spoken.stopped({}), spoken.last]
    tracemalloc.start()
    try:
        await flooded(client, side, pieces)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES / 2
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("client", "side"), TRANSLATED)
async def test_json_of_a_million_values(client: str, side: str) -> None:
    """Row 87: a body whose values would take many times its size is none."""
    spoken = SIDES[side]
    body = spoken.whole({})[:-1] + b', "x": [' + b"[]," * 1_000_000 + b"[]]}"
    made = at(side, Script(pieces=cut(body)))
    tracemalloc.start()
    try:
        _, verdict = await ask(made, client, stream=False)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES / 2
    finally:
        tracemalloc.stop()
    assert verdict is not None
    assert made.journal.receipts[0].payer == "failed"


def deep(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


DEPTHS = [*range(50, 900, 50), *range(900, 1000), 2000, 100_000]


def nested(side: Side, depth: int) -> tuple[bytes, bytes]:
    """A call whose arguments nest so deep: in a whole answer, and in an event."""
    value, mark = deep(depth), b'"MARK"'
    whole = json.loads(side.whole({}))
    name = side.name
    if name == "chat":
        call = {"id": "c", "function": {"name": "f", "arguments": value.decode()}}
        whole["choices"][0]["message"]["tool_calls"] = [call]
        return json.dumps(whole).encode(), side.call(0, "c", "f", value.decode())
    if name == "messages":
        block = {"type": "tool_use", "id": "c", "name": "f", "input": "MARK"}
        whole["content"] = [block]
        piece = typed("content_block_start", index=0, content_block=block)
    elif name == "ollama":
        message = {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}
        message["tool_calls"][0]["function"]["arguments"] = "MARK"
        whole["message"] = message
        piece = json.dumps({"message": message, "done": False}).encode() + b"\n"
    elif name == "gemini":
        parts = [{"functionCall": {"name": "f", "args": "MARK"}}]
        whole["candidates"][0]["content"]["parts"] = parts
        piece = event({"candidates": [{"content": {"parts": parts}}]})
    else:
        whole["output"]["message"]["content"] = [
            {"toolUse": {"toolUseId": "c", "name": "f", "input": "MARK"}}
        ]
        return json.dumps(whole).encode().replace(mark, value), called(0, "c", "f")
    return json.dumps(whole).encode().replace(mark, value), piece.replace(mark, value)


@pytest.mark.parametrize(("client", "side"), TRANSLATED)
async def test_arguments_of_any_depth(client: str, side: str) -> None:
    """Row 93: at no depth does an answer that was read fail to be written."""
    spoken = SIDES[side]
    for depth in DEPTHS:
        whole, piece = nested(spoken, depth)
        made = at(side, Script(pieces=[whole]))
        by, verdict = await ask(made, client, stream=False)
        assert (by.ended == "whole") is (verdict is None)
        made = at(side, spoken.streamed(spoken.start, piece, spoken.stopped({}), spoken.last))
        by, verdict = await ask(made, client, stream=True)
        assert by.ended in (None, "finished", "aborted")
        assert len(made.journal.receipts) == 1


MANY_VALUES = b'{"x": [' + b"[]," * 2_500_000 + b"[]]}"  # 7.5 MB that would be 165 MiB


def around(client: str, side: str, name: bytes) -> bytes:
    """A whole answer with a member of this name that nobody could use."""
    return SIDES[side].whole({})[:-1] + b', "%b": %b}' % (name, MANY_VALUES)


@pytest.mark.parametrize("name", [b"usage", b"error", b"usageMetadata"])
@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_usage_of_a_million_values(client: str, side: str, name: bytes) -> None:
    """Row 87: what is larger than any usage or error is judged by its bytes, and not built."""
    made = at(side, Script(pieces=cut(around(client, side, name))))
    tracemalloc.start()
    try:
        _, verdict = await ask(made, client, stream=False, by=Quiet())
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES / 2
    finally:
        tracemalloc.stop()
    [row] = made.journal.receipts
    assert row.usage_source == ("none" if verdict is not None else "estimated")
    assert verdict is not None or client == side


@pytest.mark.parametrize("inside", ["error", "usage", "response", "message", "delta"])
@pytest.mark.parametrize(("client", "side"), ONLY_JSON)
async def test_an_event_of_a_million_values(client: str, side: str, inside: str) -> None:
    """Row 87: the same in an event of a stream, as large as events may be."""
    spoken, value = SIDES[side], MANY_VALUES
    kinds = {"message": "message_start", "delta": "message_delta"}
    kind = kinds.get(inside, "response.completed").encode()
    if inside in ("response", "message"):
        value = b'{"usage": %b, "error": %b}' % (value, value[:20] + b"]}")
    if side == "chat":
        value = MANY_VALUES[:900_000] + b"[]]}"
    large = b'event: %b\ndata: {"type": "%b", "%b": %b}\n\n' % (kind, kind, inside.encode(), value)
    pieces = [spoken.start, *cut(large), spoken.stopped({}), spoken.last]
    tracemalloc.start()
    try:
        await flooded(client, side, pieces)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


READERS: dict[str, Callable[[bytes], Reply]] = {
    path.decode(): endpoint.read_reply for path, endpoint in ENDPOINTS.items()
}
LISTS = b'{"choices": [], "data": [], "results": [], "content": [], "output": [], "text": "x"'


@pytest.mark.parametrize("name", [b"usage", b"error", b"meta", b"choices", b"content", b"text"])
@pytest.mark.parametrize("path", READERS)
def test_an_answer_of_a_million_values(path: str, name: bytes) -> None:
    """Row 87: at every endpoint whose answers pass unread."""
    value = b"[" + b"{}," * 2_500_000 + b"{}]" if name == b"choices" else MANY_VALUES
    body = LISTS + b', "%b": %b}' % (name, value)
    tracemalloc.start()
    try:
        reply = READERS[path](body)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES / 2
    finally:
        tracemalloc.stop()
    assert reply.usage is None or total_tokens(reply.usage) == 0
