"""Table F of the attack list for pictures, speech and transcriptions as events, above HTTP: rows
87, 90, 92, 93, 95 and 97.
"""

import json
import tracemalloc
from typing import Any

import pytest

from tests.fakes.hostile import Quiet
from tests.fakes.pipeline import KEY, Bench, Script, make_bench, provider, snapshot
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.entry import cleaned
from tollway.domain.failure import Failure, client_status
from tollway.domain.ids import ProviderId
from tollway.domain.provider import ProviderKind

READ_BYTES = 64 * 1024
HEAD = [(b"content-type", b"text/event-stream")]
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
    b'--b\r\nContent-Disposition: form-data; name="stream"\r\n\r\ntrue\r\n'
    b'--b\r\nContent-Disposition: form-data; name="%b"; filename="a"\r\n\r\nxxxx\r\n--b--\r\n'
)
FORM_HEADERS = [
    (b"authorization", b"Bearer " + KEY.encode()),
    (b"content-type", b"multipart/form-data; boundary=b"),
]


class Kind:
    """One endpoint's streams: what is asked, a piece, the last event."""

    def __init__(self, path: str, body: Any, piece: dict[str, Any], last: dict[str, Any]) -> None:
        self.path, self.body = path, body
        self.piece, self.last = event(piece), last
        self.most = (32 << 20) if "images" in path else (8 << 20)

    def end(self, usage: Any = None) -> bytes:
        """The last event around this usage."""
        told = usage if isinstance(usage, bytes) else json.dumps(usage).encode()
        head = json.dumps(self.last).encode()[:-1]
        return b'data: %b, "usage": %b}\n\n' % (head, told)

    async def ask(self, *pieces: bytes, status: int = 200, head: Any = HEAD) -> tuple[Bench, Any]:
        """The bench, and the client with its verdict, of a stream in reads of 64 KiB."""
        whole = b"".join(pieces)
        cut = [whole[at : at + READ_BYTES] for at in range(0, len(whole), READ_BYTES)]
        served = {ProviderId("prv_one"): provider("one", kind=ProviderKind.OPENAI_COMPATIBLE)}
        made = make_bench(Script(status, head, cut), config=snapshot(providers=served))
        more = {"headers": FORM_HEADERS} if isinstance(self.body, bytes) else {}
        endpoint = ENDPOINTS[self.path.encode()]
        return made, await made.ask(self.body, endpoint=endpoint, client=Quiet(), **more)


def event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


KINDS = {
    "generations": Kind(
        "/v1/images/generations",
        {"model": "m", "prompt": "a cat", "stream": True},
        {"type": "image_generation.partial_image", "b64_json": "QUJD"},
        {"type": "image_generation.completed", "b64_json": "QUJD"},
    ),
    "edits": Kind(
        "/v1/images/edits",
        FORM % (b"prompt", b"a hat", b"image"),
        {"type": "image_edit.partial_image", "b64_json": "QUJD"},
        {"type": "image_edit.completed", "b64_json": "QUJD"},
    ),
    "speech": Kind(
        "/v1/audio/speech",
        {"model": "m", "input": "hello", "voice": "x", "stream_format": "sse"},
        {"type": "speech.audio.delta", "audio": "QUJD"},
        {"type": "speech.audio.done"},
    ),
    "transcriptions": Kind(
        "/v1/audio/transcriptions",
        FORM % (b"prompt", b"names", b"file"),
        {"type": "transcript.text.delta", "delta": "hello"},
        {"type": "transcript.text.done", "text": "hello"},
    ),
}
USED = {"input_tokens": 5, "output_tokens": 2}
each = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))


def cut_off(made: Bench, client: Any) -> None:
    """One error event, no end, and the row of it."""
    assert client.ended == "aborted"
    assert client.body.count(b'"error":{') == 1
    assert b"completed" not in client.body
    [row] = made.journal.receipts
    assert (row.payer, row.usage_source) == ("cut", "estimated")


@each
async def test_an_endless_event(kind: Kind) -> None:
    """Row 87: it is cut when it is larger than any, and memory stays within a bound of it."""
    begun = kind.piece[:-4] + b'", "x": "'
    endless = [b"A" * (1 << 20)] * ((kind.most >> 20) + 8)
    tracemalloc.start()
    try:
        made, (client, _) = await kind.ask(kind.piece, begun, *endless)
        assert tracemalloc.get_traced_memory()[1] < 3 * kind.most + (24 << 20)
    finally:
        tracemalloc.stop()
    cut_off(made, client)


@each
@pytest.mark.parametrize("line", [b"d\n", b"data:x\n", b"d\r"])
async def test_an_event_of_a_million_lines(kind: Kind, line: bytes) -> None:
    """Row 87: it is cut before it is taken apart."""
    made, (client, _) = await kind.ask(kind.piece, line * 1_000_000)
    cut_off(made, client)


