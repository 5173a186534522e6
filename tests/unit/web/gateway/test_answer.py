"""The `Client` port over a connection that only records."""

import pytest

from tollway.app.ports import Client
from tollway.web.gateway.answer import Answer


class RecordingExit:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.ends: list[str] = []
        self.congested = False

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def send_all(self, parts: list[bytes]) -> None:
        self.sent.append(b"".join(parts))

    def connection_field(self, *, delimited: bool) -> bytes:
        return b"date: now\r\n"

    def answered(self, *, delimited: bool) -> None:
        self.ends.append("kept" if delimited else "closed")

    def sever(self) -> None:
        self.ends.append("severed")


@pytest.fixture
def exit_() -> RecordingExit:
    return RecordingExit()


@pytest.fixture
def answer(exit_: RecordingExit) -> Answer:
    return Answer(exit_, head_only=False, chunked=True)


def test_it_is_the_port(answer: Answer):
    """An answer is what the pipeline calls its client."""
    client: Client = answer
    assert not client.gone
    assert not client.congested


def test_respond_is_one_write(answer, exit_):
    """A whole answer: one write, exact bytes."""
    answer.respond(200, [(b"a", b"b")], b"body")
    assert exit_.sent == [b"HTTP/1.1 200 OK\r\na: b\r\ndate: now\r\ncontent-length: 4\r\n\r\nbody"]
    assert exit_.ends == ["kept"]


@pytest.mark.parametrize("size", [64 * 1024, 64 * 1024 + 1])
def test_large_bodies(answer, exit_, size):
    """Small or large, the bytes are the same."""
    answer.respond(200, [], b"x" * size)
    assert exit_.sent[0].endswith(b"content-length: %d\r\n\r\n" % size + b"x" * size)


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_body(answer, exit_, status):
    """They carry neither a body nor a length."""
    answer.respond(status, [], b"ignored")
    assert b"content-length" not in exit_.sent[0]
    assert exit_.sent[0].endswith(b"\r\n\r\n")


def test_unknown_status(answer, exit_):
    """A provider's unusual status has a valid status line."""
    answer.respond(529, [], b"")
    assert exit_.sent[0].startswith(b"HTTP/1.1 529 \r\n")


def test_stream_writes(answer, exit_):
    """Head and first piece leave together, then one write per piece, then the last chunk."""
    answer.start(200, [])
    assert exit_.sent == []
    answer.write(b"one")
    answer.write(b"")
    answer.write(b"x" * 26)
    answer.finish()
    head = b"HTTP/1.1 200 OK\r\ndate: now\r\ntransfer-encoding: chunked\r\n\r\n"
    assert exit_.sent == [
        head + b"3\r\none\r\n",
        b"1a\r\n" + b"x" * 26 + b"\r\n",
        b"0\r\n\r\n",
    ]
    assert exit_.ends == ["kept"]


def test_empty_stream(answer, exit_):
    """A stream without a piece is a head and the last chunk."""
    answer.start(200, [])
    answer.finish()
    assert len(exit_.sent) == 1
    assert exit_.sent[0].endswith(b"\r\n\r\n0\r\n\r\n")


def test_after_the_end_everything_is_dropped(answer, exit_):
    """Nothing of a finished answer can reach the connection's next request."""
    answer.respond(200, [], b"")
    answer.respond(500, [], b"")
    answer.start(200, [])
    answer.write(b"late")
    answer.finish()
    answer.abort()
    answer.fail()
    answer.probe()
    answer.watch(lambda: pytest.fail("gone"), lambda: None)
    answer.lost()
    assert len(exit_.sent) == 1
    assert exit_.ends == ["kept"]


def test_out_of_order_calls_are_dropped(answer, exit_):
    """Pieces before a head are nothing, and a begun stream takes no second head."""
    answer.write(b"early")
    answer.finish()
    assert exit_.sent == []
    answer.start(200, [])
    answer.respond(500, [], b"")
    answer.start(500, [])
    answer.write(b"x")
    assert exit_.sent[0].startswith(b"HTTP/1.1 200")


def test_gone_is_told_once(answer, exit_):
    """Leaving calls back once; afterwards writes are dropped and late watchers told at once."""
    told: list[str] = []
    answer.watch(lambda: told.append("old"), lambda: None)
    answer.watch(lambda: told.append("new"), lambda: None)
    answer.lost()
    assert told == ["new"]
    assert answer.gone
    answer.respond(200, [], b"x")
    answer.start(200, [])
    answer.write(b"x")
    answer.finish()
    answer.abort()
    answer.watch(lambda: told.append("late"), lambda: None)
    assert told == ["new", "late"]
    assert exit_.sent == []
    assert exit_.ends == []


def test_congestion(answer):
    """Both edges are seen; the end of congestion calls back."""
    told: list[int] = []
    answer.blocked()
    assert answer.congested
    answer.writable()
    answer.watch(lambda: None, lambda: told.append(1))
    answer.blocked()
    answer.writable()
    assert not answer.congested
    assert told == [1]


def test_without_chunks_the_close_is_the_end(exit_):
    """HTTP/1.0: pieces as they are, and the connection may not stay."""
    answer = Answer(exit_, head_only=False, chunked=False)
    answer.start(200, [])
    answer.write(b"one")
    answer.probe()
    answer.write(b"two")
    answer.finish()
    assert b"".join(exit_.sent).endswith(b"\r\n\r\nonetwo")
    assert exit_.ends == ["closed"]


@pytest.mark.parametrize("when", ["new", "started", "streaming"])
def test_probe_changes_nothing_a_client_can_see(exit_, when):
    """With or without a probe an answer decodes the same."""
    answer = Answer(exit_, head_only=False, chunked=True)
    if when == "new":
        answer.probe()
        answer.probe()
    answer.start(200, [(b"a", b"b")])
    if when == "started":
        answer.probe()
    answer.write(b"one")
    if when == "streaming":
        answer.probe()
    answer.write(b"two")
    answer.finish()
    head, _, body = b"".join(exit_.sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\na: b\r\n")
    assert body in (b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n", b"3\r\none\r\n03\r\ntwo\r\n0\r\n\r\n")


def test_fail(exit_):
    """A broken handler's answer: a 500 when nothing was said, a cut when something was."""
    Answer(exit_, head_only=False, chunked=True).fail()
    assert exit_.sent[0].startswith(b"HTTP/1.1 500 ")
    unsent = Answer(exit_, head_only=False, chunked=True)
    unsent.start(200, [])
    unsent.fail()
    assert exit_.sent[1].startswith(b"HTTP/1.1 500 ")
    begun = Answer(exit_, head_only=False, chunked=True)
    begun.start(200, [])
    begun.write(b"x")
    begun.fail()
    assert exit_.ends == ["kept", "kept", "severed"]


def test_line_breaks_in_headers(answer, exit_):
    """A header that would break the line is left out, and the others stay."""
    bad = [(b"a", b"1\r\nevil: 1"), (b"b\n", b"2"), (b"c", b"3\r"), (b"d", b"4")]
    answer.respond(200, bad, b"")
    assert b"evil" not in exit_.sent[0]
    assert b"d: 4\r\n" in exit_.sent[0]
