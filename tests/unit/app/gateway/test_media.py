"""Playbooks of moderations, rankings, pictures and speech."""

import json
from dataclasses import replace

import pytest

from tests.fakes.pipeline import (
    KEY,
    RECORD,
    RESET,
    FakeClient,
    Script,
    make_bench,
    provider,
    snapshot,
    whole,
)
from tests.fakes.quotas import places, quota
from tollway.adapters.disk.answers import DiskAnswers
from tollway.adapters.system.secrets import AesGcmBox
from tollway.app.gateway.runtime import GatewayOptions
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.failure import Cause
from tollway.domain.ids import ProviderId
from tollway.domain.provider import ProviderKind
from tollway.domain.quota import Precision
from tollway.domain.refusal import BadRequest, Forbidden

MODERATIONS = ENDPOINTS[b"/v1/moderations"]
RERANK = ENDPOINTS[b"/v1/rerank"]
IMAGES = ENDPOINTS[b"/v1/images/generations"]
SPEECH = ENDPOINTS[b"/v1/audio/speech"]
TRANSCRIPTIONS = ENDPOINTS[b"/v1/audio/transcriptions"]
EDITS = ENDPOINTS[b"/v1/images/edits"]
DRAW = {"model": "m", "prompt": "a cat"}
SPEAK = {"model": "m", "input": "x" * 38, "voice": "alloy"}
MP3 = [(b"content-type", b"audio/mpeg")]


def bench(*scripts, kind=ProviderKind.OPENAI_COMPATIBLE, **options):
    served = {ProviderId("prv_one"): provider("one", kind=kind)}
    return make_bench(*scripts, config=snapshot(providers=served), **options)


@pytest.mark.parametrize(
    ("endpoint", "body", "answer", "row"),
    [
        (
            MODERATIONS,
            {"model": "m", "input": "x"},
            {"results": [{"flagged": False}]},
            (0, 0, "reported", "provider"),
        ),
        (
            RERANK,
            {"model": "m", "query": "q", "documents": ["a"]},
            {"results": [], "usage": {"total_tokens": 9}},
            (9, 0, "reported", "provider"),
        ),
        (
            RERANK,
            {"model": "m", "query": "q", "documents": ["a"]},
            {"results": [], "meta": {"billed_units": {"search_units": 1}}},
            (16, 0, "estimated", "estimated"),
        ),
        (
            IMAGES,
            DRAW,
            {"data": [{"b64_json": "QUJD"}], "usage": {"input_tokens": 3, "output_tokens": 90}},
            (3, 90, "reported", "provider"),
        ),
        (IMAGES, DRAW, {"data": [{"url": "https://x"}]}, (9, 0, "estimated", "estimated")),
    ],
)
async def test_an_answer_passes_and_is_booked(endpoint, body, answer, row):
    """Its bytes are the provider's; the row has what was reported, or an estimate that says so."""
    made = bench(whole(json.dumps(answer).encode()))
    client, verdict = await made.ask(body, endpoint=endpoint)
    assert verdict is None
    assert client.body == json.dumps(answer).encode()
    (call,) = made.upstream.calls
    assert (call.path, call.stream) == (endpoint.upstream_path, False)
    assert json.loads(call.body) == {**body, "model": "one-model"}
    (found,) = made.journal.receipts
    assert (found.input, found.output, found.payer, found.usage_source) == row
    assert found.endpoint == endpoint.name


async def test_who_has_no_such_endpoint_is_not_asked():
    """A kind of provider that does not have it is passed over by name."""
    for endpoint, kind in ((RERANK, ProviderKind.OPENAI), (SPEECH, ProviderKind.ANTHROPIC)):
        made = bench(kind=kind)
        body = {"model": "m", "query": "q", "documents": ["a"], "input": "x"}
        _, verdict = await made.ask(body, endpoint=endpoint)
        assert isinstance(verdict, BadRequest)
        assert verdict.code == "unsupported_endpoint"
        assert made.upstream.calls == []


async def test_a_keys_scope_names_them():
    """A key for speech alone speaks, and does not draw."""
    key = replace(RECORD, endpoints=("audio_speech",))
    served = {ProviderId("prv_one"): provider("one")}
    config = snapshot(keys={key.id: key}, providers=served)
    made = make_bench(Script(headers=MP3, pieces=[b"a"]), config=config)
    _, verdict = await made.ask(SPEAK, endpoint=SPEECH)
    assert verdict is None
    _, verdict = await made.ask(DRAW, endpoint=IMAGES)
    assert isinstance(verdict, Forbidden)


