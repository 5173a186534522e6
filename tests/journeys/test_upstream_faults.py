"""What a provider does wrong, at each phase, streamed and not: the right status or exactly one
error event without `[DONE]`, one row with the right payer, a connection that is not used again,
and a next request that works.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.fakes.gateway import wait_until
from tests.fakes.provider import refusing_port
from tests.fakes.stage import Reply, Stage

TIMEOUTS = {
    "headers_timeout_s": 0.4,
    "first_token_timeout_s": 0.4,
    "idle_timeout_s": 0.4,
    "connect_timeout_s": 0.4,
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("faults"))
    made.manifest["providers"][0] |= TIMEOUTS
    made.add_provider("closed", f"http://127.0.0.1:{refusing_port()}/v1")
    made.add_provider("nameless", "http://does-not-exist.invalid/v1")
    made.add_provider("total", made.provider.base_url, total_timeout_s=0.6)
    made.add_provider("no-secret", made.provider.base_url)
    made.manifest["providers"][-1]["credentials"] = [{"reference": "env:NOT_SET_ANYWHERE"}]
    made.begin()
    yield made
    made.close()


def fault_connections(stage: Stage, reply: Reply) -> set[int]:
    return {one.connection for one in stage.asked(reply.nonce)}


def ended_connections(stage: Stage) -> set[int]:
    """Those that are closed, during an answer or after it."""
    truth = stage.truth
    busy = {one.connection for one in truth.requests.values() if one.closed_by}
    return busy | {fact["conn"] for fact in truth.closed_idle if fact["ev"] == "closed"}


def is_dropped(stage: Stage, reply: Reply) -> None:
    """The faulty connection is closed, and the next request is served on another."""
    faulty = fault_connections(stage, reply)
    assert faulty
    good = stage.chat("tokens=2")
    assert good.status == 200
    assert not fault_connections(stage, good) & faulty
    wait_until(lambda: faulty <= ended_connections(stage), 3)


class Case(NamedTuple):
    """A fault before anything reached the client; the code tells what it was taken for."""

    script: str
    status: int
    code: str
    error: str

    def __str__(self) -> str:
        return self.script


BEFORE = [
    Case("fault=reset at=head", 502, "upstream_error", "headers:reset"),
    Case("fault=fin at=head", 502, "upstream_error", "headers:reset"),
    Case("fault=stall at=head", 504, "upstream_timeout", "headers:timeout"),
    Case("fault=garbage at=head", 502, "upstream_protocol_error", "headers:protocol"),
    Case("fault=continues at=head", 502, "upstream_protocol_error", "headers:protocol"),
    Case("fault=html", 502, "upstream_protocol_error", "first_event:protocol"),
    Case("fault=gzip", 502, "upstream_protocol_error", "headers:protocol"),
    Case("fault=te_and_cl", 502, "upstream_protocol_error", "headers:protocol"),
    Case("fault=huge_header size=1000000", 502, "upstream_protocol_error", "headers:protocol"),
    Case("fault=many_headers", 502, "upstream_protocol_error", "headers:protocol"),
    Case("fault=reset at=first", 502, "upstream_error", "first_event:reset"),
    Case("fault=fin at=first", 502, "upstream_error", "first_event:reset"),
    Case("fault=stall at=first", 504, "upstream_timeout", "first_event:timeout"),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", BEFORE, ids=str)
def test_before_the_first_byte(stage: Stage, case: Case, stream: bool) -> None:
    """A real status in OpenAI's shape; nothing billed, one row."""
    reply = stage.chat(f"tokens=5 {case.script}", stream=stream)
    assert (reply.status, reply.error["code"]) == (case.status, case.code)
    row = stage.row(reply.nonce)
    assert row["error"] == case.error
    assert (row["status"], row["payer"], row["outcome"]) == (case.status, "failed", "failed")
    assert (row["input"], row["output"], row["usage_source"]) == (0, 0, "none")
    if case.script != "fault=html":  # that is well-framed, so its connection is as good as any
        is_dropped(stage, reply)


