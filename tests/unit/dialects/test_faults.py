"""Errors in every provider's shape."""

import pytest

from tollway.dialects.faults import Fault, read_fault
from tollway.domain.failure import CONTEXT_TOO_LONG


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (
            {
                "error": {
                    "message": "no",
                    "type": "invalid_request_error",
                    "param": None,
                    "code": "c",
                }
            },
            Fault(400, "no", "c"),
        ),
        (
            {"error": {"code": 400, "message": "long", "type": "exceed_context_size_error"}},
            Fault(400, "long", "exceed_context_size_error"),
        ),
        (
            {"object": "error", "message": "no", "type": "BadRequestError", "code": 400},
            Fault(400, "no", "BadRequestError"),
        ),
        ({"error": {"code": "429", "message": "slow"}}, Fault(429, "slow", None)),
        *(
            (
                {"error": {"message": words, "code": 400}},
                Fault(400, words, CONTEXT_TOO_LONG),
            )
            for words in (
                "This model's maximum context length is 8192 tokens. However, you asked for 9000.",
                "The decoder prompt (length 9) is longer than the maximum model length of 8.",
                "prompt is too long: 210000 tokens > 200000 maximum",
                "input length and `max_tokens` exceed context limit: 199000 + 9000 > 200000",
                "Input is too long for requested model.",
                "The input token count (9) exceeds the maximum number of tokens allowed (8).",
                "the request exceeds the available context size. try increasing the context size",
            )
        ),
        (
            {"error": {"message": "the context window is being moved", "code": 503}},
            Fault(503, "the context window is being moved", None),
        ),
        (
            {"error": {"message": "x", "type": "rate_limit_error"}},
            Fault(429, "x", "rate_limit_error"),
        ),
        ({"error": "out of memory", "status": 503}, Fault(503, "out of memory", None)),
        ({"error": "out of memory", "code": "oom"}, Fault(None, "out of memory", "oom")),
        (
            {"error": {"message": "Compute error."}, "message": "x"},
            Fault(None, "Compute error.", None),
        ),
        ({"error": {}}, Fault(None, None, None)),
        ({"error": True, "message": "x"}, Fault(None, "x", None)),
        ([{"error": {"code": 404, "message": "gone"}}], Fault(404, "gone", None)),
        (
            {"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}},
            Fault(429, "slow", "RESOURCE_EXHAUSTED"),
        ),
        (
            {
                "error": {
                    "code": 400,
                    "message": "no",
                    "status": "INVALID_ARGUMENT",
                    "details": [5, {"reason": 5}, {"reason": "API_KEY_INVALID"}],
                }
            },
            Fault(400, "no", "API_KEY_INVALID"),
        ),
        ({"error": {"message": "no", "status": "error"}}, Fault(None, "no", None)),
        (
            {"type": "error", "message": "Overloaded", "code": "overloaded_error"},
            Fault(503, "Overloaded", "overloaded_error"),
        ),
    ],
)
def test_shapes_that_tell_of_an_error(value, fault):
    """Message, code and status are found where each provider puts them."""
    assert read_fault(value) == fault
    assert read_fault(value, certain=True) == fault


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"detail": "Not Found"}, Fault(None, "Not Found", None)),
        ({"detail": [{"loc": ["body"], "msg": "missing"}]}, Fault(None, "missing", None)),
        ({"detail": [5]}, Fault(None, None, None)),
        ({"statusCode": 401, "message": "no"}, Fault(401, "no", None)),
        ({"error": None, "message": "m"}, Fault(None, "m", None)),
        ({"error": "", "message": "m"}, Fault(None, "m", None)),
        ("just text", Fault(None, "just text", None)),
    ],
)
def test_shapes_that_need_the_status_to_be_errors(value, fault):
    """Looser shapes are errors only where that much is known already."""
    assert read_fault(value) is None
    assert read_fault(value, certain=True) == fault


@pytest.mark.parametrize("value", [None, 5, [], [5], True])
def test_nothing_is_no_error(value):
    """A value that says nothing tells of nothing."""
    assert read_fault(value) is None
    assert read_fault(value, certain=True) is None


@pytest.mark.parametrize("code", ["a b", "x" * 65, "<b>", "", 5, None, {}, "1st"])
def test_codes_are_words(code):
    """A code that could break a header or a page is left out."""
    assert read_fault({"error": {"message": "m", "code": code}}).code is None


@pytest.mark.parametrize("status", [399, 600, True, "4000", "abc", 1e3])
def test_statuses_are_errors(status):
    """Only 400 to 599 is a status."""
    assert read_fault({"error": {"message": "m", "status": status}}).status is None


def test_messages_are_safe():
    """Secrets in a message do not reach anyone."""
    fault = read_fault({"error": {"message": "Incorrect API key provided: sk-abcdefghijk."}})
    assert "abcdef" not in fault.message
