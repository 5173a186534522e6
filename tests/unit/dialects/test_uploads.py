"""Forms with files: read so that there is one way to read them, judged, and written again."""

import email.parser
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.promptly import within_cpu
from tollway.dialects import uploads
from tollway.dialects.ask import Ask, Heading, Rewrite
from tollway.dialects.multipart import (
    MAX_HEAD_BYTES,
    MAX_PARTS,
    Upload,
    boundary_problem,
    form_type,
    parameters,
    read_upload,
)
from tollway.dialects.registry import ENDPOINTS, carrier_for
from tollway.dialects.reply import Reply, read_text
from tollway.dialects.reply_media import read_transcription
from tollway.domain.provider import ProviderKind
from tollway.domain.refusal import BadRequest
from tollway.domain.usage import Usage

SAME = Rewrite("m", False, None, None)
MODEL = b'Content-Disposition: form-data; name="model"\r\n\r\nm'
FILE = (
    b'Content-Disposition: form-data; name="file"; filename="a.mp3"\r\n'
    b"Content-Type: audio/mpeg\r\n\r\n\x00\xff\r\n--x\r\n\r\n"
)
PROMPT = b'Content-Disposition: form-data; name="prompt"\r\n\r\na cat'
IMAGE = b'Content-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n\x89PNG'


def form(*parts, boundary=b"bound", end=b"--\r\n"):
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    return body + b"--" + boundary + end


def field(name, text, *lines):
    if isinstance(text, str):
        text = text.encode()
    head = b'Content-Disposition: form-data; name="%b"' % name.encode()
    return b"\r\n".join((head, *lines)) + b"\r\n\r\n" + text


def ask(*parts, parse=uploads.parse_sound):
    found = parse(form(*parts))
    assert isinstance(found, Ask), found
    return found


class TestReading:
    def test_parts(self):
        """Names, kinds and contents, however the content looks."""
        found = read_upload(form(MODEL, FILE, field("x", b"", b"X-Own: 1")))
        assert isinstance(found, Upload)
        assert [(one.name, one.is_file, bytes(one.content)) for one in found.parts] == [
            ("model", False, b"m"),
            ("file", True, b"\x00\xff\r\n--x\r\n\r\n"),
            ("x", False, b""),
        ]
        assert [bytes(one.raw) for one in found.parts][:2] == [MODEL, FILE]
        assert [one.is_text for one in found.parts] == [True, False, True]

    @pytest.mark.parametrize("end", [b"--", b"--\r\n"])
    def test_it_may_end_with_its_last_boundary(self, end):
        """With or without a line's end."""
        assert isinstance(read_upload(form(MODEL, end=end)), Upload)

    @pytest.mark.parametrize("boundary", [b"a", b"----WebKitFormBoundaryx", b"a b:c", b"'()" * 23])
    def test_boundaries(self, boundary):
        """All that the RFC permits, and they are quoted where they must be."""
        found = read_upload(form(MODEL, boundary=boundary))
        assert isinstance(found, Upload)
        assert boundary_problem([(b"content-type", form_type(boundary))], boundary) is None

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{}",
            b"\r\n" + form(MODEL),
            b"preamble\r\n" + form(MODEL),
            form(MODEL, boundary=b""),
            form(MODEL, boundary=b"b" * 71),
            form(MODEL, boundary=b"b" * 1_000_000),
            form(MODEL, boundary=b"b "),
            form(MODEL, boundary=b"b;"),
            form(MODEL, end=b"--\r\nepilogue"),
            form(MODEL, end=b"--\r\n\r\n"),
            form(MODEL, end=b" \r\n"),
            form(MODEL, end=b"\r\n"),
            form(MODEL, end=b""),
            form(end=b"--\r\n"),
            form(MODEL)[:-8],
            form(MODEL).replace(b"\r\n", b"\n"),
            form(MODEL, field("x", b"a--bound")),
            form(MODEL, field("x", b"a\n--bound\r\n" + MODEL)),
            form(MODEL, field("x", b"a\r\n--bound2\r\nb")),
            form(MODEL, field("x", b"a\r\n--bound-\r\nb")),
            b"--bound\r\n--bound--\r\n",
            b"--bound\r\n\r\n--bound--\r\n",
            form(b"\r\nno head"),
            form(b"Content-Disposition: form-data; name=x"),
            form(b"\r\n".join([b"--b", b"", b""] * MAX_PARTS)),
            form(*[field("x", "1")] * (MAX_PARTS + 1)),
            form(field("x", "1", b"X: " + b"a" * MAX_HEAD_BYTES)),
            form(field("x", "1", b"X : 1")),
            form(field("x", "1", b" folded")),
            form(field("x", "1", b"X: a\nb")),
            form(field("x", "1", b"X: \xff")),
            form(field("x", "1", b"X: 1", b"x: 2")),
            form(field("x", "1", b'content-disposition: form-data; name="model"')),
            form(field("x", "1", b"Content-Transfer-Encoding: base64")),
            form(field("", "1")),
            form(field('x"; name="model', "1")),
            form(field('x\\"', "1")),
            form(b"Content-Disposition: form-data; name*=utf-8''model\r\n\r\n1"),
            form(b"Content-Disposition: form-data\r\n\r\n1"),
            form(b"Content-Disposition: form-data; name=\r\n\r\n1"),
            form(b"Content-Disposition: attachment; name=x\r\n\r\n1"),
            form(b"Content-Type: text/plain\r\n\r\n1"),
        ],
    )
    def test_what_could_be_read_in_two_ways(self, body):
        """It is refused, and quickly."""
        with within_cpu(0.05):
            found = uploads.parse_sound(body)
        assert isinstance(found, BadRequest)
        assert found.code == "invalid_form"

    def test_a_hundred_thousand_parts(self):
        """They are not counted to the end."""
        body = form(*[field("x", "")] * 100_000)
        with within_cpu(0.05):
            assert isinstance(read_upload(body), BadRequest)

    @pytest.mark.parametrize(
        ("types", "passes"),
        [
            ([b"multipart/form-data; boundary=bound"], True),
            ([b'Multipart/Form-Data;charset=utf-8; Boundary="bound"'], True),
            ([b"multipart/form-data; boundary=other"], False),
            ([b"multipart/form-data"], False),
            ([b"multipart/form-data; boundary=bound; boundary=bound"], False),
            ([b"multipart/form-data; boundary=bound;"], False),
            ([b"multipart/mixed; boundary=bound"], False),
            ([b"multipart/form-data; boundary=bound"] * 2, False),
            ([], False),
        ],
    )
    def test_the_header_names_the_boundary(self, types, passes):
        """The one that the body has, once."""
        problem = boundary_problem([(b"content-type", one) for one in types], b"bound")
        assert (problem is None) is passes

    def test_parameters(self):
        """Quoted or not; nothing else."""
        assert parameters(b'; a=1 ; B="x y"') == {b"a": b"1", b"b": b"x y"}
        assert parameters(b"") == {}
        assert parameters(b"; a") is None


