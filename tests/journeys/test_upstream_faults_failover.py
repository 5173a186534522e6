"""More targets than one: who is asked next, what the client sees of it (the winner alone), what
each attempt leaves in the ledger, and in which shares targets are used.
"""

import contextlib
import json
import socket
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.fakes.gateway import wait_until
from tests.fakes.provider import refusing_port
from tests.fakes.raw_provider import EVENTS_HEAD, JSON_HEAD, RawProvider, RawRequest
from tests.fakes.stage import Stage

CHUNKED = EVENTS_HEAD + b"transfer-encoding: chunked\r\n\r\n"
ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n'


FRESH = 60  # models with two targets, of which nobody has heard


@pytest.fixture(scope="module")
def raw() -> Iterator[RawProvider]:
    made = RawProvider()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, raw: RawProvider) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("failover"))
    quick = {"headers_timeout_s": 0.4, "first_token_timeout_s": 0.4, "idle_timeout_s": 0.4}
    made.add_provider("raw", raw.base_url, **quick)
    for number in range(FRESH):
        made.add_provider(f"raw{number}", raw.base_url, **quick)
        targets = {"provider": f"raw{number}"}, {"provider": "simulated", "priority": 1}
        made.add_model(f"two{number}", *targets)
    made.add_provider("closed", f"http://127.0.0.1:{refusing_port()}/v1")
    made.add_model("late", {"provider": "closed"}, {"provider": "simulated", "priority": 1})
    made.add_model("lost", {"provider": "closed"}, {"provider": "raw", "priority": 1})
    made.add_model(
        "long",
        *({"provider": "closed", "model": f"m{number}", "priority": number} for number in range(3)),
        {"provider": "simulated", "priority": 3},
    )
    names = ("a", "b", "c")
    shares = [{"provider": "simulated", "model": name} for name in names]
    made.add_model("turns", *shares, strategy="round_robin")
    weighted = [{**target, "weight": 2**place} for place, target in enumerate(shares)]
    made.add_model("weights", *weighted, strategy="weighted")
    made.begin()
    yield made
    made.close()


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return iter(range(FRESH))


@pytest.fixture
def two(numbers: Iterator[int]) -> str:
    """A model whose first target has not failed yet: after some failures it would go last."""
    return f"two{next(numbers)}"


def status(code: int, fields: bytes = b"") -> bytes:
    body = b'{"error":{"message":"loser","code":"loser"}}'
    return b"HTTP/1.1 %d X\r\n%bcontent-length: %d\r\n\r\n%b" % (code, fields, len(body), body)


LOSERS = {
    "500": status(500),
    "503": status(503, b"retry-after: 30\r\n"),
    # Not for long: whoever asks meanwhile would not be sent there at all.
    "429": status(429, b"retry-after-ms: 20\r\n"),
    "408": status(408),
    "401": status(401),
    "302": status(302, b"location: http://169.254.169.254/\r\n"),
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\ncontent-",
    "garbage": b"\x16\x03\x01 no http \r\n\r\n",
    "html": JSON_HEAD + b"content-length: 7\r\n\r\n<html/>",
    "half a body": JSON_HEAD + b'content-length: 99\r\n\r\n{"choices": [{"text": "lost',
    "error instead of a body": JSON_HEAD + b'content-length: 22\r\n\r\n{"error":{"message":1}}',
    "error event": CHUNKED + b'23\r\ndata: {"error":{"message":"loser"}}\n\n\r\n0\r\n\r\n',
    "comments only": CHUNKED + b"8\r\n: hi\n\n\r\n\r\n0\r\n\r\n",
}


def stall(connection: socket.socket, request: RawRequest) -> None:
    """No answer."""


def lose(raw: RawProvider, data: bytes) -> None:
    """Answer so, then close."""

    def script(connection: socket.socket, _: RawRequest) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_RDWR)

    raw.script = script


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("loser", LOSERS)
def test_the_client_sees_the_winner_alone(
    stage: Stage, raw: RawProvider, two: str, loser: str, stream: bool
) -> None:
    """The loser's row bills nothing, the winner's what was reported; no word of the loser."""
    lose(raw, LOSERS[loser])
    asked = len(raw.requests)
    reply = stage.chat("tokens=4", model=two, stream=stream)
    assert reply.status == 200
    assert reply.headers["x-tollway-provider"] == "simulated"
    assert b"loser" not in reply.body
    assert b"lost" not in reply.body
    assert not {"retry-after", "retry-after-ms"} & set(reply.headers)
    assert reply.body.endswith(b"data: [DONE]\n\n" if stream else b"}")
    first, second = stage.rows(reply.nonce, 2)
    assert (first["attempt"], first["payer"], first["outcome"]) == (1, "failed_over", "failed")
    assert (first["input"], first["output"], first["usage_source"]) == (0, 0, "none")
    assert (second["attempt"], second["payer"], second["output"]) == (2, "reported", 4)
    assert first["request_id"] == second["request_id"] == reply.headers["x-request-id"]
    assert first["provider_id"] != second["provider_id"]
    assert len(raw.requests) == asked + 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_target_that_stalls(stage: Stage, raw: RawProvider, two: str, stream: bool) -> None:
    """Its own header timeout decides; then the next is asked."""
    raw.script = stall
    reply = stage.chat("tokens=4", model=two, stream=stream)
    assert reply.status == 200
    first, second = stage.rows(reply.nonce, 2)
    assert (first["error"], first["payer"]) == ("headers:timeout", "failed_over")
    assert second["payer"] == "reported"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_connection_that_is_refused(stage: Stage, stream: bool) -> None:
    """The same where not even a connection came about."""
    reply = stage.chat("tokens=4", model="late", stream=stream)
    assert reply.status == 200
    first, second = stage.rows(reply.nonce, 2)
    assert (first["error"], first["payer"]) == ("connect:refused", "failed_over")
    assert second["payer"] == "reported"


