"""G-60 of the reliability goals, and rows 96 and 97 of the attack list: what a provider of each
dialect does wrong, at each phase of its answer. Before the first byte the next target answers, and
alone; after it the client has what came, once, and one error event.

Connecting, TLS and the head are the outbound client's; here they are the failures that it tells of
(`tests/unit/adapters/http/test_dialing.py`, `test_connection.py` and `test_faults.py` there hold
that it does). Slow is a byte at a time.
"""

import re
from typing import Any

import pytest

from tests.fakes.hostile import ENDS, PAIRS, SIDES, TEXT, USAGES, USED, ask, at, told_once
from tests.fakes.pipeline import SECRET, FakeClient, Script
from tollway.domain.failure import Cause, Failure, Phase, client_status

GARBAGE = b"\xff\x00\x1b[2J\r\n\r\ndata: ]\xfe\n\ndata: {\x00\n\n" * 3
SEEN = {
    "chat": rb'"content": ?"hello"',
    "messages": rb'"text": ?"hello"',
    "responses": rb'"delta": ?"hello"',
    "ollama": rb'"content": ?"hello"',
}
BEFORE = ["connect", "tls", "headers", "first"]
AFTER = ["mid", "before usage", "after usage"]
FAULTS = ["reset", "fin", "stall", "garbage"]
CODES = {
    Cause.RESET: "upstream_error",
    Cause.TIMEOUT: "upstream_timeout",
    Cause.PROTOCOL: "upstream_protocol_error",
}
CAUSES = {"reset": Cause.RESET, "fin": Cause.RESET, "stall": Cause.TIMEOUT}


def failure(phase: Phase, fault: str) -> Failure:
    cause = CAUSES.get(fault, Cause.PROTOCOL)
    return Failure(phase, cause, f"It broke ({fault}).")


def unanswered(side: str, phase: str, fault: str) -> Script:
    """A provider that never begins."""
    if phase in ("connect", "tls"):
        told = failure(Phase.CONNECT, fault)
        if phase == "tls" and fault != "stall":
            told = Failure(Phase.CONNECT, Cause.TLS, "No agreement.")
        return Script(failure=told)
    if phase == "headers":
        return Script(failure=failure(Phase.HEADERS, fault))
    spoken = SIDES[side]
    if fault == "garbage":
        return spoken.streamed(GARBAGE)
    return spoken.streamed(failure=None if fault == "fin" else failure(Phase.FIRST_EVENT, fault))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("phase", BEFORE)
@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_before_the_first_byte(client: str, side: str, phase: str, fault: str) -> None:
    """G-60: the healthy target answers, and the lost attempt bills nothing; with none, a status."""
    spoken = SIDES[side]
    lost, sound = unanswered(side, phase, fault), spoken.streamed(*spoken.sound)
    made = at(side, lost, sound, names=("one", "two"))
    by, verdict = await ask(made, client, stream=True)
    assert (verdict, by.ended, by.headers[b"x-tollway-provider"]) == (None, "finished", b"two")
    assert len(re.findall(SEEN[client], by.body)) == 1
    assert b"broke" not in by.body
    first, second = made.journal.receipts
    assert (first.payer, first.input, first.output) == ("failed_over", 0, 0)
    assert (second.payer, second.input, second.output) == ("reported", *USED)

    made = at(side, unanswered(side, phase, fault))
    by, verdict = await ask(made, client, stream=True)
    assert (by.status, by.body) == (None, b"")
    assert client_status(verdict) == (504 if fault == "stall" and phase not in BEFORE[:2] else 502)
    [row] = made.journal.receipts
    assert (row.payer, row.outcome, row.input, row.output) == ("failed", "failed", 0, 0)


def broken(side: str, phase: str, fault: str) -> Script:
    """A provider that breaks after it has begun."""
    spoken = SIDES[side]
    came = [spoken.start, spoken.words(TEXT)]
    if phase == "mid":
        came[1] += spoken.words(" wor")[:-7]  # and half an event
    if phase == "after usage":
        came.append(spoken.sound[2])
    if fault == "garbage":
        return spoken.streamed(*came, *([b"\n\n"] if side != "bedrock" else []), GARBAGE)
    return spoken.streamed(*came, failure=None if fault == "fin" else failure(Phase.BODY, fault))


