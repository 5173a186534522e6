"""From a framed request to its answer: the path picks the endpoint, the pipeline decides, and what
ended before the first byte is rendered in the endpoint's own error shape. No rules live here.
"""

import asyncio
import logging
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from tollway.app.gateway.exchange import Inbound
from tollway.app.gateway.listing import find_listed, list_models
from tollway.app.gateway.me import Caller, describe_caller
from tollway.app.gateway.runtime import Gateway
from tollway.app.gateway.serve import serve
from tollway.app.ports import Header
from tollway.dialects.endpoint import Endpoint
from tollway.dialects.errors import Shape, error_body
from tollway.dialects.me import render_me, render_usage
from tollway.dialects.models import (
    read_shown,
    render_model,
    render_models,
    render_shown,
    render_tags,
    render_version,
)
from tollway.dialects.multipart import MEDIA_TYPE
from tollway.dialects.registry import ENDPOINTS, RESPONSE, find_kept
from tollway.domain.failure import Cause, Failure
from tollway.domain.model import ModelRecord
from tollway.domain.refusal import BadRequest, Refusal
from tollway.web.gateway.answer import Answer
from tollway.web.gateway.problems import render_failure, render_refusal
from tollway.web.gateway.request import Request

_log = logging.getLogger(__name__)
_MODELS = b"/v1/models"
_MODEL = b"/v1/models/"
_ME = b"/v1/me"
_MY_USAGE = b"/v1/me/usage"
_OLLAMA = b"/api/"
_TAGS = b"/api/tags"
_SHOW = b"/api/show"
_VERSION = b"/api/version"
_LISTS = frozenset({_MODELS, _ME, _MY_USAGE, _TAGS, _SHOW, _VERSION})
_JSON = b"application/json"
_JSON_HEADERS: list[Header] = [(b"content-type", _JSON)]
_ALLOW_GET: Header = (b"allow", b"GET")
_ALLOW_POST: Header = (b"allow", b"POST")
_NOT_HERE = {404: "unknown_endpoint", 405: "method_not_allowed", 415: "unsupported_media_type"}
_KEY_IN_QUERY = BadRequest(
    "Do not send keys in the URL: URLs end up in logs. Use 'Authorization: Bearer ...'.",
    "key_in_url",
)