ONLY_STREAMED = [
    Case("fault=comments at=first", 504, "upstream_timeout", "first_event:timeout"),
    Case("fault=error_event at=first", 502, "simulated_500", "first_event:stream_error"),
    Case("fault=long_line at=first", 502, "upstream_protocol_error", "first_event:protocol"),
    Case("fault=no_type", 502, "upstream_protocol_error", "first_event:protocol"),
]
ONLY_WHOLE = [
    Case("fault=reset at=1", 502, "upstream_error", "first_event:reset"),
    Case("fault=fin at=1", 502, "upstream_error", "first_event:reset"),
    Case("fault=stall at=1", 504, "upstream_timeout", "first_event:timeout"),
    Case("fault=garbage at=1", 502, "upstream_protocol_error", "first_event:protocol"),
    Case("fault=length_long", 504, "upstream_timeout", "first_event:timeout"),
    Case("fault=length_short", 502, "upstream_protocol_error", "first_event:protocol"),
]


@pytest.mark.parametrize(
    ("case", "stream"),
    [*((case, True) for case in ONLY_STREAMED), *((case, False) for case in ONLY_WHOLE)],
    ids=[*map(str, ONLY_STREAMED), *map(str, ONLY_WHOLE)],
)
def test_before_the_first_event_or_the_whole_body(stage: Stage, case: Case, stream: bool) -> None:
    """A head of 200 alone is nothing yet: the client still gets a real status."""
    reply = stage.chat(f"tokens=5 {case.script}", stream=stream)
    assert (reply.status, reply.error["code"]) == (case.status, case.code)
    row = stage.row(reply.nonce)
    assert (row["error"], row["upstream_status"]) == (case.error, 200)
    assert (row["payer"], row["input"], row["output"]) == ("failed", 0, 0)
    if case.script != "fault=no_type":
        is_dropped(stage, reply)


CUTS = {
    "fault=reset at=3": "body:reset",
    "fault=fin at=3": "body:reset",
    "fault=stall at=3": "body:timeout",
    "fault=comments at=3": "body:timeout",
    "fault=garbage at=3": "body:protocol",
    "fault=error_event at=3": "body:stream_error",
    "fault=long_line at=3": "body:protocol",
}


@pytest.mark.parametrize("script", CUTS)
def test_in_the_middle_of_a_stream(stage: Stage, script: str) -> None:
    """What came, one error event, no `[DONE]`, a close; billed what was received, as estimated."""
    reply = stage.chat(f"tokens=9 gap_ms=1 {script}", stream=True)
    assert reply.status == 200
    assert not reply.whole
    assert reply.body.count(b'"error"') == 1
    assert b"[DONE]" not in reply.body
    last = reply.body.rstrip(b"\n").rpartition(b"\n\n")[2]
    assert last.startswith(b'data: {"error":{"message":')
    assert reply.body.endswith(b"\n\n")
    row = stage.row(reply.nonce)
    assert (row["payer"], row["outcome"], row["status"]) == ("cut", "broken", 200)
    assert (row["usage_source"], row["output"], row["error"]) == ("estimated", 3, CUTS[script])
    assert row["input"] > 0
    is_dropped(stage, reply)


@pytest.mark.parametrize("fault", ["reset", "fin", "stall"])
def test_before_the_done(stage: Stage, fault: str) -> None:
    """Content and usage came, `[DONE]` did not: still an error, but the provider's count."""
    reply = stage.chat(f"tokens=4 fault={fault} at=done", stream=True)
    assert reply.status == 200
    assert reply.body.count(b'"error"') == 1
    assert b"[DONE]" not in reply.body
    row = stage.row(reply.nonce)
    assert (row["payer"], row["usage_source"], row["output"]) == ("cut", "provider", 4)
    is_dropped(stage, reply)


