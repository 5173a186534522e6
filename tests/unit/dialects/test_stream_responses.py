"""What the events of a Responses stream say."""

import json

import pytest

from tollway.dialects.stream_responses import ResponsesReader
from tollway.domain.usage import Usage

USAGE = {
    "input_tokens": 30,
    "input_tokens_details": {"cached_tokens": 20},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 42,
}


def event(kind, **fields):
    body = json.dumps({"type": kind, "sequence_number": 1, **fields}).encode()
    return b"event: " + kind.encode() + b"\ndata: " + body + b"\n\n"


def response(status, usage=None, **fields):
    made = {"id": "resp_1", "object": "response", "status": status, "output": [], "usage": usage}
    return event(f"response.{status}", response={**made, **fields})


CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather"}
WHOLE = b"".join(
    (
        event("response.created", response={"id": "resp_1", "usage": None, "error": None}),
        response("in_progress"),
        event("response.output_item.added", item={"type": "reasoning", "summary": []}),
        event("response.reasoning_summary_text.delta", delta="Hmm."),
        event("response.output_item.added", item={"type": "message", "content": []}),
        event("response.output_text.delta", delta="Grüße", logprobs=[], obfuscation="xyz"),
        event("response.output_text.done", text="Grüße"),
        event("response.output_item.added", item={**CALL, "arguments": ""}),
        event("response.function_call_arguments.delta", delta='{"city":"Bern"}'),
        event("response.function_call_arguments.done", arguments='{"city":"Bern"}'),
        event("response.output_item.done", item={**CALL, "arguments": '{"city":"Bern"}'}),
        response("completed", USAGE, error=None, incomplete_details=None),
    )
)


def read(*pieces):
    reader = ResponsesReader()
    passed = b"".join([reader.feed(piece) for piece in pieces])
    return reader, passed + reader.end()


def test_a_whole_stream():
    """Deltas are content, and so is a function's name; what is said again at the end is not."""
    reader, passed = read(WHOLE)
    assert passed == WHOLE
    assert (reader.done, reader.finished) == (True, True)
    assert reader.events == 4
    assert reader.content_bytes == len('Hmm.Grüßeweather{"city":"Bern"}'.encode())
    assert reader.usage == Usage(10, 20, None, 7, 5)
    assert reader.input_usage is None


@pytest.mark.parametrize("delta", [{"stdout": "x" * 99, "stderr": ""}, "x" * 99])
def test_what_a_shell_printed_is_not_written(delta):
    """It passes, and counts for nothing: no model wrote it."""
    printed = event("response.shell_call_output_content.delta", delta=delta, output_index=0)
    reader, passed = read(event("response.shell_call_command.delta", delta="ls -l") + printed)
    assert passed.endswith(printed)
    assert (reader.events, reader.content_bytes) == (1, 5)


def test_every_cut_of_it():
    """Cut at each byte it reads the same."""
    whole, _ = read(WHOLE)
    for cut in range(len(WHOLE) + 1):
        reader, passed = read(WHOLE[:cut], WHOLE[cut:])
        assert passed == WHOLE
        assert (reader.events, reader.content_bytes) == (whole.events, whole.content_bytes)
        assert (reader.usage, reader.read, reader.done) == (whole.usage, whole.read, True)


@pytest.mark.parametrize(
    "kind",
    [
        "response.reasoning_text.delta",
        "response.refusal.delta",
        "response.custom_tool_call_input.delta",
        "response.of_tomorrow.delta",
    ],
)
def test_every_delta_of_text_is_content(kind):
    """Whatever a delta belongs to, its text was written by the model."""
    assert read(event(kind, delta="abc"))[0].content_bytes == 3


def test_sound_counts_as_an_event():
    """Its length in base64 says nothing of its tokens."""
    reader, _ = read(event("response.audio.delta", delta="A" * 1000))
    assert (reader.events, reader.content_bytes) == (1, 1)


def test_an_answer_that_was_cut_short_is_whole():
    """`incomplete` is an end like `completed`: the limit was reached, and usage is told."""
    reader, passed = read(response("incomplete", USAGE))
    assert passed == response("incomplete", USAGE)
    assert (reader.done, reader.usage) == (True, Usage(10, 20, None, 7, 5))


@pytest.mark.parametrize("usage", [None, 5, {}])
def test_an_end_without_usage(usage):
    """Usage that is missing or unreadable is not reported."""
    reader, _ = read(response("completed", usage))
    assert (reader.done, reader.usage) == (True, None)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ({"code": "rate_limit_exceeded", "message": "Slow"}, (429, "Slow", "rate_limit_exceeded")),
        ({"code": "server_error", "message": "Oh"}, (None, "Oh", "server_error")),
        (None, (None, "The provider reported an error.", None)),
    ],
)
def test_a_failed_response_is_an_error(error, told):
    """It does not pass, and what it counted is known."""
    reader, passed = read(response("failed", USAGE, error=error))
    assert passed == b""
    assert reader.error == told
    assert (reader.done, reader.usage) == (False, Usage(10, 20, None, 7, 5))


@pytest.mark.parametrize("odd", [5, [], "x"])
def test_a_failure_of_another_shape_is_an_error(odd):
    """Its type says enough."""
    reader, _ = read(event("response.failed", response=odd))
    assert reader.error.message == "The provider reported an error."


def test_without_its_last_event_a_stream_is_cut():
    """Nothing else says that a response is whole."""
    reader, _ = read(WHOLE[: WHOLE.index(b"event: response.completed")])
    assert not reader.finished