# With its usage these have said their last word; of the others, the end of the body is one.
ENDED_BY_USAGE = ("bedrock", "responses", "ollama")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("phase", AFTER)
@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_after_the_first_byte(client: str, side: str, phase: str, fault: str) -> None:
    """G-60: no text twice, exactly one error event, no last word, no other target; billed as the
    provider counted if it has, else as what came."""
    made = at(side, broken(side, phase, fault), names=("one", "two"))
    by, verdict = await ask(made, client, stream=True)
    assert verdict is None
    assert len(re.findall(SEEN[client], by.body)) == 1
    [row] = made.journal.receipts
    counted = phase == "after usage"
    if counted and (side in ENDED_BY_USAGE or fault == "fin"):
        assert (by.ended, row.payer) == ("finished", "reported")
        assert b'"error":{' not in by.body
    else:
        assert by.ended == "aborted"
        assert told_once(client, by.body)
        codes = [CODES[CAUSES[fault]]] if fault in CAUSES else [*CODES.values(), "malformed_stream"]
        said = [b'"code":"%b"' % code.encode() in by.body for code in codes]
        assert client in ("messages", "ollama") or any(said)
        assert (row.payer, row.outcome) == ("cut", "broken")
    assert row.usage_source == ("provider" if counted else "estimated")
    if counted:
        assert (row.input, row.output) == USED
    else:
        assert row.output in (2, 3)
        assert row.input > 0


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_half_of_a_whole_answer(client: str, side: str, fault: str) -> None:
    """G-60: what is not streamed has no middle: the next target answers, and the lost half bills
    nothing."""
    spoken = SIDES[side]
    body = spoken.whole(USAGES[side])
    half = [body[: len(body) // 2], *([GARBAGE] if fault == "garbage" else [])]
    told = None if fault in ("fin", "garbage") else failure(Phase.FIRST_EVENT, fault)
    lost = Script(pieces=half, failure=told)
    made = at(side, lost, Script(pieces=[body]), names=("one", "two"))
    by, verdict = await ask(made, client, stream=False)
    assert (verdict, by.ended, by.headers[b"x-tollway-provider"]) == (None, "whole", b"two")
    assert by.body.count(TEXT.encode()) == 1
    first, second = made.journal.receipts
    assert (first.payer, first.input, first.output) == ("failed_over", 0, 0)
    assert (second.payer, second.input, second.output) == ("reported", *USED)


@pytest.mark.parametrize("phase", ["mid", "after usage"])
@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_a_client_that_leaves(client: str, side: str, phase: str) -> None:
    """G-60, from the other end: it pays as the provider counted, if it has, else for what came."""
    spoken, by = SIDES[side], FakeClient()
    came = [spoken.start, spoken.words(TEXT)]
    came += [spoken.sound[2]] if phase == "after usage" else []
    made = at(side, spoken.streamed(*came, by.leave, spoken.words("more"), spoken.last))
    await ask(made, client, stream=True, by=by)
    [row] = made.journal.receipts
    if phase == "mid":
        assert (row.payer, row.usage_source, row.output) == ("client_gone", "estimated", 2)
    else:
        assert row.payer == ("reported" if side in ENDED_BY_USAGE else "client_gone")
        assert (row.usage_source, row.input, row.output) == ("provider", *USED)


@pytest.mark.parametrize("phase", ["first", *AFTER])
@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_slowly(client: str, side: str, phase: str) -> None:
    """G-60: from whichever phase on an answer drips, it is the same answer."""
    spoken = SIDES[side]
    number = {"first": 0, "mid": 1, "before usage": 2, "after usage": 3}[phase]
    sound = spoken.sound
    dripped = [bytes([byte]) for piece in sound[number:] for byte in piece]
    outputs = []
    for pieces in (sound, [*sound[:number], *dripped]):
        made = at(side, spoken.streamed(*pieces))
        by, verdict = await ask(made, client, stream=True)
        assert (verdict, by.ended) == (None, "finished")
        [row] = made.journal.receipts
        assert (row.payer, row.input, row.output) == ("reported", *USED)
        outputs.append(by.body)
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("more", ["again", "garbage", "flood"])
@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_what_follows_the_end(client: str, side: str, more: str) -> None:
    """Row 97: nothing of it reaches the client; the connection is told to be given up."""
    spoken = SIDES[side]
    rest = {"again": spoken.sound, "garbage": [GARBAGE], "flood": [b": x\n\n" * 1000] * 100}[more]
    if not spoken.last:
        rest = [b"", *rest] if side in ENDED_BY_USAGE else []
    made, plain = (
        at(side, spoken.streamed(*spoken.sound, *rest)),
        at(side, spoken.streamed(*spoken.sound)),
    )
    by, verdict = await ask(made, client, stream=True)
    same, _ = await ask(plain, client, stream=True)
    assert (verdict, by.ended, by.body) == (None, "finished", same.body)
    assert ENDS[client] in by.body
    [row] = made.journal.receipts
    assert (row.payer, row.input, row.output) == ("reported", *USED)
    assert made.upstream.was_satisfied or side == "gemini"


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("client", "side"), PAIRS)
async def test_an_error_inside_a_200(client: str, side: str, first: bool) -> None:
    """Rows 92 and 93: first it is a status, later one event; always without our key, on one line,
    and without markup."""
    spoken = SIDES[side]
    said: dict[str, Any] = {
        f"no {SECRET} and sk-abcdefghijkl\r\n\r\ndata: x\x00\x1b[2J": "no [redacted] and",
        "<html><title>Login</title><script>x</script>": "Login",
    }
    for message, shown in said.items():
        before = [] if first else [spoken.start, spoken.words(TEXT)]
        made = at(side, spoken.streamed(*before, spoken.error(message)))
        by, verdict = await ask(made, client, stream=True)
        told = verdict.message if first else by.body.decode()
        assert shown in told
        for unwanted in (SECRET, "sk-abc", "<", "\x00", "\x1b", "\r"):
            assert unwanted not in told
        assert first or told_once(client, by.body)
        [row] = made.journal.receipts
        assert row.payer == ("failed" if first else "cut")
