"""Machines with their admin APIs: each a process tree over a data directory of its own, several of
them on one PostgreSQL; and clients that know which worker they speak to.
"""

import base64
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import dict_row

from tests.fakes.gateway import GatewayTree, wait_until

ADMIN_TOKEN = "bootstrap-token-of-the-machines"
RAW_MASTER_KEY = b"master-key-of-the-test-machines!"
MASTER_KEY = base64.urlsafe_b64encode(RAW_MASTER_KEY).decode()
CHAT = "/v1/chat/completions"


class Machine(GatewayTree):
    """A tree on a shared database (without a URL: the embedded one), its admin API at hand."""

    def __init__(
        self, folder: Path, url: str | None = None, *, workers: int = 2, **settings: object
    ) -> None:
        folder.mkdir(exist_ok=True)
        self._url = url
        given: dict[str, object] = {"admin_token": ADMIN_TOKEN, "master_key": MASTER_KEY}
        if url is not None:
            given["database_url"] = url
        super().__init__(folder, workers=workers, **{**given, **settings})

    def start(self, timeout_s: float = 60) -> None:
        """Start and wait until it is ready; later starts take the same ports."""
        super().start(timeout_s)
        self._settings["admin_port"] = urlsplit(self.admin_url).port

    def attempt(self, *arguments: str) -> tuple[int, str]:
        """A command that may fail: its exit code, and all it said."""
        done = subprocess.run(
            [sys.executable, "-m", "tollway", *arguments],
            env=self._environment(),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    @property
    def admin_url(self) -> str:
        """The admin API, without `/api/v1`."""
        return str(self.state["admin_url"])

    def admin(
        self, method: str, path: str, body: Any = None, *, timeout_s: float = 30, **headers: str
    ) -> tuple[int, Any]:
        """Status and decoded body of one request to this machine's admin API."""
        request = urllib.request.Request(
            f"{self.admin_url}/api/v1{path}",
            None if body is None else json.dumps(body).encode(),
            {
                "authorization": f"Bearer {ADMIN_TOKEN}",
                "content-type": "application/json",
                **headers,
            },
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return answer.status, _decoded(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _decoded(error.read())

    def made(self, path: str, body: Any) -> Any:
        """What a POST created."""
        status, answer = self.admin("POST", path, body)
        assert status == 201, (status, answer)
        return answer

    def asker(self) -> "Asker":
        """A client of this machine's gateway."""
        return Asker(self.url)

    def sql(self, query: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Rows of the database."""
        if self._url is None:
            return super().sql(query, values)
        with psycopg.connect(self._url, row_factory=dict_row) as connection:
            return list(connection.execute(query.replace("?", "%s"), values))


class Asker:
    """One kept connection to a gateway, closed at the end of a `with`."""

    def __init__(self, url: str, *, timeout_s: float = 10) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.connection = HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)

    def chat(self, key: str, nonce: str = "", *, model: str = "small", tokens: int = 1) -> int:
        """The status of a small chat completion."""
        prompt = f"hi [[tokens={tokens}{f' id={nonce}' if nonce else ''}]]"
        body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        if nonce:
            headers["x-request-id"] = nonce
        return self._ask("POST", CHAT, json.dumps(body), headers)

    def models(self, key: str) -> int:
        """The status of the list of models: authenticated like all else, and without a provider."""
        return self._ask("GET", "/v1/models", None, {"authorization": f"Bearer {key}"})

    def __enter__(self) -> "Asker":
        return self

    def __exit__(self, *_error: object) -> None:
        self.connection.close()

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> int:
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        answer.read()
        return answer.status


def each_worker(machine: Machine, stack: ExitStack) -> dict[int, Asker]:
    """A kept connection to each worker, by its process id: opened until the kernel has given one to
    every worker, the others closed. They live as long as the stack."""
    wanted, found = set(machine.worker_pids), dict[int, Asker]()
    port = urlsplit(machine.url).port
    while wanted - set(found):
        asker = machine.asker()
        asker.connection.connect()
        pid = _holder((port, asker.connection.sock.getsockname()[1]), wanted)
        if pid in found:
            asker.connection.close()
        else:
            found[pid] = stack.enter_context(asker)
    return found


def _holder(ports: tuple[int | None, int], pids: Iterable[int]) -> int:
    """Which of these processes has accepted the connection between two ports of this machine."""
    found: list[int] = []

    def accepted() -> bool:
        name = f"socket:[{_inode(ports)}]"  # 0 until then
        found[:] = [pid for pid in pids if name in _open_files(pid)]
        return bool(found)

    wait_until(accepted)
    return found[0]


def _inode(ports: tuple[int | None, int]) -> int:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if tuple(int(fields[place].rpartition(":")[2], 16) for place in (1, 2)) == ports:
            return int(fields[9])
    return 0


def _open_files(pid: int) -> set[str]:
    held = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed since it was listed
            held.add(os.readlink(fd))
    return held


def seconds_until(asker: Asker, key: str, status: int, limit_s: float = 5) -> float:
    """How long it took until a key was answered with this status, asked without a pause."""
    began = time.monotonic()
    while asker.models(key) != status:
        assert time.monotonic() - began < limit_s, f"never {status}"
    return time.monotonic() - began


def _decoded(body: bytes) -> Any:
    return json.loads(body) if body else None
