"""Table C of the attack list over sockets, with a real key: each body has the outcome its row
names, what is refused never reaches a provider, what passes reaches it as it was judged, and each
has exactly the rows it should.
"""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import pytest

from tests.attacks.vectors_bodies import (
    COUNT,
    ELSEWHERE,
    EXPECTED_LATER,
    OLLAMA,
    TALK,
    VECTORS,
    Vector,
    chat,
)
from tests.conftest import Show
from tests.fakes.raw_provider import EVENTS_HEAD, RawProvider, RawRequest, answer
from tests.fakes.stage import Reply, Stage

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "input_tokens": 3, "output_tokens": 2}
CHOICE = {"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}
# An answer in every dialect at once.
WHOLE = json.dumps(
    {"choices": [CHOICE], "data": [], "content": [], "output": [], "usage": USAGE}
).encode()
EVENTS = b"".join(
    b"data: %b\n\n" % event
    for event in (
        b'{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}',
        json.dumps({"choices": [], "usage": USAGE}).encode(),
        b"[DONE]",
    )
)
LINES = b"".join(
    json.dumps({"message": {"content": "x"}, "done": done, **counts}).encode() + b"\n"
    for done, counts in ((False, {}), (True, {"prompt_eval_count": 3, "eval_count": 2}))
)
LINES_HEAD = EVENTS_HEAD.replace(b"text/event-stream", b"application/x-ndjson")
NATIVE = {TALK: "raw_messages", COUNT: "raw_messages", OLLAMA: "raw_ollama"}
REWRITTEN = {"model", "stream_options", "user", "metadata", "store"}


def accept_everything(connection: socket.socket, request: RawRequest) -> None:
    """The provider that the table presumes."""
    if b"accept: text/event-stream" in request.head:
        answer(connection, EVENTS, EVENTS_HEAD)
    elif b"accept: application/x-ndjson" in request.head:
        answer(connection, LINES, LINES_HEAD)
    else:
        answer(connection, WHOLE)


@pytest.fixture(scope="module")
def raw() -> Iterator[RawProvider]:
    with RawProvider(accept_everything) as made:
        yield made


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, raw: RawProvider) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("bodies"))
    made.add_provider("raw", raw.base_url)
    made.add_provider("raw_messages", raw.base_url, kind="anthropic")
    made.add_provider("raw_ollama", raw.base_url, kind="ollama")
    made.begin()
    yield made
    made.close()
    assert len(made.tree.ledger()) == len(raw.requests), "a row is lost or too much"


def send(stage: Stage, vector: Vector, body: bytes) -> Reply:
    """Raw, since no client would send most of these."""
    nonce = f"b-{vector}"[:60]
    head = b"POST %b HTTP/1.1\r\nhost: x\r\nx-request-id: %b\r\n" % (vector.path, nonce.encode())
    head += b"authorization: Bearer %b\r\n" % stage.tree.key.encode()
    for name, value in vector.headers:
        head += name + b": " + value + b"\r\n"
    head += b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    with socket.create_connection(stage.address, timeout=20) as connection:
        # It may be refused before all of it was read: the answer is there then.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(head + body)
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                got += piece
    head, _, text = got.partition(b"\r\n\r\n")
    lines = [line.partition(b":") for line in head.lower().split(b"\r\n")[1:]]
    headers = {name.decode(): value.strip().decode() for name, _, value in lines}
    return Reply(int(head[9:12]), headers, text, True, nonce)


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_body(stage: Stage, raw: RawProvider, vector: Vector) -> None:
    """The row's outcome; 0 outbound calls when it is refused, one row when it is not."""
    # Each at a provider of its own dialect, where what was judged is what is sent.
    body = vector.body(NATIVE.get(vector.path, "raw"))
    reached = len(raw.requests)
    reply = send(stage, vector, body)
    if reply.status == 200 and 200 in vector.statuses:
        (request,) = raw.requests[reached:]
        assert told(request.body) == told(body)
        row = stage.row(reply.nonce)
        assert (row["input"], row["output"], row["payer"]) == (3, 2, "reported")
        return
    # Above the cap on bodies its size is what is wrong with it first.
    assert reply.status in ({413} if len(body) > 10 << 20 else vector.statuses)
    assert raw.requests[reached:] == []
    if vector.path in (TALK, COUNT):  # this dialect's errors have a type, and neither of the two
        assert json.loads(reply.body)["error"]["type"]
    elif vector.path == OLLAMA:  # and this one's are a text
        assert set(json.loads(reply.body)) == {"error"}
    else:
        assert vector.code is None or reply.status != 400 or reply.error["code"] == vector.code
        assert vector.param is None or reply.status != 400 or reply.error["param"] == vector.param
        assert reply.error
    assert len(reply.body) < 1000


def told(body: bytes) -> dict[str, Any]:
    """What a body says, numbers as they are written, without what may be rewritten."""
    fields: dict[str, Any] = json.loads(body, parse_int=str, parse_float=str)
    return {name: value for name, value in fields.items() if name not in REWRITTEN}


def test_others_are_served_meanwhile(stage: Stage, show: Show) -> None:
    """While the heaviest bodies of the table keep coming, other clients hardly notice."""
    heavy = [vector for vector in VECTORS if vector.name in {"million-names", "deep-arrays"}]
    bodies = [(vector, vector.body("raw")) for vector in heavy] * 5
    statuses: list[int] = []
    attacker = threading.Thread(
        target=lambda: statuses.extend(send(stage, *one).status for one in bodies)
    )
    plain = chat()("raw")
    quiet = [timed(stage, plain) for _ in range(10)]
    attacker.start()
    waits = [timed(stage, plain)]
    while attacker.is_alive():
        waits.append(timed(stage, plain))
    assert statuses == [400] * len(bodies)
    assert max(waits) < 1
    show(
        f"a plain request takes {median(quiet) * 1000:.1f} ms; "
        f"under attack {median(waits) * 1000:.1f} ms, at most {max(waits) * 1000:.0f} ms"
    )


def timed(stage: Stage, body: bytes) -> float:
    began = time.monotonic()
    assert stage.post("/v1/chat/completions", body).status == 200
    return time.monotonic() - began


def test_what_comes_later_stands_by_name() -> None:
    """Each row that waits for a feature is named once, with the feature; none of them is tested
    under the same name already."""
    for row, what, reason in (*EXPECTED_LATER, *ELSEWHERE):
        assert 33 <= row <= 51
        assert len(what) > 10
        assert len(reason) > 4
    names = [what for _, what, _ in (*EXPECTED_LATER, *ELSEWHERE)]
    assert len(set(names)) == len(names)
    rows = {vector.row for vector in VECTORS}
    named = {row for row, _, _ in (*EXPECTED_LATER, *ELSEWHERE)}
    assert rows | named | {36} == set(range(33, 52))  # the list has no row 36
