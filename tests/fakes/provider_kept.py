"""A provider that keeps responses, as OpenAI does: by account (its key), with what each was made
from; whole and streamed. A script for `RawProvider`.
"""

import itertools
import json
import socket
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from tests.fakes.raw_provider import EVENTS_HEAD, RawRequest, answer

USAGE = {
    "input_tokens": 30,
    "input_tokens_details": {"cached_tokens": 20},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 42,
}


@dataclass
class Account:
    """What lies at one account: each response with the items it was made from."""

    responses: dict[str, dict[str, Any]] = field(default_factory=dict)
    items: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


class Keeper:
    """Answers every request; `accounts` by the key they were asked with."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.asked: list[str] = []  # "METHOD target" of each, in order
        self.released = Event()  # lets a stream end that was asked to `hang`
        self._numbers = itertools.count(1)

    def play(self, connection: socket.socket, request: RawRequest) -> None:
        """The script."""
        lines = request.head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        key = fields.get("authorization", "").removeprefix("bearer ")
        account = self.accounts.setdefault(key, Account())
        self.asked.append(f"{method} {target}")
        path = target.partition("?")[0]
        if method == "POST" and path == "/v1/responses":
            self._make(connection, account, json.loads(request.body))
            return
        name, _, what = path.removeprefix("/v1/responses/").partition("/")
        kept = self._find(account, name)
        if kept is None:
            _fail(connection, 404, f"Response with id '{name}' not found.")
        elif (method, what) == ("GET", ""):
            self._tell_again(connection, kept, target.partition("?")[2])
        elif (method, what) == ("DELETE", ""):
            del account.responses[name], account.items[name]
            tell(connection, {"id": name, "object": "response.deleted", "deleted": True})
        elif (method, what) == ("GET", "input_items"):
            items = account.items[name]
            ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"], "has_more": False}
            tell(connection, {"object": "list", "data": items, **ends})
        elif (method, what) == ("POST", "cancel"):
            self._cancel(connection, name)
        else:
            _fail(connection, 405, "Not allowed.")

    def _find(self, account: Account, name: str) -> dict[str, Any] | None:
        return account.responses.get(name)

    def _tell_again(self, connection: socket.socket, kept: dict[str, Any], query: str) -> None:
        tell(connection, kept)

    def _cancel(self, connection: socket.socket, name: str) -> None:
        _fail(connection, 400, f"Response '{name}' was not made in the background.")

    def _make(self, connection: socket.socket, account: Account, asked: dict[str, Any]) -> None:
        earlier = asked.get("previous_response_id")
        if earlier is not None and earlier not in account.responses:
            _fail(connection, 400, f"Previous response with id '{earlier}' not found.")
            return
        number = next(self._numbers)
        given = {
            "type": "message",
            "id": f"msg_in{number}",
            "role": "user",
            "content": [{"type": "input_text", "text": str(asked["input"])}],
        }
        before = account.items[earlier] if earlier is not None else []
        said = " / ".join(item["content"][0]["text"] for item in [*before, given])
        whole = response_of(f"resp_{number:048x}", number, asked, said)
        if asked["store"]:
            account.responses[whole["id"]] = whole
            account.items[whole["id"]] = [*before, given]
        if asked.get("stream"):
            events = events_of(whole, said, number)
            begun = events.index(b"event: response.completed") if asked["input"] == "hang" else 0
            connection.sendall(EVENTS_HEAD + b"content-length: %d\r\n\r\n" % len(events))
            if begun:
                connection.sendall(events[:begun])
                self.released.wait(30)
            connection.sendall(events[begun:])
        else:
            tell(connection, whole)


def response_of(name: str, number: int, asked: dict[str, Any], said: str) -> dict[str, Any]:
    """A whole answer."""
    part = {"type": "output_text", "text": said, "annotations": []}
    item = {"type": "message", "id": f"msg_{number}", "status": "completed", "role": "assistant"}
    return {
        "id": name,
        "object": "response",
        "created_at": 1795000000,
        "status": "completed",
        "model": asked["model"],
        "previous_response_id": asked.get("previous_response_id"),
        "output": [{**item, "content": [part]}],
        "store": asked["store"],
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "error": None,
        "usage": USAGE,
    }


def events_of(whole: dict[str, Any], said: str, number: int) -> bytes:
    """The same as a stream."""
    item = {**whole["output"][0], "content": [], "status": "in_progress"}
    part = {"type": "output_text", "text": "", "annotations": []}
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    events = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
        ("response.output_item.added", {"output_index": 0, "item": item}),
        ("response.content_part.added", {"part": part, **at}),
        *(("response.output_text.delta", {"delta": char, "logprobs": [], **at}) for char in said),
        ("response.completed", {"response": whole}),
    ]
    return b"".join(
        b"event: %b\ndata: %b\n\n"
        % (
            kind.encode(),
            json.dumps({"type": kind, "sequence_number": place, **fields}).encode(),
        )
        for place, (kind, fields) in enumerate(events)
    )


def tell(connection: socket.socket, value: dict[str, Any]) -> None:
    """An answer that is JSON."""
    answer(connection, json.dumps(value).encode())


def _fail(connection: socket.socket, status: int, message: str) -> None:
    head = b"HTTP/1.1 %d No\r\ncontent-type: application/json\r\n" % status
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    answer(connection, json.dumps({"error": error}).encode(), head)