@pytest.mark.parametrize(("endpoint", "passes"), [(MODERATIONS, True), (IMAGES, False)])
async def test_a_strict_limit_needs_text(endpoint, passes):
    """What cannot be bounded before it runs is refused under it; text is held by its bytes."""
    strict = quota(1000, "tokens", precision=Precision.STRICT)
    served = {ProviderId("prv_one"): provider("one")}
    config = snapshot(providers=served, quotas=places(strict))
    made = make_bench(whole(b'{"results":[]}'), config=config)
    _, verdict = await made.ask({**DRAW, "input": "x"}, endpoint=endpoint)
    assert (verdict is None) is passes
    assert passes or verdict.code == "unbounded_input"


async def test_pictures_may_be_larger_than_other_answers():
    """They have a cap of their own, and above it the error says how much that is."""
    options = GatewayOptions(reply_bytes=10, large_reply_bytes=3 * 1024 * 1024)
    body = json.dumps({"data": [{"b64_json": "A" * 2_000_000}]}).encode()
    client, _ = await bench(whole(body), options=options).ask(DRAW, endpoint=IMAGES)
    assert client.body == body
    made = bench(Script(pieces=[body, body]), options=options)
    _, verdict = await made.ask(DRAW, endpoint=IMAGES)
    assert verdict.cause is Cause.PROTOCOL
    assert "larger than 3 MiB" in verdict.message


class TestSpeech:
    @pytest.mark.parametrize(
        ("given", "seen"),
        [
            (b"audio/mpeg", b"audio/mpeg"),
            (b"Audio/L16; rate=24000", b"audio/l16; rate=24000"),
            (b"application/octet-stream", b"application/octet-stream"),
        ],
    )
    async def test_sound_passes_as_it_comes(self, given, seen):
        """Piece by piece, under the provider's type; the input is estimated from its text."""
        made = bench(Script(headers=[(b"content-type", given)], pieces=[b"\xff\xf3", b"\x00" * 9]))
        client, verdict = await made.ask(SPEAK, endpoint=SPEECH)
        assert verdict is None
        assert client.writes == [b"\xff\xf3", b"\x00" * 9]
        assert (client.status, client.ended) == (200, "finished")
        assert client.headers[b"content-type"] == seen
        assert b"cache-control" not in client.headers
        (call,) = made.upstream.calls
        assert json.loads(call.body) == {**SPEAK, "model": "one-model"}
        assert dict(call.headers)[b"accept"] == b"*/*"
        (row,) = made.journal.receipts
        assert (row.input, row.output, row.usage_source) == (10, 0, "estimated")
        assert (row.endpoint, row.stream, row.outcome) == ("audio_speech", True, "finished")

    @pytest.mark.parametrize(
        ("kind", "message"),
        [
            (b"text/html", "did not answer with sound"),
            (b"application/json", "did not answer with sound"),
            (b'audio/<script>"', "did not answer with sound"),
        ],
    )
    async def test_what_is_no_sound_is_not_passed_on(self, kind, message):
        """A page or an error with a 200 never reaches the client, and costs nothing."""
        made = bench(Script(headers=[(b"content-type", kind)], pieces=[b"<html>"]))
        client, verdict = await made.ask(SPEAK, endpoint=SPEECH)
        assert (verdict.cause, client.status) == (Cause.PROTOCOL, None)
        assert message in verdict.message
        assert made.journal.receipts[0].payer == "failed"

    async def test_a_providers_no(self):
        """It is told in its words."""
        body = b'{"error":{"message":"no such voice","code":"voice"}}'
        made = bench(Script(status=400, pieces=[body]))
        client, verdict = await made.ask(SPEAK, endpoint=SPEECH)
        assert (verdict.status, verdict.message, client.status) == (400, "no such voice", None)

    async def test_nothing_at_all(self):
        """A 200 without a byte is no answer."""
        made = bench(Script(headers=MP3))
        client, verdict = await made.ask(SPEAK, endpoint=SPEECH)
        assert (verdict.cause, client.status) == (Cause.RESET, None)

    async def test_a_cut_answer_has_no_end(self):
        """No words of ours among the sound: the connection breaks off; the input is billed."""
        made = bench(Script(headers=MP3, pieces=[b"\xff\xf3"], failure=RESET))
        client, _ = await made.ask(SPEAK, endpoint=SPEECH)
        assert (client.body, client.ended) == (b"\xff\xf3", "aborted")
        (row,) = made.journal.receipts
        assert (row.input, row.output, row.payer, row.outcome) == (10, 0, "cut", "broken")

    async def test_a_client_that_leaves(self):
        """The provider's call ends; what had begun is billed."""
        client = FakeClient()
        made = bench(Script(headers=MP3, pieces=[b"\xff\xf3", client.leave, b"\x00"]))
        await made.ask(SPEAK, endpoint=SPEECH, client=client)
        (row,) = made.journal.receipts
        assert (row.input, row.output, row.payer) == (10, 0, "client_gone")
        assert made.upstream.cancelled is not None

    async def test_a_slow_client_slows_the_provider(self):
        """At most one piece more waits here."""
        client = FakeClient()
        client.congested = True
        made = bench(Script(headers=MP3, pieces=[b"a", b"b"]))
        await made.ask(SPEAK, endpoint=SPEECH, client=client)
        assert made.upstream.paused == 2

    async def test_usage_is_not_asked_for(self):
        """There is no such option in this dialect, whatever the provider's setting."""
        made = bench(Script(headers=MP3, pieces=[b"a"]))
        await made.ask(SPEAK, endpoint=SPEECH)
        assert b"stream_options" not in made.upstream.calls[0].body


