"""In front of the mock, which answers most requests for a stream with one piece of JSON: what it
allowed is told as the events that the vendor's API would send. Everything else passes as it is.
"""

import contextlib
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_HOP_BY_HOP = frozenset({"host", "connection", "accept-encoding", "transfer-encoding"})
_DONE = b"data: [DONE]\n\n"


@contextlib.contextmanager
def event_front(mock: str) -> Iterator[str]:
    """Its URL while it runs."""
    server = _Server(("127.0.0.1", 0), _handler(mock))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that leaves is no news. What fails is seen in the suite's answer."""


def _handler(mock: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass(None)

        def do_DELETE(self) -> None:
            self._pass(None)

        def do_POST(self) -> None:
            self._pass(self.rfile.read(int(self.headers.get("content-length", "0"))))

        def _pass(self, body: bytes | None) -> None:
            kept = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
            request = urllib.request.Request(mock + self.path, body, kept, method=self.command)
            status, kind, answer = _ask(request)
            path = self.path.partition("?")[0]
            if status == 200 and kind.startswith("application/json") and _wants_stream(body):
                kind, answer = "text/event-stream", events(path, json.loads(answer))
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing: thousands of lines that nobody reads."""

    return Handler


def _ask(request: urllib.request.Request) -> tuple[int, str, bytes]:
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers.get("content-type", ""), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get("content-type", ""), error.read()


def _wants_stream(body: bytes | None) -> bool:
    try:
        asked = json.loads(body or b"null")
    except ValueError:
        return False
    return isinstance(asked, dict) and asked.get("stream") is True


def events(path: str, whole: dict[str, Any]) -> bytes:
    """A whole answer told as a stream, by the endpoint that was asked."""
    if path.endswith("/chat/completions"):
        choices = [{**one, "delta": one.get("message", {})} for one in whole.get("choices", ())]
        for one in choices:
            one.pop("message", None)
        return _data({**whole, "object": "chat.completion.chunk", "choices": choices}) + _DONE
    if path.endswith("/completions"):
        return _data(whole) + _DONE
    if path.endswith("/responses"):
        begun = {**whole, "status": "in_progress", "output": [], "usage": None}
        return _event("response.created", response=begun, sequence_number=0) + _event(
            "response.completed", response=whole, sequence_number=1
        )
    return b"".join(_message_events(whole))


def _message_events(whole: dict[str, Any]) -> Iterator[bytes]:
    yield _event("message_start", message={**whole, "content": [], "stop_reason": None})
    for index, block in enumerate(whole.get("content", ())):
        text = block.get("text", "")
        yield _event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        delta = {"type": "text_delta", "text": text}
        yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    yield _event("message_delta", delta=ending, usage=whole.get("usage"))
    yield _event("message_stop")


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\n".encode() + _data({"type": kind, **fields})


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"
