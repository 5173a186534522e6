"""The simulated provider's truth log: what it emitted, written before the bytes leave.

One JSON line per fact, each in one write to a file opened for appending, so that several processes
can share a file and a reader sees whole lines. `emitted` is thus never below what anyone received.
"""

import json
import os
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class TruthLog:
    """Appends facts. Without a path they are kept in memory only."""

    def __init__(self, path: Path | None = None) -> None:
        self._lines: list[str] = []
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._fd = None if path is None else os.open(path, flags, 0o600)

    def note(self, event: str, **facts: Any) -> None:
        """Any fact; `t` is wall time in seconds."""
        self._put(json.dumps({"ev": event, **facts, "t": time.time()}))

    def tokens(self, request: str, count: int) -> None:
        """So many tokens of this request have been emitted in total. Once per write: cheap."""
        self._put(f'{{"ev":"tokens","req":"{request}","n":{count}}}')

    def close(self) -> None:
        """Let go of the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @property
    def lines(self) -> list[str]:
        """What was kept in memory."""
        return self._lines

    def _put(self, line: str) -> None:
        if self._fd is None:
            self._lines.append(line)
        else:
            os.write(self._fd, line.encode() + b"\n")


@dataclass(slots=True)
class Emitted:
    """One request as the provider saw it."""

    request: str
    connection: int
    nonce: str | None
    path: str
    stream: bool
    started_s: float
    tokens: int = 0
    usage: dict[str, Any] | None = None  # as reported on the wire
    answered: bool = False  # the script came to its end
    closed_by: str | None = None  # peer | provider: the connection ended during this answer
    closed_s: float | None = None


@dataclass(slots=True)
class Truth:
    """Everything a truth log says."""

    requests: dict[str, Emitted] = field(default_factory=dict)
    closed_idle: list[dict[str, Any]] = field(default_factory=list)

    def by_nonce(self) -> dict[str, list[Emitted]]:
        """The attempts that carried each nonce, in order of arrival."""
        found: dict[str, list[Emitted]] = defaultdict(list)
        for one in self.requests.values():
            if one.nonce is not None:
                found[one.nonce].append(one)
        return dict(found)


def read_truth(source: Path | TruthLog) -> Truth:
    """The state after all facts; a half-written last line is left out."""
    lines = source.lines if isinstance(source, TruthLog) else _file_lines(source)
    truth = Truth()
    for line in lines:
        _apply(truth, json.loads(line))
    return truth


def _file_lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return whole.decode().splitlines()


def _apply(truth: Truth, fact: dict[str, Any]) -> None:
    event = fact["ev"]
    if event == "request":
        truth.requests[fact["req"]] = Emitted(
            fact["req"], fact["conn"], fact["id"], fact["path"], fact["stream"], fact["t"]
        )
        return
    one = truth.requests.get(fact.get("req") or "")
    if one is None:
        truth.closed_idle.append(fact)
    elif event == "tokens":
        one.tokens = max(one.tokens, fact["n"])
    elif event == "usage":
        one.usage = fact["usage"]
    elif event == "answered":
        one.answered = True
    elif event == "closed":
        one.closed_by, one.closed_s = fact["by"], fact["t"]
