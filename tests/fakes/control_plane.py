"""The admin API in this process, asked without a socket: the real application on a real database,
through its ASGI door. Thousands of requests a second, so that tables of cases can be walked.
"""

import asyncio
import json
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import Any, cast
from urllib.parse import urlencode

from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.datastructures import State

from tests.fakes.clock import FixedClock
from tests.fakes.database import NOW_S
from tests.fakes.noticing import FakeSender
from tests.fakes.probes import FakeProbe
from tollway.adapters.sql.counting import SqlCounts
from tollway.adapters.sql.directory import SqlConfiguration
from tollway.adapters.sql.usage import SqlUsageReader
from tollway.adapters.system.entropy import system_entropy
from tollway.adapters.system.secrets import AesGcmBox
from tollway.app.ports_admin import RequestToExplain
from tollway.domain.hold import Stand
from tollway.domain.quota import QuotaRecord
from tollway.web.admin.app import build_app
from tollway.web.admin.services import Services

ADMIN_TOKEN = "bootstrap-token-of-the-tests"
MASTER_KEY = bytes(range(32))


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded; None when there is none."""
        return json.loads(self.body) if self.body else None


class PlainHasher:
    """A hasher that takes no time, for tables of cases. The real one has its own tests."""

    def hash(self, password: str) -> str:
        return f"plain:{password}"

    def verify(self, stored: str | None, password: str) -> bool:
        return stored == f"plain:{password}"

    def needs_rehash(self, stored: str) -> bool:
        return False


class NoStands:
    """No gateway runs beside the API."""

    def read(self, quota: QuotaRecord, member: str | None) -> Stand | None:
        return None

    def reopen(self) -> bool:
        return True


class FakeExplainer:
    """A gateway that would let everything in. `asked` are the questions."""

    def __init__(self) -> None:
        self.asked: list[RequestToExplain] = []
        self.answer: dict[str, Any] | None = {
            "principal": None,
            "model": None,
            "cache": "off",
            "limits": [],
            "targets": [],
            "refusal": None,
        }

    def explain(self, request: RequestToExplain) -> dict[str, Any] | None:
        self.asked.append(request)
        return self.answer


@cache
def _built() -> FastAPI:
    return build_app(cast("Services", None))


def _application(services: Services) -> FastAPI:
    """The application with services of its own. To build its routes takes a quarter of a second."""
    app = copy(_built())
    app.state = State({"services": services})
    return app


class ControlPlane:
    """One application on one database. `published` holds the versions it announced."""

    def __init__(self, engine: Engine, *, now_s: int = NOW_S, **services: Any) -> None:
        self.clock = FixedClock(now_s * 1_000_000_000)
        self.configuration = SqlConfiguration(engine, self.clock)
        self.published: list[int] = []
        given = {
            "configuration": self.configuration,
            "usage": SqlUsageReader(engine),
            "box": AesGcmBox(MASTER_KEY),
            "entropy": system_entropy,
            "admin_token": ADMIN_TOKEN,
            "publish": self.published.append,
            "hasher": PlainHasher(),
            "probe": FakeProbe(),
            "notices": FakeSender(),
            "stands": NoStands(),
            "explainer": FakeExplainer(),
            "sums": SqlCounts(engine),
        }
        self.app = _application(Services(**{**given, **services}))
        self._runner = asyncio.Runner()
        # One task answers all: a worker thread lives as long as the task that took it.
        self._asked: asyncio.Queue[tuple[dict[str, Any], bytes, asyncio.Future[Answer]]]
        self._asked = asyncio.Queue()
        self._answering = self._runner.get_loop().create_task(self._answer())

    def close(self) -> None:
        """End the loop."""
        self._answering.cancel()
        self._runner.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = ADMIN_TOKEN,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """One request. `path` without `/api/v1`; `body` is sent as JSON, `raw` as it is."""
        sent = {"host": "admin.test", **(headers or {})}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        content = raw
        if content is None and body is not None:
            content = json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": "/api/v1" + path if not path.startswith("/api/") else path,
            "raw_path": path.encode(),
            "query_string": urlencode(query or {}, doseq=True).encode(),
            "root_path": "",
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in sent.items()],
            "client": ("127.0.0.1", 50000),
            "server": ("admin.test", 443),
            "state": {},
        }
        loop = self._runner.get_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._asked.put_nowait((scope, content or b"", answer))
        return loop.run_until_complete(answer)

    async def _answer(self) -> None:
        while True:
            scope, content, answer = await self._asked.get()
            try:
                answer.set_result(await self._ask(scope, content))
            except Exception as error:  # a bug of the application is the asker's to see
                answer.set_exception(error)

    async def _ask(self, scope: dict[str, Any], content: bytes) -> Answer:
        messages = [{"type": "http.request", "body": content, "more_body": False}]
        status, parts = 0, []
        headers: dict[str, str] = {}

        async def receive() -> dict[str, Any]:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                for name, value in message["headers"]:  # of a repeated one, the first
                    headers.setdefault(name.decode(), value.decode("latin-1"))
            else:
                parts.append(message.get("body", b""))

        await self.app(scope, receive, send)
        return Answer(status, headers, b"".join(parts))
