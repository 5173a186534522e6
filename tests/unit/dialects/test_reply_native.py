"""Whole answers of Messages, of counts and of Responses."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.dialects.reply import Reply
from tollway.dialects.reply_messages import read_message, read_token_count
from tollway.dialects.reply_responses import read_response
from tollway.domain.usage import Usage

READERS = (read_message, read_token_count, read_response)
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [
        {"type": "text", "text": "Grüße"},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bern"}},
    ],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 3, "cache_read_input_tokens": 5, "output_tokens": 7},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "error": None,
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Grüße", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 3, "output_tokens": 7, "total_tokens": 10},
}


def as_bytes(value, **changes):
    return json.dumps({**value, **changes}).encode()


def test_answers_and_their_usage():
    """What was used is read; sizes are for estimates, and none is needed then."""
    assert read_message(as_bytes(MESSAGE)) == Reply(True, Usage(3, 5, None, 7), 0, None, None)
    assert read_response(as_bytes(RESPONSE)) == Reply(True, Usage(3, output=7), 0, None, None)


@pytest.mark.parametrize("usage", [None, {}, 5, {"input_tokens": "x"}])
def test_without_usage_the_words_are_counted(usage):
    """The model's own words and arguments, without ids and labels."""
    assert read_message(as_bytes(MESSAGE, usage=usage))[:3] == (True, None, 7 + 7 + 4)
    assert read_response(as_bytes(RESPONSE, usage=usage))[:3] == (True, None, 7)


def test_a_count_uses_nothing():
    """Counting is free: it is known to be nothing, which is not the same as unknown."""
    found = read_token_count(b'{"input_tokens": 2095}')
    assert found[:3] == (True, Usage(input=0, output=0), 0)
    assert not read_token_count(b'{"input_tokens": "x"}').valid
    assert not read_token_count(b"{}").valid


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"content":', b'{"content":5,"output":{}}', b"\xff"]
)
def test_what_is_no_answer(read, body):
    """HTML, nothing, broken or other JSON is no answer."""
    assert not read(body).valid


@pytest.mark.parametrize("read", READERS)
def test_errors_are_told(read):
    """In Anthropic's shape or OpenAI's."""
    anthropic = b'{"type":"error","error":{"type":"not_found_error","message":"no model"}}'
    assert read(anthropic)[3:5] == ("no model", "not_found_error")
    openai = b'{"error":{"message":"no model","code":"model_not_found"}}'
    assert read(openai)[3:5] == ("no model", "model_not_found")


def test_a_failed_response_is_an_error():
    """A status of 200 does not make it an answer."""
    failed = {"status": "failed", "error": {"code": "server_error", "message": "Oh"}}
    assert read_response(as_bytes(RESPONSE, **failed))[:5] == (
        False,
        None,
        0,
        "Oh",
        "server_error",
    )


@pytest.mark.parametrize("read", READERS)
@given(
    value=st.dictionaries(
        st.sampled_from(["content", "output", "usage", "error", "input_tokens"]),
        st.none() | st.integers() | st.text(max_size=3) | st.lists(st.none(), max_size=2),
    )
)
@pytest.mark.uncounted
def test_no_shape_makes_it_raise(read, value):
    """Whatever an answer holds, it is one or it is not."""
    assert read(json.dumps(value).encode()).valid in (True, False)
