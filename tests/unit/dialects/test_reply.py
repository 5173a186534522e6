"""Whole answers and error bodies."""

import json

import pytest

from tollway.dialects.reply import Reply, read_completion, read_embeddings
from tollway.domain.usage import Usage

USAGE = {"prompt_tokens": 5, "completion_tokens": 2}


def chat(**changes):
    message = {"role": "assistant", "content": "héllo", "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return json.dumps({"id": "c", "choices": [choice], "usage": USAGE, **changes}).encode()


def test_a_chat_completion():
    """Usage is read; the size of the content is not needed then."""
    assert read_completion(chat()) == Reply(True, Usage(input=5, output=2), 0, None, None)


def test_a_text_completion():
    """`text` is its content."""
    reply = read_completion(b'{"choices":[{"text":"abc"},{"text":"de"}]}')
    assert reply == Reply(True, None, 5, None, None)


def test_another_shape_of_message():
    """Content in parts is valid and counted."""
    reply = read_completion(b'{"choices":[{"message":{"content":[{"text":"abc"}]}}]}')
    assert (reply.valid, reply.content_bytes) == (True, 3)


def test_embeddings():
    """Vectors are validated but not built; usage has no output."""
    body = {"object": "list", "data": [{"embedding": [0.1, 2]}], "usage": {"prompt_tokens": 5}}
    assert read_embeddings(json.dumps(body).encode()) == Reply(True, Usage(input=5), 0, None, None)


@pytest.mark.parametrize("read", [read_completion, read_embeddings])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b"5",
        b"{",
        b'{"choices":null,"data":null}',
        b'{"choices":{},"data":{}}',
        b'{"choices":[],"data":[],"error":{"message":"x"}}',
        b'{"choices":["\xff"],"data":["\xff"]}',
        b"<html><title>Welcome</title>",
        b'{"data":' + b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_invalid(read, body):
    """A 200 with an error, a page, or another document is not an answer."""
    reply = read(body)
    assert not reply.valid
    assert reply.usage is None


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (b'{"error":{"message":"no","type":"t","code":"c"}}', "no", "c"),
        (
            b'{"object":"error","message":"no","type":"BadRequestError","code":400}',
            "no",
            "BadRequestError",
        ),
        (b'{"detail":"Not Found"}', "Not Found", None),
        (b"upstream connect error", "upstream connect error", None),
        (b"<html><title>503 Busy</title></html>", "503 Busy", None),
        (b"<p>secret", None, None),
        (b"", None, None),
        (b'{"a":1}', None, None),
        (b"\xff\xfe broken", "\ufffd\ufffd broken", None),
        (b'{"error":"' + b"x" * 100_000 + b'"}', '{"error":"' + "x" * 489 + "…", None),
    ],
)
def test_errors_are_told_in_one_line(body, message, code):
    """Whatever the body of an error is, a short safe message comes out, or none."""
    for read in (read_completion, read_embeddings):
        assert read(body)[3:5] == (message, code)


def test_our_key_does_not_come_back():
    """Providers quote the key they refuse."""
    reply = read_completion(b"Bearer sk-abcdefghijklmnop is not valid")
    assert reply.message == "[redacted] is not valid"
