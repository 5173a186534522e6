"""Moderations, rankings, pictures and speech: what is judged, what is sent, what is read."""

import json

import pytest

from tollway.dialects import images, moderations, rerank, speech
from tollway.dialects.ask import Ask, Rewrite
from tollway.dialects.reply import Reply
from tollway.dialects.reply_media import read_moderation, read_pictures, read_ranking
from tollway.dialects.sound import SoundReader
from tollway.dialects.usage_media import read_media_usage
from tollway.domain.refusal import BadRequest
from tollway.domain.usage import Usage

GOOD = {
    moderations: {"model": "m", "input": "x"},
    rerank: {"model": "m", "query": "q", "documents": ["a", "b"]},
    images: {"model": "m", "prompt": "a cat"},
    speech: {"model": "m", "input": "hi", "voice": "alloy"},
}


def parsed(form, **fields):
    body = {**GOOD[form], **fields}
    return form.parse(json.dumps({k: v for k, v in body.items() if v is not ...}).encode())


def ask(form, **fields):
    found = parsed(form, **fields)
    assert isinstance(found, Ask), found
    return found


class TestJudging:
    @pytest.mark.parametrize("form", GOOD)
    def test_what_is_asked_is_sent(self, form):
        """The model is the target's, names of people are renamed, all else keeps its bytes."""
        found = ask(form, user="ada", new_field=[1.50])
        sent = form.render(found, Rewrite("t", True, 9, lambda name: f"<{name}>"))
        expected = {**GOOD[form], "user": "<ada>", "new_field": [1.5], "model": "t"}
        assert json.loads(sent) == expected
        assert (found.end_user, found.output_limit) == ("ada", None)

    @pytest.mark.parametrize("form", GOOD)
    @pytest.mark.parametrize("name", ["api_base", "base_url", "api_key", "extra_headers"])
    def test_nobody_chooses_where_it_goes(self, form, name):
        """Fields that would are refused by name."""
        found = parsed(form, **{name: "x"})
        assert (found.code, found.param) == ("forbidden_parameter", name)

    @pytest.mark.parametrize("form", [form for form in GOOD if form is not images])
    @pytest.mark.parametrize(("stream", "passes"), [(False, True), (None, True), (True, False)])
    def test_what_has_no_stream(self, form, stream, passes):
        """`stream` may say no."""
        found = parsed(form, stream=stream)
        assert isinstance(found, Ask) is passes
        assert passes or (found.code, found.param) == ("invalid_value", "stream")

    @pytest.mark.parametrize(
        ("form", "name"),
        [
            *((form, "model") for form in GOOD),
            (moderations, "input"),
            (rerank, "query"),
            (rerank, "documents"),
            (images, "prompt"),
            (speech, "input"),
        ],
    )
    @pytest.mark.parametrize("value", [..., None])
    def test_what_is_needed(self, form, name, value):
        """A field that is absent or null is named."""
        found = parsed(form, **{name: value})
        assert (found.code, found.param) == ("missing_required_parameter", name)

    @pytest.mark.parametrize(
        ("form", "name", "value", "code"),
        [
            (moderations, "input", 5, "invalid_type"),
            (moderations, "input", ["x"] * 2049, "invalid_value"),
            (rerank, "query", ["q"], "invalid_type"),
            (rerank, "documents", "a", "invalid_type"),
            (rerank, "documents", [], "invalid_value"),
            (rerank, "documents", ["a"] * 10_001, "invalid_value"),
            (rerank, "documents", ["a", 5], "invalid_type"),
            (rerank, "top_n", 0, "invalid_value"),
            (rerank, "top_n", "3", "invalid_type"),
            (rerank, "top_n", 1.5, "invalid_type"),
            (images, "prompt", ["x"], "invalid_type"),
            (images, "n", 0, "invalid_value"),
            (images, "n", 11, "invalid_value"),
            (images, "n", True, "invalid_type"),
            (images, "stream", "yes", "invalid_type"),
            (speech, "input", ["x"], "invalid_type"),
            (speech, "instructions", 5, "invalid_type"),
            (images, "partial_images", -1, "invalid_value"),
            (images, "partial_images", "2", "invalid_type"),
            (speech, "stream_format", "mp3", "invalid_value"),
            (speech, "stream_format", 5, "invalid_type"),
        ],
    )
    def test_what_cannot_be(self, form, name, value, code):
        """Wrong types and sizes are refused by the field's name."""
        found = parsed(form, **{name: value})
        assert isinstance(found, BadRequest)
        assert (found.code, found.param) == (code, name)

    @pytest.mark.parametrize("form", GOOD)
    def test_no_json(self, form):
        """As everywhere."""
        assert form.parse(b"{").code == "invalid_json"

    def test_links_are_judged(self):
        """An address that a provider would open must be one of the web."""
        link = {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}
        for form, field, value in (
            (moderations, "input", [link]),
            (rerank, "documents", [{"content": [link]}]),
        ):
            assert parsed(form, **{field: value}).code == "unsupported_url_scheme"
            link["image_url"]["url"] = "https://x/y.png"
            ask(form, **{field: value})
            link["image_url"]["url"] = "gopher://x"


