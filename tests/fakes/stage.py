"""A gateway and its providers, shared by the tests of one file, and a plain client of its own. Each
request has a nonce: the client's request id in the ledger, and its id in the provider's truth log.
"""

import contextlib
import http.client
import itertools
import json
import ssl
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.fakes.gateway import GatewayTree, a_manifest, wait_until
from tests.fakes.provider import ProviderProcess
from tests.fakes.truth import Emitted, Truth

_NONCES = itertools.count(1)
FAST_SHIPPING_S = 0.05  # so that a row can be waited for


class Reply(NamedTuple):
    """An answer as far as it came. `whole`: it ended as its head announced."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool
    nonce: str

    @property
    def error(self) -> dict[str, Any]:
        """The error of a body in OpenAI's shape."""
        error: dict[str, Any] = json.loads(self.body)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        assert b"Traceback" not in self.body
        return error


class Stage:
    """Call `begin` with a manifest before the first request. Close it at the end of the file. There
    is no admin API unless the role says so: it takes longer to start than all else."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.provider = ProviderProcess(folder / "truth")
        usual = {"ship_interval_s": FAST_SHIPPING_S, "role": "gateway"}
        self.tree = GatewayTree(folder, **{**usual, **settings})
        self.manifest = a_manifest(self.provider.base_url)

    def begin(self) -> None:
        """Create what the manifest says, and serve."""
        self.tree.apply(self.manifest)
        self.tree.start()

    def add_provider(self, name: str, base_url: str, **fields: Any) -> None:
        """One more provider of the platform, and a model of the same name on it."""
        entry = {"name": name, "kind": "openai_compatible", "base_url": base_url, **fields}
        self.manifest["providers"].append(entry)
        self.add_model(name, {"provider": name})

    def add_model(self, name: str, *targets: dict[str, Any], **fields: Any) -> None:
        """One more model; a target's model is `small` unless it says otherwise."""
        made = [{"model": "small", **target} for target in targets]
        self.manifest["models"].append({"name": name, "targets": made, **fields})

    def close(self) -> None:
        """It ends cleanly, nothing was booked twice, and no bug of ours was logged."""
        try:
            assert self.tree.stop() == 0
            log = self.tree.log.read_text()
            assert "Traceback" not in log, log[-4000:]
            rows = [row for row in self.tree.ledger() if row["kind"] == "usage"]
            assert len({(row["request_id"], row["attempt"]) for row in rows}) == len(rows)
        finally:
            self.tree.close()
            self.provider.stop()

    # Asking.

    def chat(self, script: str = "", **fields: Any) -> Reply:
        """One chat completion, scripted by the words of the provider's block."""
        nonce = f"s{next(_NONCES)}"
        messages = [{"role": "user", "content": f"hi [[id={nonce} {script}]]"}]
        body = {"model": "small", "messages": messages, **fields}
        return self.post("/v1/chat/completions", body, nonce=nonce)

    def post(
        self,
        path: str,
        body: dict[str, Any] | bytes,
        *,
        nonce: str | None = None,
        key: str | None = None,
        **headers: str,
    ) -> Reply:
        """A POST with the first key unless another is given; `_` in a header's name means `-`."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", path, data, nonce=nonce, key=key, **headers)

    def get(self, path: str, *, key: str | None = None, **headers: str) -> Reply:
        """A GET likewise."""
        return self.send("GET", path, None, key=key, **headers)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        *,
        nonce: str | None = None,
        key: str | None = None,
        **headers: str,
    ) -> Reply:
        """Any request, on a connection of its own. An empty key sends none."""
        nonce = nonce or f"s{next(_NONCES)}"
        sent = {"x-request-id": nonce, "content-type": "application/json"}
        key = self.tree.key if key is None else key
        if key:
            sent["authorization"] = f"Bearer {key}"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = self.connect()
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            with connection.getresponse() as response:
                try:
                    text, whole = response.read(), True
                except http.client.IncompleteRead as cut:
                    text, whole = cut.partial, False
                fields = {name.lower(): value for name, value in response.getheaders()}
                return Reply(response.status, fields, text, whole, nonce)

    def connect(self, context: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
        """A connection to the gateway."""
        host, port = self.address
        if context is not None:
            return http.client.HTTPSConnection(host, port, timeout=20, context=context)
        return http.client.HTTPConnection(host, port, timeout=20)

    @property
    def address(self) -> tuple[str, int]:
        """Where the gateway listens."""
        parts = urlsplit(self.tree.url)
        return str(parts.hostname), int(parts.port or 0)

    # Looking.

    @property
    def truth(self) -> Truth:
        """What the simulated provider saw and emitted."""
        return self.provider.truth

    def asked(self, nonce: str) -> list[Emitted]:
        """The requests of this nonce that reached the simulated provider."""
        return self.truth.by_nonce().get(nonce, [])

    def rows(self, nonce: str, count: int = 1) -> list[dict[str, Any]]:
        """The request's rows, once there are so many."""
        query = "SELECT * FROM ledger_entries WHERE client_request_id = ? ORDER BY attempt, seq"
        found: list[dict[str, Any]] = []

        def arrived() -> bool:
            found[:] = self.tree.sql(query, (nonce,))
            return len(found) >= count

        wait_until(arrived)
        assert len(found) == count, found
        return found

    def row(self, nonce: str) -> dict[str, Any]:
        """The request's only row."""
        return self.rows(nonce)[0]