def form(*parts, boundary=b"b"):
    body = b"".join(
        b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (boundary, name, content)
        for name, content in parts
    )
    return body + b"--" + boundary + b"--\r\n"


def headers(boundary=b"b", **more):
    kind = b"multipart/form-data; boundary=" + boundary
    given = [(name.replace("_", "-").encode(), value) for name, value in more.items()]
    return [(b"authorization", b"Bearer " + KEY.encode()), (b"content-type", kind), *given]


SOUND = (b'name="file"; filename="a.mp3"', b"\x00" * 8000)
MODEL = (b'name="model"', b"m")


class TestUploads:
    async def test_a_form_passes(self):
        """With the target's model and the boundary it came with; usage is the provider's."""
        usage = {"type": "tokens", "input_tokens": 9, "output_tokens": 4}
        answer = json.dumps({"text": "hello", "usage": usage}).encode()
        made = bench(whole(answer))
        body = form(MODEL, SOUND)
        client, verdict = await made.ask(body, headers=headers(), endpoint=TRANSCRIPTIONS)
        assert (verdict, client.body) == (None, answer)
        (call,) = made.upstream.calls
        assert call.body == form((b'name="model"', b"one-model"), SOUND)
        assert dict(call.headers) == {
            b"content-type": b"multipart/form-data; boundary=b",
            b"accept": b"*/*",
        }
        (row,) = made.journal.receipts
        assert (row.input, row.output, row.usage_source) == (9, 4, "provider")

    async def test_text_is_text(self):
        """Under that type; it is neither cached nor told again, as what is kept is JSON."""
        made = bench(Script(pieces=[b"<b>hello"]), cache_bytes=10_000)
        body = form(MODEL, SOUND, (b'name="response_format"', b"srt"))
        client, _ = await made.ask(body, headers=headers(), endpoint=TRANSCRIPTIONS)
        assert client.headers[b"content-type"] == b"text/plain; charset=utf-8"
        assert client.body == b"<b>hello"
        (row,) = made.journal.receipts
        assert (row.input, row.output, row.usage_source) == (21, 2, "estimated")
        made.upstream.scripts.append(Script(pieces=[b"again"]))
        client, _ = await made.ask(body, headers=headers(), endpoint=TRANSCRIPTIONS)
        assert client.body == b"again"

    async def test_an_edit(self):
        """Pictures go in and come out."""
        answer = json.dumps({"data": [{"b64_json": "QUJD"}]}).encode()
        made = bench(whole(answer))
        image = (b'name="image[]"; filename="a.png"', b"\x89PNG")
        body = form(MODEL, image, image, (b'name="prompt"', b"a hat"))
        client, _ = await made.ask(body, headers=headers(), endpoint=EDITS)
        assert client.body == answer
        assert made.upstream.calls[0].path == "/images/edits"

    async def test_sent_again_under_its_key(self, tmp_path):
        """A client draws another boundary each time: it is the same request; other sound is not."""
        answers = DiskAnswers(tmp_path / "answers", AesGcmBox(bytes(32)))
        made = bench(whole(b'{"text":"hello"}'), answers=answers)
        for boundary in (b"b", b"c"):
            client, verdict = await made.ask(
                form(MODEL, SOUND, boundary=boundary),
                headers=headers(boundary, idempotency_key=b"one"),
                endpoint=TRANSCRIPTIONS,
            )
            assert (verdict, client.body) == (None, b'{"text":"hello"}')
        assert len(made.upstream.calls) == 1
        body = form(MODEL, (SOUND[0], b"\x01"))
        _, verdict = await made.ask(
            body, headers=headers(idempotency_key=b"one"), endpoint=TRANSCRIPTIONS
        )
        assert verdict.code == "idempotency_key_reused"

    async def test_another_boundary_in_the_header(self):
        """Who reads by the header would read another form: it is refused."""
        made = bench()
        body = form(MODEL, SOUND)
        _, verdict = await made.ask(body, headers=headers(b"c"), endpoint=TRANSCRIPTIONS)
        assert verdict.code == "invalid_form"
        assert made.upstream.calls == []
