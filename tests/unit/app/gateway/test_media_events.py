"""Playbooks of pictures, speech and transcriptions as events."""

import json

import pytest

from tests.fakes.hostile import Quiet
from tests.fakes.pipeline import (
    DONE,
    EVENT_STREAM,
    KEY,
    RESET,
    FakeClient,
    Script,
    make_bench,
    provider,
    snapshot,
    whole,
)
from tests.fakes.quotas import places, quota
from tests.unit.dialects.test_stream_media import STREAMS, named, unnamed
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.ids import ProviderId
from tollway.domain.provider import ProviderKind
from tollway.domain.quota import Metric, Precision, spent
from tollway.domain.refusal import BadRequest

EARLY = Failure(Phase.FIRST_EVENT, Cause.RESET, "The connection was reset.")


def form(**fields):
    """A form with these texts and a file."""
    file = "image" if "prompt" in fields else "file"
    parts = [f'name="{name}"\r\n\r\n{text}' for name, text in fields.items()]
    parts.append(f'name="{file}"; filename="a"\r\n\r\n' + "x" * 4000)
    body = "".join(f"--b\r\nContent-Disposition: form-data; {part}\r\n" for part in parts)
    return body.encode() + b"--b--\r\n"


FORM_HEADERS = [
    (b"authorization", b"Bearer " + KEY.encode()),
    (b"content-type", b"multipart/form-data; boundary=b"),
]
DRAW = {"model": "m", "prompt": "a cat", "stream": True, "partial_images": 2}
SAY = {"model": "m", "input": "x" * 38, "voice": "alloy", "stream_format": "sse"}
# By the stream's name: path, what is asked, and input and output of a stream that is cut after
# its first event.
ASKED = {
    "generations": ("/v1/images/generations", DRAW, 100),
    "edits": ("/v1/images/edits", form(model="m", prompt="a hat", stream="true"), 100),
    "speech": ("/v1/audio/speech", SAY, 1),
    "transcript": ("/v1/audio/transcriptions", form(model="m", stream="true"), 2),
}


def bench(*scripts, names=("one",), **changes):
    kind = ProviderKind.OPENAI_COMPATIBLE
    served = {ProviderId(f"prv_{name}"): provider(name, kind=kind) for name in names}
    return make_bench(*scripts, config=snapshot(names, providers=served, **changes))


def events(name, event=named):
    """A whole stream in pieces, and all of it."""
    pieces = STREAMS[name][1](event)
    return pieces, b"".join(pieces)


async def ask(made, name, **more):
    path, body, _ = ASKED[name]
    if isinstance(body, bytes):
        more["headers"] = FORM_HEADERS
    return await made.ask(body, endpoint=ENDPOINTS[path.encode()], **more)


def streamed(*pieces, **changes):
    return Script(headers=EVENT_STREAM, pieces=list(pieces), **changes)


@pytest.mark.parametrize("event", [named, unnamed])
@pytest.mark.parametrize("name", STREAMS)
async def test_bytes_pass_and_usage_is_booked(name, event):
    """As they come, with the provider's figures in the row."""
    pieces, all_of_it = events(name, event)
    made = bench(streamed(*pieces))
    client, verdict = await ask(made, name)
    assert (verdict, client.status, client.ended) == (None, 200, "finished")
    assert client.body == all_of_it
    assert len(client.writes) == len(pieces)
    assert client.headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    (call,) = made.upstream.calls
    assert call.stream
    assert b"stream_options" not in call.body
    assert b"one-model" in call.body
    (row,) = made.journal.receipts
    used = STREAMS[name][2][2]
    assert (row.input, row.output, row.audio, row.image) == (
        used.input,
        used.output,
        used.audio,
        used.image,
    )
    assert (row.stream, row.usage_source, row.outcome) == (True, "provider", "finished")
    assert row.error is None
    assert row.first_byte_ns is not None


@pytest.mark.parametrize("name", STREAMS)
async def test_a_provider_that_breaks_off(name):
    """One error event; input and what was received are billed, and nothing stays held."""
    pieces, _ = events(name)
    limits = [quota(10**9, metric) for metric in (Metric.TOKENS, Metric.REQUESTS)]
    limits.append(quota(10, "concurrency", "none"))
    made = bench(streamed(pieces[0], failure=RESET), quotas=places(*limits))
    client, _ = await ask(made, name)
    assert client.ended == "aborted"
    assert client.body.startswith(pieces[0] + b'data: {"error":')
    (row,) = made.journal.receipts
    assert (row.payer, row.usage_source, row.outcome) == ("cut", "estimated", "broken")
    assert row.input > 0
    assert row.output == ASKED[name][2]
    (known,) = made.gateway.limits._asked.values()
    for one in known.rules:
        used, held, _ = made.gateway.quotas.standing(one)
        assert (used, held) == (spent(row)[one.metric], 0)


@pytest.mark.parametrize("name", STREAMS)
async def test_a_client_that_leaves(name):
    """What it was given is billed, and the provider's call ends."""
    pieces, _ = events(name)
    client = FakeClient()
    made = bench(streamed(pieces[0], client.leave, *pieces[1:]))
    await ask(made, name, client=client)
    (row,) = made.journal.receipts
    assert (row.payer, row.output) == ("client_gone", ASKED[name][2])
    assert made.upstream.cancelled is not None


@pytest.mark.parametrize("name", STREAMS)
async def test_what_went_out_is_in_the_progress_file(name):
    """Each event is there before its client has it, so that a kill bills it."""
    pieces, _ = events(name)
    told = []

    class Telling(FakeClient):
        def write(self, data):
            told.append(made.journal.progressed[-1][1])
            super().write(data)

    made = bench(streamed(*pieces))
    await ask(made, name, client=Telling())
    assert len(told) == len(pieces)
    assert all(entry.state == 3 and entry.events >= 1 for entry in told)


