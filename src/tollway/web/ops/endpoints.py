"""What operators and probes ask: livez, readyz, metrics. No keys, no tenants: keep it on the ops
port.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from tollway.app.ports import Header
from tollway.web.gateway.answer import Answer
from tollway.web.gateway.request import Request

_log = logging.getLogger(__name__)
_PLAIN: list[Header] = [(b"content-type", b"text/plain; charset=utf-8")]
_JSON: list[Header] = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_METRICS: list[Header] = [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")]


class OpsHandler:
    """`/livez` and its alias `/healthz`, `/readyz`, `/metrics` on a `GatewayServer`.

    `unready` returns the reasons why no traffic should come, none when it should; `metrics` the
    Prometheus text, now or later. Neither may block.
    """

    def __init__(
        self,
        unready: Callable[[], Sequence[str]],
        metrics: Callable[[], bytes | Awaitable[bytes]],
    ) -> None:
        self._unready = unready
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()

    def body_limit(self, method: bytes, path: bytes) -> int:
        """Nothing is read here."""
        del method, path
        return 0

    def handle(self, request: Request, client: Answer) -> None:
        """Answer one probe or scrape."""
        if request.method not in (b"GET", b"HEAD"):
            client.respond(405, [*_PLAIN, (b"allow", b"GET, HEAD")], b"Use GET.\n")
        elif request.path in (b"/livez", b"/healthz"):
            client.respond(200, _PLAIN, b"ok\n")
        elif request.path == b"/readyz":
            self._answer_ready(client)
        elif request.path == b"/metrics":
            self._answer_metrics(client)
        else:
            client.respond(404, _PLAIN, b"There is /livez, /readyz and /metrics.\n")

    def _answer_ready(self, client: Answer) -> None:
        reasons = list(self._unready())
        body = msgspec.json.encode({"ready": not reasons, "reasons": reasons})
        client.respond(503 if reasons else 200, _JSON, body)

    def _answer_metrics(self, client: Answer) -> None:
        found = self._metrics()
        if not inspect.isawaitable(found):
            client.respond(200, _METRICS, found)
            return
        task = asyncio.get_running_loop().create_task(self._answer_later(found, client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer_later(self, found: Awaitable[bytes], client: Answer) -> None:
        try:
            text = await found
        except Exception:  # noqa: BLE001 - the edge: a failed scrape is one 500, logged once
            _log.exception("The metrics could not be gathered")
            client.fail()
        else:
            client.respond(200, _METRICS, text)
