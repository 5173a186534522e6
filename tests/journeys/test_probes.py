"""A target that was down is asked for something free, by the gateway and not at a client's cost."""

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.fakes.gateway import PROVIDER_KEY_ENV, wait_until
from tests.fakes.stage import Stage

ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "small",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
_LONGEST_S = 10.5  # of a first ejection
_SECOND_S = 20.5


class Mending:
    """A provider that says 503 to all until it is `well`. `asked`: when, how, with which secret."""

    def __init__(self) -> None:
        self.well = False
        self.asked: list[tuple[float, str, str | None]] = []
        told = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.do_GET()

            def do_GET(self) -> None:
                told.asked.append((time.time(), self.command, self.headers["authorization"]))
                body = json.dumps(ANSWER if self.command == "POST" else {"data": []}).encode()
                self.send_response(200 if told.well else 503)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def how(self) -> list[str]:
        """The methods, in order."""
        return [method for _, method, _ in self.asked]


@pytest.fixture
def stage(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Stage, Mending]]:
    made, mending = Stage(tmp_path, workers=1, probes=request.param), Mending()
    made.add_provider(
        "mending",
        mending.base_url,
        credentials=[{"reference": f"env:{PROVIDER_KEY_ENV}"}],
    )
    made.add_model("pair", {"provider": "mending"}, {"provider": "simulated", "priority": 1})
    made.begin()
    yield made, mending
    made.close()
    mending.stop()


def eject(stage: Stage, mending: Mending) -> int:
    """Until it goes last; how many requests that took."""
    nonces = []
    for count in range(1, 8):
        reply = stage.chat("tokens=1", model="pair")
        assert reply.status == 200
        nonces.append(reply.nonce)
        if len(mending.asked) < count:
            return count
    raise AssertionError(f"it is still asked: {mending.how()}")


@pytest.mark.parametrize("stage", ["free"], indirect=True)
def test_probes_find_out_and_not_requests(stage: tuple[Stage, Mending]) -> None:
    """While it is down it is probed, with its credential, and no request tries; then a probe is
    answered, and the next request is its own again. No probe is in the ledger."""
    made, mending = stage
    chats = eject(made, mending)
    posts = len(mending.asked)
    wait_until(lambda: "GET" in mending.how(), _LONGEST_S)
    assert mending.asked[-1][2] == mending.asked[0][2] is not None
    for _ in range(5):
        assert made.chat("tokens=1", model="pair").headers["x-tollway-provider"] == "simulated"
    assert mending.how() == ["POST"] * posts + ["GET"]
    mending.well = True
    wait_until(lambda: mending.how().count("GET") == 2, _SECOND_S)

    def served() -> str:
        return made.chat("tokens=1", model="pair").headers["x-tollway-provider"]

    wait_until(lambda: served() == "mending", 2)
    assert mending.how()[: posts + 2] == ["POST"] * posts + ["GET", "GET"]
    wait_until(lambda: len(rows(made)) >= mending.how().count("POST"), 10)
    assert len(rows(made)) == mending.how().count("POST")
    assert chats == posts + 1


@pytest.mark.parametrize("stage", ["off"], indirect=True)
def test_without_probes_a_request_finds_out(stage: tuple[Stage, Mending]) -> None:
    """As it does where nothing is free."""
    made, mending = stage
    eject(made, mending)
    posts, until_s = len(mending.asked), time.monotonic() + _LONGEST_S
    while time.monotonic() < until_s:
        assert made.chat("tokens=1", model="pair").status == 200
        time.sleep(0.5)
    assert mending.how() == ["POST"] * len(mending.asked)
    assert len(mending.asked) > posts


def rows(stage: Stage) -> list[dict[str, Any]]:
    """Of attempts at the provider that mends."""
    return stage.tree.sql(
        "SELECT e.* FROM ledger_entries e JOIN providers p ON p.id = e.provider_id "
        "WHERE p.name = ? AND e.kind = 'usage'",
        ["mending"],
    )
