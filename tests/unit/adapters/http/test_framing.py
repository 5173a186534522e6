"""However an answer is cut into reads, and whatever is wrong with it, a call ends the same way:
random answers fed to a connection in one piece, in some pieces and byte by byte.
"""

import asyncio
import random
from typing import Any, NamedTuple

from tests.unit.adapters.http.scripted import Sink, make_call, provider
from tollway.adapters.http.connection import UpstreamConnection
from tollway.adapters.http.options import UpstreamOptions, deadlines_for
from tollway.adapters.http.run import Run
from tollway.app.ports import Header
from tollway.domain.failure import Failure

OPTIONS = UpstreamOptions()
AT = provider("http://api.example/v1")
LINES = [
    b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 204 No", b"HTTP/1.1 304 No",
    b"HTTP/1.1 500 E", b"HTTP/1.1 100 C", b"HTTP/1.1 102 P", b"HTTP/1.1 103 E", b"HTTP/1.1 199 X",
]  # fmt: skip
FIELDS = [
    b"content-length: 5", b"content-length: 0", b"transfer-encoding: chunked", b"trailer: x",
    b"transfer-encoding: identity", b"connection: close", b"connection: keep-alive",
    b"connection: upgrade\r\nupgrade: x", b"content-type: text/plain", b"x-empty:",
]  # fmt: skip
BODIES = [
    b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"5;a=b\r\nhello\r\n0\r\nx: y\r\n\r\n",
    b"0\r\n\r\n", b"5\r\nhel",
]  # fmt: skip


class Wire:
    """A transport without a socket."""

    closed = False

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> None:
        return None

    def write(self, data: bytes) -> None:
        assert not self.closed


class Shelf:
    """A pool that keeps count."""

    kept = 0
    gone = 0

    def give_back(self, connection: UpstreamConnection) -> None:
        self.kept += 1

    def forget(self, connection: UpstreamConnection) -> None:
        self.gone += 1


class Outcome(NamedTuple):
    failure: Failure | None
    over: bool
    status: int
    headers: list[Header]
    body: bytes


def feed(pieces: list[bytes], *, ends: bool) -> Outcome:
    """What a call makes of an answer that comes in these pieces, and then ends or not."""
    shelf, wire, sink = Shelf(), Wire(), Sink()  # the sink insists on head before data, once
    connection = UpstreamConnection(shelf, OPTIONS)
    transport: Any = wire
    connection.connection_made(transport)
    run = Run(make_call(AT), sink, deadlines_for(AT, OPTIONS), asyncio.get_running_loop())
    sink.attach(run)
    connection.send(run, b"request")
    for piece in pieces:
        if not connection.closed:
            connection.data_received(piece)
    if ends and not connection.closed:
        connection.eof_received()
        connection.connection_lost(None)
    assert run.error is None, run.error
    assert run.failure is None or run.done.done()
    assert shelf.kept + shelf.gone <= 2
    if run.failure is not None:
        assert connection.closed
        assert (shelf.kept, shelf.gone) == (0, 1)
    return Outcome(run.failure, run.done.done(), sink.status, sink.headers, sink.body)


def an_answer(dice: random.Random) -> bytes:
    """One to three heads with bodies that fit or do not, sometimes with a damaged byte."""
    parts = []
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        head = [dice.choice(LINES), *dice.sample(FIELDS, dice.randrange(4)), b"", b""]
        parts += [b"\r\n".join(head), dice.choice(BODIES)]
    answer = b"".join(parts)
    if dice.random() < 0.15:
        at = dice.randrange(len(answer))
        answer = answer[:at] + bytes([dice.randrange(256)]) + answer[at + dice.randrange(2) :]
    return answer


async def test_any_answer_in_any_pieces() -> None:
    """The same failure or none, the same head, the same body; never data before a head."""
    dice = random.Random(20)
    complete = failed = 0
    for _ in range(4000):
        answer, ends = an_answer(dice), dice.random() < 0.5
        whole = feed([answer], ends=ends)
        cuts = sorted(dice.randrange(len(answer) + 1) for _ in range(3))
        some = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
        assert feed([piece for piece in some if piece], ends=ends) == whole, answer
        assert feed([bytes([byte]) for byte in answer], ends=ends) == whole, answer
        complete += whole.over and whole.failure is None
        failed += whole.failure is not None
    assert complete > 500
    assert failed > 500