class TestJudging:
    def test_it_is_sent_again(self):
        """The model is the target's, users are renamed, every other part keeps its bytes."""
        odd = field("timestamp_granularities[]", "word", b"Content-Type: text/plain")
        found = ask(MODEL, FILE, odd, odd, field("user", "ada"))
        sent = uploads.render(found, Rewrite("whisper-1", True, 9, lambda name: f"<{name}>"))
        model, user = MODEL[:-1] + b"whisper-1", field("user", "<ada>")
        assert sent == form(model, FILE, odd, odd, user)
        assert uploads.render(found, SAME) == form(MODEL, FILE, odd, odd, field("user", "ada"))
        assert (found.model, found.end_user, found.stream) == ("m", "ada", False)

    def test_pictures(self):
        """Several files under one name, and how many answers there will be."""
        more = IMAGE.replace(b'"image"', b'"image[]"')
        found = ask(MODEL, more, more, PROMPT, field("n", "3"), parse=uploads.parse_pictures)
        assert (found.choices, found.output_limit) == (3, None)
        assert not uploads.is_bounded(found)

    def test_an_address_instead_of_a_file(self):
        """Some servers fetch it; it must be one of the web."""
        ask(MODEL, field("url", "https://x/y.mp3"))
        found = uploads.parse_sound(form(MODEL, field("url", "file:///etc/passwd")))
        assert (found.code, found.param) == ("unsupported_url_scheme", "url")

    def test_a_file_counts_for_less_than_text(self):
        """400 bytes of it are a token; text is as everywhere."""
        head = b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        found = ask(MODEL, head + b"\x00" * 40_000, field("prompt", "x" * 80))
        assert found.input_bytes == 1 + 400 + 80

    @pytest.mark.parametrize(
        ("parts", "code", "param"),
        [
            ((FILE,), "missing_required_parameter", "model"),
            ((MODEL,), "missing_required_parameter", "file"),
            ((MODEL, field("file", "x")), "invalid_type", "file"),
            ((MODEL, FILE, MODEL), "invalid_form", "model"),
            ((FILE, field("model", "")), "invalid_value", "model"),
            ((FILE, field("model", "a\nb")), "invalid_value", "model"),
            ((FILE, field("model", b"\xff")), "invalid_utf8", "model"),
            ((FILE, field("model", "m" * 2_000_000)), "invalid_type", "model"),
            ((FILE, FILE.replace(b'"file"', b'"model"')), "invalid_type", "model"),
            ((FILE, field("model", "m", b"Content-Type: application/json")), "invalid_type", None),
            (
                (FILE, field("model", "m", b"Content-Type: text/plain; charset=utf-16")),
                "invalid_type",
                "model",
            ),
            ((FILE, field("model", "m", b'Content-Type: text/plain; "')), "invalid_type", "model"),
            ((MODEL, FILE, field("stream", "1")), "invalid_type", "stream"),
            ((MODEL, FILE, field("stream", "True")), "invalid_type", "stream"),
            ((MODEL, FILE, field("api_base", "http://x")), "forbidden_parameter", "api_base"),
            ((MODEL, FILE, field("_charset_", "utf-16")), "invalid_value", "_charset_"),
        ],
    )
    def test_what_cannot_be(self, parts, code, param):
        """It is refused by the part's name."""
        found = uploads.parse_sound(form(*parts))
        assert isinstance(found, BadRequest)
        assert found.code == code
        assert param is None or found.param == param

    @pytest.mark.parametrize(
        ("parts", "param"),
        [
            ((MODEL, IMAGE), "prompt"),
            ((MODEL, PROMPT), "image"),
            ((MODEL, PROMPT, IMAGE, field("n", "11")), "n"),
            ((MODEL, PROMPT, IMAGE, field("n", "1" * 5000)), "n"),
            ((MODEL, PROMPT, IMAGE, field("n", "-1")), "n"),
            ((MODEL, PROMPT, IMAGE, field("n", "²")), "n"),
            ((MODEL, PROMPT, IMAGE, field("stream", "yes")), "stream"),
            ((MODEL, PROMPT, IMAGE, field("stream", "true"), field("n", "2")), "n"),
            ((MODEL, PROMPT, IMAGE, field("partial_images", "-1")), "partial_images"),
        ],
    )
    def test_pictures_that_cannot_be(self, parts, param):
        """Likewise."""
        assert uploads.parse_pictures(form(*parts)).param == param

    def test_translations_have_no_stream(self):
        """`stream` may say no."""
        found = uploads.parse_foreign(form(MODEL, FILE, field("stream", "true")))
        assert (found.code, found.param) == ("invalid_value", "stream")
        assert uploads.parse_foreign(form(MODEL, FILE)).stream is False

    def test_what_says_no_is_no_stream(self):
        """`stream=false` asks for nothing special; a plain type in UTF-8 is as good as none."""
        ask(MODEL, FILE, field("stream", "false", b"Content-Type: text/plain; charset=UTF-8"))