class GatewayHandler:
    """The data plane's `Handler`. Holds the tasks of running requests; nobody cancels them."""

    def __init__(
        self, gateway: Gateway, body_bytes: int, body_bytes_by_path: Mapping[bytes, int]
    ) -> None:
        self._gateway = gateway
        self._body_bytes = body_bytes
        self._body_bytes_by_path = body_bytes_by_path
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[Answer, asyncio.Task[None]] = {}  # the loop's own references are weak

    def body_limit(self, method: bytes, path: bytes) -> int:
        """How many bytes of body this route reads."""
        return self._body_bytes_by_path.get(path, self._body_bytes) if method == b"POST" else 0

    def handle(self, request: Request, client: Answer) -> None:
        """Answer one request, now or from a task of its own."""
        if request.query and b"tw_" in request.query:
            _refuse(client, _KEY_IN_QUERY, _shape_of(request), self._make_id())
            return
        endpoint = ENDPOINTS.get(request.path)
        if endpoint is None:
            self._handle_other(request, client)
        elif request.method != b"POST":
            self._fail(request, client, 405, "Use POST.", _ALLOW_POST)
        elif not _is(wanted := _JSON if endpoint.file is None else MEDIA_TYPE, request):
            self._fail(request, client, 415, f"Send the body as 'content-type: {wanted.decode()}'.")
        else:
            self._tasks[client] = self._loop.create_task(self._run(endpoint, request, client))

    async def _run(
        self,
        endpoint: Endpoint | None,
        request: Request,
        client: Answer,
        *,
        asked: bytes | None = None,
    ) -> None:
        """One request's task: of an endpoint, or else of the list of models. `asked` is what stands
        in the path, where that is all."""
        try:
            if endpoint is None:
                await self._list(request, client)
                return
            body = request.body if asked is None else asked
            inbound = Inbound(endpoint, request.headers, body, request.peer_ip)
            request_id, verdict = await serve(self._gateway, inbound, client)
            if verdict is not None:
                _render(client, verdict, endpoint.shape, request_id)
        except Exception:  # noqa: BLE001 - the edge: a bug of ours is one 500, logged once
            _log.exception("request failed")
            client.fail()
        finally:
            del self._tasks[client]

    def _handle_other(self, request: Request, client: Answer) -> None:
        path = request.path
        if path.startswith(RESPONSE):
            self._handle_kept(request, client)
        elif path not in _LISTS and not path.startswith(_MODEL):
            self._fail(request, client, 404, "There is no such endpoint.")
        elif path == _SHOW and request.method != b"POST":
            self._fail(request, client, 405, "Use POST.", _ALLOW_POST)
        elif path != _SHOW and request.method != b"GET":
            self._fail(request, client, 405, "Use GET.", _ALLOW_GET)
        else:
            self._tasks[client] = self._loop.create_task(self._run(None, request, client))

    def _handle_kept(self, request: Request, client: Answer) -> None:
        """What is asked about one response that a provider keeps."""
        found = find_kept(request.method, request.path)
        if found is None:
            self._fail(request, client, 404, "There is no such endpoint.")
            return
        endpoint, asked = found
        if request.query:
            asked += b"?" + request.query
        run = self._run(endpoint, request, client, asked=asked)
        self._tasks[client] = self._loop.create_task(run)

    async def _list(self, request: Request, client: Answer) -> None:
        shape = _shape_of(request)
        anthropic = shape == "anthropic"
        gateway, headers, request_id = self._gateway, request.headers, self._make_id()
        good = _with_id(_JSON_HEADERS, request_id)
        if request.path in (_ME, _MY_USAGE):
            caller = await describe_caller(gateway, headers, request.peer_ip)
            if not isinstance(caller, Caller):
                _refuse(client, caller, shape, request_id)
            elif request.path == _ME:
                client.respond(200, good, render_me(caller.principal, caller.limits))
            else:
                client.respond(200, good, render_usage(caller.limits))
            return
        if request.path in (_MODELS, _TAGS, _VERSION):
            models = await list_models(gateway, headers, request.peer_ip)
            if not isinstance(models, list):
                _refuse(client, models, shape, request_id)
            elif request.path == _MODELS:
                client.respond(200, good, render_models(models, anthropic))
            elif request.path == _TAGS:
                client.respond(200, good, render_tags(models))
            else:
                client.respond(200, good, render_version())
            return
        await self._show(request, client, request_id)

    async def _show(self, request: Request, client: Answer, request_id: str) -> None:
        """One model, by its name in the path or, as Ollama has it, in the body."""
        shape = _shape_of(request)
        if request.path == _SHOW:
            name = read_shown(request.body)
            if isinstance(name, BadRequest):
                _refuse(client, name, shape, request_id)
                return
        else:
            name = unquote_to_bytes(request.path[len(_MODEL) :]).decode("utf-8", "replace")
        model = await find_listed(self._gateway, request.headers, request.peer_ip, name)
        if not isinstance(model, ModelRecord):
            _refuse(client, model, shape, request_id)
            return
        shown = (
            render_shown(model)
            if request.path == _SHOW
            else render_model(model, shape == "anthropic")
        )
        client.respond(200, _with_id(_JSON_HEADERS, request_id), shown)

    def _fail(
        self, request: Request, client: Answer, status: int, message: str, *headers: Header
    ) -> None:
        """There is nothing here that could be asked for."""
        request_id = self._make_id()
        fields = _with_id([*_JSON_HEADERS, *headers], request_id)
        shape, code = _shape_of(request), _NOT_HERE[status]
        body = error_body(shape, status, message, code=code, request_id=request_id)
        client.respond(status, fields, body)

    def _make_id(self) -> str:
        return self._gateway.request_ids.make(self._gateway.clock.wall_ns())


def _shape_of(request: Request) -> Shape:
    """What the client reads: as the endpoint says, and without one as it says itself."""
    endpoint = ENDPOINTS.get(request.path)
    if endpoint is not None:
        return endpoint.shape
    if request.path.startswith(_OLLAMA):
        return "ollama"
    return "openai" if request.header(b"anthropic-version") is None else "anthropic"


def _is(kind: bytes, request: Request) -> bool:
    value = request.header(b"content-type")
    if value is None:
        return False
    return value == kind or value.partition(b";")[0].strip().lower() == kind


def _render(client: Answer, verdict: Refusal | Failure, shape: Shape, request_id: str) -> None:
    if not isinstance(verdict, Failure):
        _refuse(client, verdict, shape, request_id)
    elif verdict.cause is not Cause.CLIENT_GONE:
        status, headers, body = render_failure(verdict, shape, request_id)
        client.respond(status, _with_id(headers, request_id), body)


def _refuse(client: Answer, refusal: Refusal, shape: Shape, request_id: str) -> None:
    status, headers, body = render_refusal(refusal, shape, request_id)
    client.respond(status, _with_id(headers, request_id), body)


def _with_id(headers: list[Header], request_id: str) -> list[Header]:
    return [*headers, (b"x-request-id", request_id.encode())]
