"""A provider that is simulated down to its sockets: OpenAI's API with scripted answers and faults,
and a truth log. In the test's own loop (`SimulatedProvider`) or as a process (`ProviderProcess`,
`python -m tests.fakes.provider --port 0 --log FILE`, which prints its port).

The prompt scripts each answer, see `provider_script.py` and `provider_faults.py`. An operator's
faults (a closed port, a wrong certificate, garbage instead of TLS) are options of the listener.
"""

import argparse
import asyncio
import itertools
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import TracebackType

from tests.fakes.provider_answer import Answer
from tests.fakes.provider_faults import FAULTS
from tests.fakes.provider_media import MEDIA
from tests.fakes.provider_script import read_ask
from tests.fakes.provider_shapes import error_body, head
from tests.fakes.provider_wire import Connection, ReceivedRequest
from tests.fakes.truth import Truth, TruthLog, read_truth

_ENDPOINTS = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/embeddings": "embeddings",
    **MEDIA,
}
MODELS = ("small", "large")
ROOT = Path(__file__).resolve().parents[2]


class SimulatedProvider:
    """The server. `greeting` is sent to whoever connects, before any request."""

    def __init__(
        self,
        log: Path | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        api_key: str | None = None,
        greeting: bytes = b"",
        keep_requests: bool = True,
    ) -> None:
        self.requests: list[ReceivedRequest] = []
        self.connections: set[Connection] = set()  # open ones
        self.port = 0
        self._log_path = log
        self._log = TruthLog(log)
        self._tls = tls
        self._api_key = api_key
        self._greeting = greeting
        self._keep = keep_requests
        self._seen: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "SimulatedProvider":
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Listen on loopback."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, "127.0.0.1", port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        assert self._server is not None
        self._server.close()
        for connection in list(self.connections):
            connection.close()
        await self._server.wait_closed()
        # Lets the transports' last callbacks run, so that no test ends with an open socket.
        await asyncio.sleep(0)
        self._log.close()

    @property
    def base_url(self) -> str:
        """What a provider's `base_url` is set to."""
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}/v1"

    @property
    def truth(self) -> Truth:
        """What was emitted so far."""
        return read_truth(self._log if self._log_path is None else self._log_path)

    def _connection(self) -> Connection:
        return Connection(
            self._handle, self._closed, greeting=self._greeting, among=self.connections
        )

    def _closed(self, connection: Connection, by: str) -> None:
        self._log.note("closed", req=connection.current, conn=connection.number, by=by)

    async def _handle(self, connection: Connection, request: ReceivedRequest) -> None:
        if self._keep:
            self.requests.append(request)
        if self._api_key and request.header("authorization") != f"Bearer {self._api_key}":
            await connection.send(_json(401, error_body(401, "Incorrect API key provided.")))
            return
        endpoint = _ENDPOINTS.get(request.target)
        if endpoint is not None and request.method == "POST":
            await self._answer(connection, request, endpoint)
        elif request.target == "/v1/models":
            data = [{"id": model, "object": "model", "created": 1} for model in MODELS]
            body = json.dumps({"object": "list", "data": data}).encode()
            await connection.send(_json(200, body))
        else:
            await connection.send(_json(404, error_body(404, f"No {request.target}.")))

    async def _answer(
        self, connection: Connection, request: ReceivedRequest, endpoint: str
    ) -> None:
        try:
            ask = read_ask(endpoint, request.body, self._seen)
            if ask.script.fault and ask.script.fault not in FAULTS:
                raise ValueError(f"no fault {ask.script.fault}")
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            await connection.send(_json(400, error_body(400, repr(error))))
            return
        name = f"{os.getpid()}.{next(self._numbers)}"
        connection.current = name
        self._log.note(
            "request",
            req=name,
            conn=connection.number,
            id=ask.script.nonce,
            path=request.target,
            stream=ask.stream,
        )
        await Answer(connection, self._log, name, ask).give()


class ProviderProcess:
    """The provider as a child process; it ends with this one."""

    def __init__(self, log: Path, *, port: int = 0, pem: Path | None = None) -> None:
        command = [sys.executable, "-m", "tests.fakes.provider", "--port", str(port)]
        command += ["--log", str(log)] + (["--pem", str(pem)] if pem else [])
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.log = log
        self.port = int(self._process.stdout.readline())
        self.base_url = f"{'https' if pem else 'http'}://localhost:{self.port}/v1"

    @property
    def truth(self) -> Truth:
        """What was emitted so far."""
        return read_truth(self.log)

    def freeze(self) -> None:
        """From now on it is connected to, and says nothing: SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it was."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self._process.kill()
        self.stop()

    def stop(self) -> None:
        """End it and wait."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)


def refusing_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _json(status: int, body: bytes) -> bytes:
    fields = [("content-type", "application/json"), ("content-length", str(len(body)))]
    return head(status, fields) + body


async def _run(port: int, log: Path | None, pem: Path | None) -> None:
    tls = None
    if pem is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(pem)
    provider = SimulatedProvider(log, tls=tls, keep_requests=False)
    await provider.start(port)
    print(provider.port, flush=True)
    # The parent holds the other end of stdin: its end is ours.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    await provider.stop()


def main() -> None:
    """The process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--pem", type=Path)
    chosen = parser.parse_args()
    asyncio.run(_run(chosen.port, chosen.log, chosen.pem))


if __name__ == "__main__":
    main()
