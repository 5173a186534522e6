"""In whose shape the handler says no before a request is anybody's."""

import asyncio
import json

import ollama
import pytest

from tests.fakes.pipeline import KEY, FakeClient, make_bench
from tollway.web.gateway.handler import GatewayHandler
from tollway.web.gateway.request import Request

JSON = {b"content-type": b"application/json"}
FORM = {b"content-type": b"Multipart/Form-Data; boundary=b"}
VERSION = {b"anthropic-version": b"2023-06-01"}


async def ask(method, path, fields, *, query=b"", body=b""):
    takes = GatewayHandler(make_bench().gateway, 1_000_000, {})
    request = Request((method, path, query, b"HTTP/1.1"), list(fields.items()), fields, "::1")
    request.body = body
    client = FakeClient()
    takes.handle(request, client)
    while client.ended is None:
        await asyncio.sleep(0)
    return client, json.loads(client.body)


@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        (b"GET", b"/v1/messages", JSON, 405),
        (b"POST", b"/v1/messages", {}, 415),
        (b"POST", b"/v1/messages", JSON, 400),
        (b"POST", b"/v1/messages/count_tokens", JSON, 400),
        (b"POST", b"/v1/messages/batches", VERSION, 404),
        (b"POST", b"/v1/models", VERSION, 405),
        (b"GET", b"/v1/models", VERSION, 401),
        (b"GET", b"/v1/models/m", VERSION, 401),
    ],
)
async def test_anthropics_clients_read_their_own(method, path, fields, status):
    """Paths of Anthropic's, and whoever sends its version, get its errors with the request's id."""
    client, body = await ask(method, path, fields)
    assert client.status == status
    assert set(body) == {"type", "error", "request_id"}
    assert (body["type"], set(body["error"])) == ("error", {"type", "message"})
    assert body["request_id"] == client.headers[b"x-request-id"].decode()


@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        (b"GET", b"/v1/responses", JSON, 405),
        (b"POST", b"/v1/responses", {**JSON, **VERSION}, 400),
        (b"POST", b"/v1/chat/completions", {}, 415),
        (b"POST", b"/v1/audio/transcriptions", JSON, 415),
        (b"POST", b"/v1/audio/transcriptions", FORM, 400),
        (b"POST", b"/v1/chat/completions", FORM, 415),
        (b"GET", b"/v1/images/edits", FORM, 405),
        (b"GET", b"/v1/nothing", {}, 404),
        (b"GET", b"/v1/models", {}, 401),
    ],
)
async def test_all_others_read_openais(method, path, fields, status):
    """A path of OpenAI's has its errors, whatever else is sent."""
    client, body = await ask(method, path, fields)
    assert client.status == status
    assert set(body["error"]) == {"message", "type", "param", "code"}
    codes = {404: "unknown_endpoint", 405: "method_not_allowed", 415: "unsupported_media_type"}
    assert body["error"]["code"] == codes.get(status, body["error"]["code"] or "one of its own")


@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        (b"GET", b"/api/chat", JSON, 405),
        (b"POST", b"/api/chat", {}, 415),
        (b"POST", b"/api/chat", JSON, 400),
        (b"POST", b"/api/tags", JSON, 405),
        (b"GET", b"/api/tags", {}, 401),
        (b"GET", b"/api/version", VERSION, 401),
        (b"GET", b"/api/show", {}, 405),
        (b"POST", b"/api/show", JSON, 400),
        (b"POST", b"/api/pull", JSON, 404),
    ],
)
async def test_ollamas_clients_read_theirs(method, path, fields, status):
    """Paths below /api have one text and no more."""
    client, body = await ask(method, path, fields)
    assert client.status == status
    assert set(body) == {"error"}
    assert isinstance(body["error"], str)


KEYED = {**JSON, b"authorization": b"Bearer " + KEY.encode()}


async def test_ollamas_lists():
    """The official client's types read them; a model that cannot be named is not found."""
    client, body = await ask(b"GET", b"/api/tags", KEYED)
    [model] = ollama.ListResponse(**body).models
    assert (client.status, model.model, len(model.digest)) == (200, "m", 64)
    _, body = await ask(b"GET", b"/api/version", KEYED)
    assert set(body) == {"version"}
    for name in ("model", "name"):
        _, body = await ask(b"POST", b"/api/show", KEYED, body=json.dumps({name: "m"}).encode())
        assert "tools" in ollama.ShowResponse(**body).capabilities
    client, body = await ask(b"POST", b"/api/show", KEYED, body=b'{"model":"x"}')
    assert (client.status, "'x'" in body["error"]) == (404, True)
    for bad in (b"{", b"{}", b'{"model":5}', b"[" * 100_000, b'{"model":""}', b"\xff"):
        client, _ = await ask(b"POST", b"/api/show", KEYED, body=bad)
        assert client.status == 400


@pytest.mark.parametrize(
    ("path", "kind"), [(b"/v1/messages", "error"), (b"/v1/chat/completions", None)]
)
async def test_a_key_in_the_url(path, kind):
    """It is refused in the path's shape before anything is read."""
    client, body = await ask(b"POST", path, JSON, query=b"key=tw_live_x")
    assert client.status == 400
    assert body.get("type") == kind