@each
@pytest.mark.parametrize("name", [b"usage", b"error"])
async def test_an_event_of_a_million_values(kind: Kind, name: bytes) -> None:
    """Row 87: what is larger than any usage or error is not built."""
    value = b'{"x": [' + b"[]," * 2_000_000 + b"[]]}"
    last = kind.end()[:-3] + b', "%b": %b}\n\n' % (name, value)
    tracemalloc.start()
    try:
        made, (client, _) = await kind.ask(kind.piece, last)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    [row] = made.journal.receipts
    assert row.usage_source == "estimated"
    assert client.ended == ("finished" if name == b"usage" else "aborted")


CLAIMS: dict[str, tuple[bytes, tuple[int, int] | None]] = {
    "true": (json.dumps(USED).encode(), (5, 2)),
    "negative": (b'{"input_tokens": -5, "output_tokens": -2}', None),
    "far above": (b'{"input_tokens": 1000000000, "output_tokens": 0}', (10**9, 0)),
    "above any": (b'{"input_tokens": 1000000001, "output_tokens": 1e3}', None),
    "a duration": (b'{"type": "duration", "seconds": 3}', None),
    "a list": (b"[1]", None),
    "nothing": (b"null", None),
}


@each
@pytest.mark.parametrize("claim", CLAIMS)
async def test_usage_that_is_claimed(kind: Kind, claim: str) -> None:
    """Row 90: what cannot be true counts as not reported."""
    usage, booked = CLAIMS[claim]
    made, (client, verdict) = await kind.ask(kind.piece, kind.end(usage))
    assert (verdict, client.ended) == (None, "finished")
    [row] = made.journal.receipts
    if booked is not None:
        assert (row.payer, row.input, row.output) == ("reported", *booked)
    else:
        assert (row.payer, row.usage_source) == ("estimated", "estimated")
        assert row.input > 0
    assert cleaned(row) == row


async def test_a_transcript_longer_than_its_tokens() -> None:
    """Row 90: fewer tokens than it can have are told by the row."""
    long = event({"type": "transcript.text.delta", "delta": "word " * 3200})
    made, _ = await KINDS["transcriptions"].ask(long, KINDS["transcriptions"].end(USED))
    assert made.journal.receipts[0].error == "usage:below_seen"


@each
async def test_lines_that_steer_a_client(kind: Kind) -> None:
    """Row 92: `id:`, `retry:` and an `event:` that is not the type's stay here."""
    steering = b"id: 1\nretry: 1\nevent: evil\nfoo: bar\n"
    made, (client, verdict) = await kind.ask(steering + kind.piece, steering + kind.end(USED))
    assert verdict is None
    assert client.body == kind.piece + kind.end(USED)
    assert made.journal.receipts[0].output == 2


@each
@pytest.mark.parametrize(
    ("status", "head", "body"),
    [
        (200, b"text/html", b"<!doctype html><title>x</title>"),
        (204, b"text/event-stream", b""),
        (302, b"text/html", b""),
        (200, b"text/event-stream", b""),
        (200, b"text/event-stream", b": x\n\n" * 99),
        (200, b"text/event-stream", b"\0" * 5000),
        (200, b"text/event-stream", b'data: {"error": {"message": "no"}}\n\n'),
        (200, b"application/json", b'{"error": {"message": "no"}}'),
    ],
)
async def test_an_answer_that_is_none(kind: Kind, status: int, head: bytes, body: bytes) -> None:
    """Row 93: 502, and nothing billed."""
    made, (client, verdict) = await kind.ask(body, status=status, head=[(b"content-type", head)])
    assert client.status is None
    assert isinstance(verdict, Failure)
    assert client_status(verdict) == 502
    [row] = made.journal.receipts
    assert (row.payer, row.input, row.output) == ("failed", 0, 0)


@each
async def test_one_malformed_event_among_60(kind: Kind) -> None:
    """Row 95: it is skipped and the stream goes on; two in a row end it."""
    for place in (0, 1, 30, 60):
        pieces = [kind.piece] * place + [b'data: {"x\n\n'] + [kind.piece] * (60 - place)
        _, (client, verdict) = await kind.ask(*pieces, kind.end(USED))
        assert (verdict, client.ended) == (None, "finished")
        assert client.size == 60 * len(kind.piece) + len(kind.end(USED))
    made, (client, _) = await kind.ask(kind.piece, b'data: {"x\n\n', b"data: [\n\n", kind.end(USED))
    cut_off(made, client)


@each
async def test_what_follows_the_end(kind: Kind) -> None:
    """Row 97: it is nobody's."""
    made, (client, verdict) = await kind.ask(kind.piece, kind.end(USED), kind.piece * 99)
    assert verdict is None
    assert client.body == kind.piece + kind.end(USED)
    assert made.upstream.was_satisfied