class TestExplaining:
    def test_a_form_like_a_json_body(self):
        """So that it can be explained without a file."""
        body = json.dumps({"model": "m", "n": 2, "prompt": "é", "image": "ignored"}).encode()
        made, kind = uploads.form_like(body, "image")
        found = uploads.parse_pictures(made)
        assert isinstance(found, Ask)
        assert (found.model, found.choices) == ("m", 2)
        assert boundary_problem([(b"content-type", kind)], found.upload.boundary) is None

    def test_no_json_is_no_form(self):
        """It is refused like any."""
        made, _ = uploads.form_like(b"[", "file")
        assert uploads.parse_sound(made).code == "invalid_form"


class TestReplies:
    def test_a_transcription(self):
        """Usage in tokens is read; a duration is none, so the text's size is kept."""
        used = {"type": "tokens", "input_tokens": 14, "output_tokens": 5}
        body = json.dumps({"text": "hé", "usage": used}).encode()
        assert read_transcription(body) == Reply(True, Usage(14, output=5), 0, None, None)
        body = json.dumps({"text": "hé", "usage": {"type": "duration", "seconds": 9}}).encode()
        assert read_transcription(body) == Reply(True, None, 3, None, None)

    @pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"text":5}', b'{"text":"","error":"x"}'])
    def test_what_is_none(self, body):
        """It never passes for one."""
        assert not read_transcription(body).valid

    @pytest.mark.parametrize("wanted", ["text", "srt", "vtt"])
    def test_text_where_it_was_asked_for(self, wanted):
        """It may be anything in UTF-8."""
        endpoint = ENDPOINTS[b"/v1/audio/transcriptions"]
        carrier = carrier_for(endpoint, ProviderKind.OPENAI, "m")
        found = ask(MODEL, FILE, field("response_format", wanted))
        reply = carrier.read_reply("hé".encode(), Heading("m", "r", 1, fields=found.fields))
        assert reply == Reply(True, None, 3, None, None, kind=b"text/plain; charset=utf-8")
        other = Heading("m", "r", 1, fields=ask(MODEL, FILE).fields)
        plain = carrier.read_reply(b'{"text":"x"}', other)
        assert plain.kind is None
        assert not read_text(b"\xff").valid


PIECES = st.sampled_from(
    [b"--bound", b"--bound--", b"\r\n", b"\n", b"\r", b"--", b'"', b";", MODEL, FILE, PROMPT]
)


@given(st.lists(PIECES | st.binary(max_size=3), max_size=12).map(b"".join))
def test_no_form_is_read_in_two_ways(tail):
    """Whatever is accepted, the standard library's reader finds the same names and contents in."""
    body = b"--bound\r\n" + MODEL + b"\r\n" + tail
    found = read_upload(body)
    uploads.parse_sound(body)
    if isinstance(found, BadRequest):
        return
    head = b"Content-Type: " + form_type(found.boundary) + b"\r\n\r\n"
    message = email.parser.BytesParser().parsebytes(head + body)
    assert [part.get_param("name", header="content-disposition") for part in message.walk()][
        1:
    ] == [part.name for part in found.parts]
    assert [part.get_payload(decode=True) for part in message.get_payload()] == [
        bytes(part.content) for part in found.parts
    ]
