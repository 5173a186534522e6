"""The gateway under test: a real `serve` over a folder of its own, with one worker, one provider
(the mock) and one key, set up and found only by what a user sees.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.chat import CLIENT_MODEL, PROVIDER_MODEL
from bench.subject import GATEWAY, StartError, Subject, running, wait_for
from tollway.domain.brand import COMMAND, ENV_PREFIX
from tollway.domain.key import KEY_PATTERN, make_key

_PROVIDER_KEY_ENV = "BENCH_PROVIDER_KEY"
SHIPPER = "keeper"  # the role that moves journals into the ledger


@contextlib.contextmanager
def gateway(
    folder: Path,
    *,
    provider: int,
    core: int,
    name: str = GATEWAY,
    quotas: Sequence[Mapping[str, Any]] = (),
    redis_url: str | None = None,
) -> Iterator[Subject]:
    """`serve`, ready, with roles `worker`, `supervisor` and `keeper`."""
    data_dir, log = folder / "data", folder / "serve.log"
    env = _environment(data_dir)
    if redis_url is not None:
        env[f"{ENV_PREFIX}REDIS_URL"] = redis_url
    key = _apply(folder, env, {**_manifest(provider), "quotas": list(quotas)})
    command = [sys.executable, "-m", COMMAND, "serve"]
    with running(command, core=core, log=log, env=env) as process:
        wait_for(lambda: _ready(data_dir, process.pid), process, log)
        state = _state(data_dir)
        port = urlsplit(state["gateway_url"]).port
        assert port is not None
        roles = {
            "worker": [worker["pid"] for worker in state["workers"]],
            "supervisor": [process.pid],
            SHIPPER: [state["keeper_pid"]],
        }
        yield Subject(name, _version(env), port, port, key, roles)


def wrong_checksum(key: str) -> str:
    """The key with its last character changed: refused without a look-up."""
    return key[:-1] + ("0" if key[-1] != "0" else "1")


def unknown_key() -> str:
    """A well-formed key that nobody was given."""
    return make_key("test", os.urandom(41))[1]


def _manifest(provider: int) -> dict[str, Any]:
    """What `apply` is given: the one place that knows the file's form."""
    return {
        "tenants": [{"slug": "acme"}],
        "providers": [
            {
                "name": "mock",
                "kind": "openai_compatible",
                "base_url": f"http://127.0.0.1:{provider}/v1",
                "credentials": [{"reference": f"env:{_PROVIDER_KEY_ENV}"}],
            }
        ],
        "models": [
            {"name": CLIENT_MODEL, "targets": [{"provider": "mock", "model": PROVIDER_MODEL}]}
        ],
        "keys": [{"name": "bench", "tenant": "acme", "env": "test"}],
    }


def _apply(folder: Path, env: dict[str, str], manifest: dict[str, Any]) -> str:
    path = folder / "manifest.yaml"
    path.write_text(json.dumps(manifest))  # JSON is YAML
    done = _command(env, "apply", "-f", str(path))
    found = re.search(KEY_PATTERN, done.stdout)
    if done.returncode or found is None:
        raise StartError(f"apply failed:\n{done.stdout}{done.stderr}")
    return found[0]


def _environment(data_dir: Path) -> dict[str, str]:
    ours = dict.fromkeys(("GATEWAY_PORT", "ADMIN_PORT", "OPS_PORT"), "0")
    ours |= {"DATA_DIR": str(data_dir), "WORKERS": "1"}
    settings = {ENV_PREFIX + name: value for name, value in ours.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    return {**kept, **settings, _PROVIDER_KEY_ENV: "sk-bench", "PYTHONUNBUFFERED": "1"}


def _command(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", COMMAND, *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _version(env: dict[str, str]) -> str:
    return _command(env, "--version").stdout.strip().rpartition(" ")[2]


def _state(data_dir: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((data_dir / "run" / "state.json").read_bytes())
    except FileNotFoundError:
        return {}
    return state


def _ready(data_dir: Path, pid: int) -> bool:
    state = _state(data_dir)
    if state.get("pid") != pid or not state["workers"]:
        return False
    try:
        with urllib.request.urlopen(f"{state['ops_url']}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.HTTPError, OSError):
        return False