@pytest.mark.parametrize("name", STREAMS)
async def test_the_next_target_before_the_first_event(name):
    """Whether it is cut, says no, says it in an event, or says nothing."""
    pieces, all_of_it = events(name)
    error = b'event: error\ndata: {"type":"error","error":{"message":"busy"}}\n\n'
    for script in (
        streamed(pieces[0][:-1], failure=EARLY),
        Script(status=503, pieces=[b"{}"]),
        streamed(error),
        streamed(DONE),
        streamed(),
    ):
        made = bench(script, streamed(*pieces), names=("one", "two"))
        client, verdict = await ask(made, name)
        assert (verdict, client.body) == (None, all_of_it)
        assert [row.payer for row in made.journal.receipts] == ["failed_over", "reported"]


WHOLE = {
    "generations": b'{"created":1,"data":[{"b64_json":"QUJD"}]}',
    "edits": b'{"created":1,"data":[{"b64_json":"QUJD"}]}',
    "transcript": b'{"text":"what was said"}',
}


@pytest.mark.parametrize("name", WHOLE)
async def test_a_model_that_cannot_stream(name):
    """Some ignore it, Whisper among them: their answer passes at once, counted as such."""
    made = bench(whole(WHOLE[name]))
    client, verdict = await ask(made, name)
    assert (verdict, client.status, client.ended) == (None, 200, "whole")
    assert client.body == WHOLE[name]
    assert client.headers[b"content-type"] == b"application/json"
    (row,) = made.journal.receipts
    assert (row.usage_source, row.outcome) == ("estimated", "finished")
    assert row.output == (4 if name == "transcript" else 0)


@pytest.mark.parametrize("name", STREAMS)
async def test_a_page_is_no_answer(name):
    """Nothing of it reaches the client, and nothing is billed."""
    made = bench(Script(headers=[(b"content-type", b"text/html")], pieces=[b"<html>"]))
    client, verdict = await ask(made, name)
    assert (verdict.cause, client.status) == (Cause.PROTOCOL, None)
    assert made.journal.receipts[0].payer == "failed"


async def test_a_picture_larger_than_any():
    """It ends the stream, and is not gathered for ever."""
    piece = b"A" * (4 << 20)
    begun = b'data: {"type":"image_generation.completed","b64_json":"'
    made = bench(streamed(events("generations")[0][0], begun, *[piece] * 20))
    client = Quiet()
    await ask(made, "generations", client=client)
    assert client.ended == "aborted"
    assert b"too large" in client.body
    (row,) = made.journal.receipts
    assert (row.payer, row.output) == ("cut", 100)


class TestSpeechUnderLimits:
    async def test_a_strict_limit_takes_no_events(self):
        """They tell of output that no field caps; plain sound has none."""
        limits = places(quota(10**6, "tokens", precision=Precision.STRICT))
        made = bench(quotas=limits)
        _, verdict = await ask(made, "speech")
        assert isinstance(verdict, BadRequest)
        assert verdict.code == "unbounded_input"
        sound = Script(headers=[(b"content-type", b"audio/mpeg")], pieces=[b"x"])
        made = bench(sound, quotas=limits)
        _, verdict = await made.ask(
            {**SAY, "stream_format": "audio"}, endpoint=ENDPOINTS[b"/v1/audio/speech"]
        )
        assert verdict is None

    async def test_a_bounded_one_counts_them(self):
        """As they are reported."""
        made = bench(streamed(*events("speech")[0]), quotas=places(quota(10**6, "tokens")))
        await ask(made, "speech")
        (known,) = made.gateway.limits._asked.values()
        used, held, _ = made.gateway.quotas.standing(known.rules[0])
        assert (used, held) == (115, 0)

    async def test_null_is_absent(self):
        """Then it is sound."""
        made = bench(Script(headers=[(b"content-type", b"audio/mpeg")], pieces=[b"x"]))
        body = {**SAY, "stream_format": None}
        client, verdict = await made.ask(body, endpoint=ENDPOINTS[b"/v1/audio/speech"])
        assert (verdict, client.body) == (None, b"x")

    async def test_sound_where_events_were_asked_for(self):
        """It is not passed on under another name."""
        made = bench(Script(headers=[(b"content-type", b"audio/mpeg")], pieces=[b"x"]))
        client, verdict = await ask(made, "speech")
        assert (verdict.cause, client.status) == (Cause.PROTOCOL, None)
        assert "event stream" in verdict.message


@pytest.mark.parametrize("several", [2, 10])
async def test_several_pictures_are_not_streamed(several):
    """Nothing says which of them a usage counts: refused by the field's name."""
    for name, body in (
        ("generations", {**DRAW, "n": several}),
        ("edits", form(model="m", prompt="x", stream="true", n=several)),
    ):
        made = bench()
        more = {"headers": FORM_HEADERS} if isinstance(body, bytes) else {}
        endpoint = ENDPOINTS[ASKED[name][0].encode()]
        _, verdict = await made.ask(body, endpoint=endpoint, **more)
        assert (verdict.code, verdict.param) == ("invalid_value", "n")
    made = bench(streamed(*events("generations")[0]))
    _, verdict = await made.ask({**DRAW, "n": 1}, endpoint=ENDPOINTS[b"/v1/images/generations"])
    assert verdict is None
    assert json.loads(made.upstream.calls[0].body)["partial_images"] == 2
