"""Who calls, and how their acts run: one unit of work each, in the scope of their tenants, written
answers kept for repeats, published before the answer.
"""

import hashlib
import json
import uuid
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Response
from fastapi import Request as HttpRequest
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from tollway.app.admin.authenticate import SignedIn
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.work import Request, Work
from tollway.app.ports_admin import Scope, UnitOfWork
from tollway.app.ports_records import StoredReply
from tollway.domain.policy import Action
from tollway.domain.result import Err, Result
from tollway.web.admin.problems import ProblemError, refused
from tollway.web.admin.services import Services
from tollway.web.admin.signing_in import COOKIE, authenticated

ACTION_KEY = "x-tollway-action"
PUBLIC = "public"  # the routes that take no credential
_MAX_IDEMPOTENCY_KEY = 255
T = TypeVar("T")
B = TypeVar("B", bound=BaseModel)


def route(action: Action | None, operation_id: str) -> dict[str, Any]:
    """A route's entry in the policy table and its stable name; None: for everybody."""
    return {
        "operation_id": operation_id,
        "openapi_extra": {ACTION_KEY: PUBLIC if action is None else action.value},
    }


class CallerOf:
    """A signed-in caller of one request."""

    def __init__(self, services: Services, found: SignedIn, http: HttpRequest, body: bytes) -> None:
        self.services = services
        self.actor = found.actor
        self.session = found.session
        self.http = http
        self._body = body
        self._request = Request(
            http.state.request_id,
            http.client.host if http.client is not None else None,
            _if_match(http.headers.get("if-match")),
        )

    @property
    def scope(self) -> Scope:
        """The tenants the caller may touch at all; the database holds them to it too."""
        return None if self.actor.platform_admin else tuple(self.actor.roles)

    def read(self, ask: Callable[[Work], Result[T, Rejected]]) -> T:
        """The value of a query. Raises ProblemError."""
        with self.services.configuration.read(self.scope) as uow:
            return _value(ask(self._work(uow)))

    def write(self, act: Callable[[Work], Result[T, Rejected]]) -> T:
        """The value of a command, committed and served by this machine's workers."""
        with self.services.configuration.begin(self.scope) as uow:
            value = _value(act(self._work(uow)))
            uow.commit()
            version = uow.version
        self._publish(version)
        return value

    def rehearse(self, act: Callable[[Work], Result[T, Rejected]]) -> T:
        """The value of a command, with everything undone: what it would have done."""
        with self.services.configuration.begin(self.scope) as uow:
            return _value(act(self._work(uow)))

    def create(
        self,
        act: Callable[[Work], Result[T, Rejected]],
        *,
        out: Callable[[T], B],
        location: Callable[[B], str] | None = None,
        secret: tuple[str, ...] = (),
        status: int = 201,
    ) -> JSONResponse:
        """`write` for POST: with an `Idempotency-Key` a repeat is answered as the first time, but
        for the `secret` fields, which are shown once (null in the repeat)."""
        key = self._idempotency_key()
        if key is None:
            made = out(self.write(act))
            return _created(made.model_dump(mode="json"), status, location and location(made))
        digest = hashlib.sha256(
            f"{self.http.method} {self.http.url.path}\n".encode() + self._body
        ).digest()
        with self.services.configuration.begin(self.scope) as uow:
            kept = uow.replies.get(self.actor.id, key)
            if kept is not None:
                return _repeated(kept, digest)
            made = out(_value(act(self._work(uow))))
            place = location and location(made)
            shown = made.model_dump(mode="json")
            hidden = made.model_copy(update=dict.fromkeys(secret)).model_dump_json()
            uow.replies.add(self.actor.id, key, StoredReply(digest, status, place, hidden.encode()))
            uow.commit()
            version = uow.version
        self._publish(version)
        return _created(shown, status, place)

    @property
    def cookie(self) -> str | None:
        """The session's cookie, for those who have one."""
        return self.http.cookies.get(COOKIE)

    def _work(self, uow: UnitOfWork) -> Work:
        return Work(uow, self.actor, self.services.entropy, self.services.box, self._request)

    def _publish(self, version: int | None) -> None:
        if version is not None:
            self.services.publish(version)

    def _idempotency_key(self) -> str | None:
        key = self.http.headers.get("idempotency-key")
        if key is not None and not (1 <= len(key) <= _MAX_IDEMPOTENCY_KEY and key.isprintable()):
            raise ProblemError(
                400, "invalid", f"An Idempotency-Key has 1 to {_MAX_IDEMPOTENCY_KEY} characters."
            )
        return key


async def _caller(http: HttpRequest) -> CallerOf:
    body = await http.body()
    services: Services = http.app.state.services
    found = await run_in_threadpool(authenticated, services, http)
    return CallerOf(services, found, http, body)


Caller = Annotated[CallerOf, Depends(_caller)]


def tagged(response: Response, version: int) -> None:
    """The object's ETag, for `If-Match`."""
    response.headers["etag"] = f'"v{version}"'


def new_request_id() -> str:
    """An id for the log and the audit."""
    return f"adm_{uuid.uuid4().hex}"


def _value(result: Result[T, Rejected]) -> T:
    if isinstance(result, Err):
        raise refused(result.error)
    return result.value


def _if_match(header: str | None) -> int | None:
    if header is None or header.strip() == "*":
        return None
    text = header.strip().removeprefix("W/").strip('"').removeprefix("v")
    # A tag that is none of ours matches no version.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1


def _created(body: Any, status: int, location: str | None) -> JSONResponse:
    return JSONResponse(body, status, None if location is None else {"location": location})


def _repeated(kept: StoredReply, digest: bytes) -> JSONResponse:
    if kept.request_digest != digest:
        raise ProblemError(
            409, "idempotency_key_reused", "This Idempotency-Key was used for another request."
        )
    answer = _created(json.loads(kept.body), kept.status, kept.location)
    answer.headers["idempotent-replayed"] = "true"
    return answer