@pytest.mark.parametrize("code", [400, 404, 413, 422])
def test_a_request_that_is_wrong_is_wrong_everywhere(
    stage: Stage, raw: RawProvider, two: str, code: int
) -> None:
    """No second target is asked; the first one's word stands."""
    lose(raw, status(code))
    reply = stage.chat("tokens=4", model=two)
    assert (reply.status, reply.error["message"]) == (code, "loser")
    assert stage.row(reply.nonce)["payer"] == "failed"
    assert stage.asked(reply.nonce) == []


def test_once_the_client_has_something_there_is_no_other(
    stage: Stage, raw: RawProvider, two: str
) -> None:
    """A stream that broke after its first event ends as an error, not as another's stream."""
    lose(raw, CHUNKED + b"%x\r\n%b\r\n" % (len(ROLE), ROLE))
    reply = stage.chat("tokens=4", model=two, stream=True)
    assert reply.status == 200
    assert reply.body.startswith(ROLE)
    assert reply.body.count(b'"error"') == 1
    assert stage.row(reply.nonce)["payer"] == "cut"
    assert stage.asked(reply.nonce) == []


def test_when_all_fail_the_last_one_speaks(stage: Stage, raw: RawProvider) -> None:
    """Its status, its words, its retry-after."""
    lose(raw, status(429, b"retry-after: 1\r\n"))
    reply = stage.chat("tokens=4", model="lost")
    assert (reply.status, reply.error["message"]) == (429, "loser")
    assert reply.headers["retry-after"] == "1"
    payers = [row["payer"] for row in stage.rows(reply.nonce, 2)]
    assert payers == ["failed_over", "failed"]


def test_three_attempts_are_the_most(stage: Stage) -> None:
    """The fourth target is not asked."""
    reply = stage.chat("tokens=4", model="long")
    assert reply.status == 502
    rows = stage.rows(reply.nonce, 3)
    assert [row["target_model"] for row in rows] == ["m0", "m1", "m2"]
    assert stage.asked(reply.nonce) == []


def test_for_a_client_that_left_nobody_else_is_asked(
    stage: Stage, raw: RawProvider, two: str
) -> None:
    """Its first target still stalls when it leaves."""
    arrived = len(raw.requests)
    raw.script = stall
    connection = stage.connect()
    body = {"model": two, "messages": [{"role": "user", "content": "hi [[id=leaver]]"}]}
    headers = {
        "authorization": f"Bearer {stage.tree.key}",
        "content-type": "application/json",
        "x-request-id": "leaver",
    }
    with contextlib.closing(connection):
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        wait_until(lambda: len(raw.requests) > arrived)
    assert stage.row("leaver")["payer"] == "client_gone"
    assert raw.ended[raw.connections].wait(1), "the provider's connection is closed"
    assert stage.asked("leaver") == []


def test_shares(stage: Stage) -> None:
    """Round robin: equal to the request. Weights 1, 2 and 4: within one or two of their shares."""
    shares = {}
    for model, count in (("turns", 30), ("weights", 70)):
        replies = [stage.chat("tokens=1", model=model) for _ in range(count)]
        rows = [stage.row(reply.nonce) for reply in replies]
        shares[model] = Counter(row["target_model"] for row in rows)
        assert {row["model"] for row in rows} == {model}
    assert shares["turns"] == {"a": 10, "b": 10, "c": 10}
    wanted = {"a": 10, "b": 20, "c": 40}
    assert all(abs(shares["weights"][name] - share) <= 2 for name, share in wanted.items())


def test_an_account_that_had_enough_is_left_alone(stage: Stage, raw: RawProvider, two: str) -> None:
    """For as long as the provider says, its next target answers, and it is sent nothing."""
    lose(raw, status(429, b"retry-after: 30\r\n"))
    assert stage.chat("tokens=4", model=two).status == 200
    arrived = len(raw.requests)
    for _ in range(3):
        reply = stage.chat("tokens=4", model=two)
        assert (reply.status, reply.headers["x-tollway-provider"]) == (200, "simulated")
        [row] = stage.rows(reply.nonce, 1)
        assert row["payer"] == "reported"
    assert len(raw.requests) == arrived
