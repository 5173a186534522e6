"""What every Python client here shares: where the gateway is, what is asked, and one line of JSON
for each check. Runs in the clients' own virtual environment, without Tollway.
"""

import json
import os
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

ROOT_URL = os.environ["CONFORMANCE_URL"]
BASE_URL = f"{ROOT_URL}/v1"
KEY = os.environ["CONFORMANCE_KEY"]
MODEL = os.environ["CONFORMANCE_MODEL"]
# Right form and checksum, but nobody's. Empty where nobody checks keys.
STRANGER = os.environ["CONFORMANCE_STRANGER"]

ASK = "Say hello in one sentence."
ASK_TOOL = "What is the weather in Paris?"
TOOL = "get_weather"
REFUSED = "unknown key refused"
DESCRIPTION = "Weather of a city"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
CHAT_TOOL = {
    "type": "function",
    "function": {"name": TOOL, "description": DESCRIPTION, "parameters": SCHEMA},
}


def check(package: str, api: str, what: str) -> Callable[[Callable[[], str]], None]:
    """Runs the function at once; its text is the evidence, its exception the failure."""

    def run(function: Callable[[], str]) -> None:
        if what == REFUSED and not STRANGER:
            return
        row: dict[str, Any] = {"package": package, "version": version(package)}
        row |= {"api": api, "what": what}
        try:
            row |= {"ok": True, "note": function()}
        except Exception as error:
            row |= {"ok": False, "note": f"{type(error).__name__}: {error}"}
        print(json.dumps(row), flush=True)

    return run


def streamed(pieces: Iterable[str | None]) -> str:
    """Several pieces with a text in them."""
    given = [piece for piece in pieces if piece]
    assert len(given) > 1, f"not in pieces: {given}"
    assert "".join(given).strip(), "no text"
    return f"{len(given)} pieces"


def called(name: str | None, arguments: Any) -> str:
    """The tool, with arguments that follow its schema."""
    assert name == TOOL, name
    parsed = json.loads(arguments) if isinstance(arguments, str) else arguments
    assert isinstance(parsed.get("city"), str), parsed
    return f"{name}({json.dumps(parsed)})"


def refused(send: Callable[[], Any], error: type[Exception]) -> str:
    """The library's own exception for a key that is not known."""
    try:
        send()
    except error as raised:
        return type(raised).__name__
    raise AssertionError("not refused")