class TestSizes:
    """What the estimate of the input and the strict limits go by."""

    def test_bounded(self):
        """Text alone is; pictures are not, and what draws them never is."""
        assert moderations.is_bounded(ask(moderations))
        assert moderations.is_bounded(ask(moderations, input=["a", "b"]))
        assert not moderations.is_bounded(ask(moderations, input=[{"type": "text"}]))
        assert rerank.is_bounded(ask(rerank))
        assert not rerank.is_bounded(ask(rerank, documents=["a", {"text": "b"}]))
        assert not images.is_bounded(ask(images))

    def test_a_query_is_read_with_each_document(self):
        """So it counts so often."""
        one, many = ask(rerank, documents=["a"]), ask(rerank, documents=["a"] * 100)
        body = 5 * 99  # `, "a"` once for each further document
        assert many.input_bytes - one.input_bytes == body + 99 * (len('"q"') + 16)

    def test_pictures_multiply(self):
        """Each is an answer of its own."""
        assert ask(images, n=4).choices == 4
        assert ask(images).choices == 1

    def test_speech_reads_its_texts(self):
        """Not the other fields; and it goes out as it comes."""
        found = ask(speech, input="abc", instructions="slowly", voice="v" * 500)
        assert (found.input_bytes, found.stream) == (len('"abc""slowly"'), True)


class TestReplies:
    def test_a_moderation_is_free(self):
        """Unless its provider reports what it used."""
        body = b'{"id":"modr-1","results":[{"flagged":false}]%b}'
        assert read_moderation(body % b"") == Reply(True, Usage(0, output=0), 0, None, None)
        used = read_moderation(body % b',"usage":{"prompt_tokens":7,"total_tokens":7}').usage
        assert used == Usage(7)

    @pytest.mark.parametrize(
        ("fields", "usage"),
        [
            ({"usage": {"total_tokens": 9}}, Usage(9, output=0)),
            ({"usage": {"prompt_tokens": 8, "total_tokens": 8}}, Usage(8, output=0)),
            ({"meta": {"billed_units": {"search_units": 1}}}, None),
            ({"meta": {"billed_units": {"input_tokens": 5}}}, Usage(5, output=0)),
            ({"meta": {"tokens": {"input_tokens": 6}}}, Usage(6, output=0)),
            ({"meta": 5, "usage": 5}, None),
            ({"usage": {"total_tokens": -1}}, None),
            ({}, None),
        ],
    )
    def test_a_ranking(self, fields, usage):
        """Tokens where they are reported, in whichever shape."""
        for name in ("results", "data"):
            body = json.dumps({name: [{"index": 0, "relevance_score": 0.5}], **fields}).encode()
            assert read_ranking(body) == Reply(True, usage, 0, None, None)

    def test_pictures(self):
        """They are validated, not built; usage has classes where details are reported."""
        used = {
            "input_tokens": 50,
            "output_tokens": 1056,
            "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
        }
        body = {"created": 1, "data": [{"b64_json": "QUJD"}], "usage": used}
        usage = Usage(input=10, output=1056, image=40)
        assert read_pictures(json.dumps(body).encode()) == Reply(True, usage, 0, None, None)
        assert read_pictures(b'{"data":[{"url":"https://x"}]}').usage is None

    @pytest.mark.parametrize("read", [read_moderation, read_ranking, read_pictures])
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"{}",
            b"<html>",
            b'{"results":{},"data":5}',
            b'{"results":[],"data":[],"error":{"message":"no"}}',
            b'{"results":["\xff"],"data":["\xff"]}',
        ],
    )
    def test_what_is_no_answer(self, read, body):
        """It never passes for one."""
        assert not read(body).valid

    @pytest.mark.parametrize(
        ("value", "usage"),
        [
            (None, None),
            ({}, None),
            ({"type": "duration", "seconds": 3}, None),
            ({"input_tokens": 4}, Usage(4)),
            ({"output_tokens": 4, "input_tokens": True}, Usage(None, output=4)),
            (
                {
                    "input_tokens": 14,
                    "output_tokens": 5,
                    "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
                },
                Usage(0, output=5, audio=14),
            ),
            (
                {
                    "input_tokens": 9,
                    "output_tokens": 8,
                    "output_tokens_details": {"image_tokens": 6, "text_tokens": 2},
                    "input_tokens_details": {"image_tokens": 3, "cached_tokens": 2},
                },
                Usage(4, 2, output=2, image=9),
            ),
        ],
    )
    def test_usage(self, value, usage):
        """Classes are disjoint; what is not reported is not 0."""
        assert read_media_usage(value) == usage


def test_sound_passes_unread():
    """Every byte, and nothing is counted; that it came is known."""
    reader = SoundReader()
    assert (reader.finished, reader.feed(b""), reader.events) == (False, b"", 0)
    assert reader.feed(b"data: [DONE]\n\n") == b"data: [DONE]\n\n"
    assert reader.feed(b"\xff\xf3") == b"\xff\xf3"
    assert (reader.events, reader.read, reader.content_bytes) == (1, 2, 0)
    assert (reader.finished, reader.done, reader.end()) == (True, False, b"")
