"""How errors look."""

import json

import pytest

from tollway.dialects.errors import error_body, error_event


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "invalid_request_error"),
        (429, "rate_limit_error"),
        (502, "server_error"),
    ],
)
def test_openais_shape(status, kind):
    """Message, type, param and code stand in an `error` object."""
    error = json.loads(error_body("openai", status, "no", code="c", param="p"))
    assert error == {"error": {"message": "no", "type": kind, "param": "p", "code": "c"}}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (413, "request_too_large"),
        (418, "invalid_request_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ],
)
def test_anthropics_shape(status, kind):
    """Type and message in an `error` object, and the request's id beside it."""
    assert json.loads(error_body("anthropic", status, "no", request_id="r")) == {
        "type": "error",
        "error": {"type": kind, "message": "no"},
        "request_id": "r",
    }


def test_the_type_can_be_given():
    """A kind overrides what the status implies."""
    assert json.loads(error_body("openai", 429, "no", kind="insufficient_quota"))["error"][
        "type"
    ] == ("insufficient_quota")
    body = json.loads(error_body("anthropic", 429, "no", kind="x"))
    assert body["error"]["type"] == "x"


def test_events():
    """An error inside a stream is one event; Anthropic's has a name."""
    assert error_event("openai", 502, "no", code="c") == (
        b'data: {"error":{"message":"no","type":"server_error","param":null,"code":"c"}}\n\n'
    )
    assert error_event("anthropic", 529, "no").startswith(b'event: error\ndata: {"type":"error",')


def test_an_event_among_typed_ones():
    """In a stream of Responses it has a type, and the body for clients that look for that."""
    event = error_event("responses", 502, "Oh", code="server_error")
    name, data = event.removesuffix(b"\n\n").split(b"\n")
    assert name == b"event: error"
    told = json.loads(data.removeprefix(b"data: "))
    error = told.pop("error")
    assert told == {"type": "error", "code": "server_error", "message": "Oh", "param": None}
    assert error == json.loads(error_body("openai", 502, "Oh", code="server_error"))["error"]
    assert error_body("responses", 400, "x") == error_body("openai", 400, "x")


def test_ollamas_shape():
    """One text; in a stream it is the last line."""
    assert error_body("ollama", 404, "no", code="c", param="p") == b'{"error":"no"}'
    assert error_event("ollama", 502, "no", code="c") == b'{"error":"no"}\n'