# Oddities that spoil nothing: whether `[DONE]` comes, and whether the connection must go.
HARMLESS = {
    "fault=second": (True, True),
    "fault=stall at=end": (True, True),
    "fault=length_long": (True, True),
    "fault=length_short": (False, True),
    "fault=no_done": (False, False),
    "fault=close_delimited": (True, True),
    "fault=http10": (True, True),
    "fault=trailers": (True, False),
    "fault=malformed at=2": (True, False),
    "fault=binary at=2": (True, False),
    "fault=malformed at=first": (True, False),
    "fault=dribble": (True, False),
    "fault=crlf": (True, False),
    "fault=fields": (True, False),
    "fault=interleaved": (True, False),
    "fault=spaceless": (True, False),
    "burst=60": (True, False),
}


@pytest.mark.parametrize("script", HARMLESS)
def test_what_does_not_spoil_a_stream(stage: Stage, script: str) -> None:
    """All tokens, no error, the reported usage; nothing of another answer."""
    reply = stage.chat(f"tokens=60 {script}", stream=True)
    done, dropped = HARMLESS[script]
    assert (reply.status, reply.whole) == (200, True)
    assert (b"data: [DONE]" in reply.body or b"data:[DONE]" in reply.body) is done
    assert [number for number in range(1, 61) if b"%03d " % number not in reply.body] == []
    for unwanted in (b"error", b"injected", b"HTTP/1.1", b"x-trailer", b"event:", b"\nid:", b"bro"):
        assert unwanted not in reply.body
    row = stage.row(reply.nonce)
    assert (row["payer"], row["outcome"], row["output"]) == ("reported", "finished", 60)
    if dropped:
        is_dropped(stage, reply)


@pytest.mark.parametrize(
    "script", ["fault=second", "fault=close_delimited", "fault=http10", "fault=no_type", ""]
)
def test_what_does_not_spoil_a_whole_answer(stage: Stage, script: str) -> None:
    """The body unchanged, called JSON because it is."""
    reply = stage.chat(f"tokens=5 {script}")
    assert (reply.status, reply.whole) == (200, True)
    assert reply.headers["content-type"] == "application/json"
    assert b"injected" not in reply.body
    row = stage.row(reply.nonce)
    assert (row["payer"], row["output"]) == ("reported", 5)
    if script in ("fault=second", "fault=close_delimited", "fault=http10"):
        is_dropped(stage, reply)


@pytest.mark.parametrize(
    ("usage", "payer", "output"),
    [("none", "estimated", 6), ("zero", "reported", 0), ("half", "reported", 3)],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_usage_that_is_absent_or_strange(
    stage: Stage, usage: str, payer: str, output: int, stream: bool
) -> None:
    """Row 90: absent is estimated from what came, and what is claimed is booked as claimed."""
    reply = stage.chat(f"tokens=6 usage={usage}", stream=stream)
    row = stage.row(reply.nonce)
    assert (row["payer"], row["output"], row["outcome"]) == (payer, output, "finished")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("model", "status", "code", "error"),
    [
        ("closed", 502, "upstream_unreachable", "connect:refused"),
        ("nameless", 502, "upstream_unreachable", "connect:dns"),
        ("no-secret", 502, "upstream_error", "connect:credential"),
    ],
)
def test_no_connection(
    stage: Stage, model: str, status: int, code: str, error: str, stream: bool
) -> None:
    """502 without a word about the platform's own network or secrets."""
    reply = stage.chat("tokens=1", model=model, stream=stream)
    assert (reply.status, reply.error["code"]) == (status, code)
    for secret in (b"NOT_SET", b"127.0.0.1", b"invalid"):
        assert secret not in reply.body
    row = stage.row(reply.nonce)
    assert (row["error"], row["payer"], row["upstream_status"]) == (error, "failed", None)
    assert stage.asked(reply.nonce) == []


def test_the_total_time(stage: Stage) -> None:
    """A stream that never pauses still ends at the provider's total time."""
    reply = stage.chat("tokens=5000 gap_ms=2", model="total", stream=True)
    assert reply.body.count(b'"error"') == 1
    row = stage.row(reply.nonce)
    assert (row["payer"], row["error"]) == ("cut", "body:timeout")
    assert 20 < row["output"] < 400
    assert row["output"] == reply.body.count(b'"content": "') - 1  # the first names the role
    is_dropped(stage, reply)
