"""Each client library in a process of its own, three ways: straight at the model's server, and
through the gateway at a provider of each dialect. What fails straight too is not its doing.
"""

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.gateway import GatewayTree
from tollway.cli.model_server import MODEL_ALIAS
from tollway.domain.key import make_key
from tools.conformance.model import small_model
from tools.conformance.stage import Upstream, gateway

FOLDER = Path("tests/conformance_clients")
_VENV = Path(".venv")
_TIMEOUT_S = 300
_NOTE_LENGTH = 120
STRAIGHT, AS_CHAT, AS_MESSAGES = "straight", "openai_compatible", "anthropic"
WAYS = (STRAIGHT, AS_CHAT, AS_MESSAGES)
# Model's name at the gateway, by the kind of provider that it leads to.
_MODELS = {AS_CHAT: MODEL_ALIAS, AS_MESSAGES: f"{MODEL_ALIAS}-as-messages"}


@dataclass(frozen=True, slots=True)
class Client:
    """A script in the folder, and the virtual environment it runs in; none: it is JavaScript.
    `straight`: the model's server speaks its dialect, so that it can do without the gateway."""

    script: str
    venv: str | None = None
    straight: bool = True


CLIENTS = (
    Client("openai_python.py", "conformance"),
    Client("openai_node.mjs"),
    Client("anthropic_python.py", "conformance"),
    Client("anthropic_node.mjs"),
    Client("vercel_ai.mjs"),
    Client("langchain_chat.py", "conformance"),
    Client("llama_index_openai_like.py", "conformance-llama"),
    Client("pydantic_ai_agent.py", "conformance"),
    Client("codex_exec.mjs"),
    Client("ollama_python.py", "conformance", straight=False),
)


@dataclass(frozen=True, slots=True)
class Check:
    """What a client did in one way: `note` is its evidence, or why it failed."""

    script: str
    way: str
    package: str
    version: str
    api: str
    what: str
    ok: bool
    note: str


@dataclass(frozen=True, slots=True)
class ClientsRun:
    """All checks, and how many rows the ledger has of each outcome and source of usage."""

    checks: Sequence[Check]
    booked: dict[tuple[str, str], int]
    not_run: Sequence[str]


def run_clients(chosen: str, say: Callable[[str], None]) -> ClientsRun:
    """Every client with this text in its name, every way, one after the other."""
    checks: list[Check] = []
    clients = [client for client in CLIENTS if chosen in client.script]
    not_run = [client.script for client in clients if _command(client) is None]
    with small_model() as url, gateway(_upstreams(url)) as tree:
        for client in clients:
            if client.script in not_run:
                say(f"{client.script}: not installed, not run")
                continue
            for way in WAYS[0 if client.straight else 1 :]:
                found = list(_run(client, way, _environment(tree, url, way)))
                say(f"{client.script} {way}: {sum(one.ok for one in found)} of {len(found)}")
                checks += found
        tree.stop()  # so that everything is in the ledger
        rows = Counter((row["outcome"], row["usage_source"]) for row in tree.ledger())
    return ClientsRun(checks, dict(rows), not_run)


def _upstreams(url: str) -> list[Upstream]:
    return [Upstream(url, {name: MODEL_ALIAS}, kind) for kind, name in _MODELS.items()]


def _environment(tree: GatewayTree, model_url: str, way: str) -> dict[str, str]:
    """Where a client finds what it needs; a stranger's key only where keys are checked."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    straight = way == STRAIGHT
    return {
        **kept,
        "CONFORMANCE_URL": model_url.removesuffix("/v1") if straight else tree.url,
        "CONFORMANCE_KEY": "not-checked" if straight else tree.key,
        "CONFORMANCE_MODEL": MODEL_ALIAS if straight else _MODELS[way],
        "CONFORMANCE_STRANGER": "" if straight else make_key("test", os.urandom(41))[1],
        "CONFORMANCE_SCRATCH": str((_VENV / "scratch").absolute()),
        "LANGSMITH_TRACING": "false",
    }


def _command(client: Client) -> list[str] | None:
    """How its script is run; None where it is not installed."""
    if client.venv is not None:
        python = _VENV / client.venv / "bin" / "python"
        return [str(python.absolute())] if python.exists() else None
    node = shutil.which("node")
    return [node] if node and (FOLDER / "node_modules").is_dir() else None


def _run(client: Client, way: str, environment: dict[str, str]) -> Iterator[Check]:
    command = _command(client)
    assert command is not None, "asked before"
    try:
        done = subprocess.run(
            [*command, client.script],
            cwd=FOLDER,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        printed, code, said = done.stdout, done.returncode, done.stderr
    except subprocess.TimeoutExpired as late:
        printed, code, said = str(late.stdout or ""), -1, f"not done after {_TIMEOUT_S} s"
    for line in printed.splitlines():
        if line.startswith("{"):
            row: dict[str, Any] = json.loads(line)
            note = " ".join(row.pop("note").split())
            yield Check(client.script, way, note=note[:_NOTE_LENGTH], **row)
    if code:
        note = said.strip().rpartition("\n")[2][:_NOTE_LENGTH]
        yield Check(client.script, way, client.script, "", "", "runs to its end", False, note)
