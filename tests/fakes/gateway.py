"""A real `tollway serve` in a folder of its own: started as a user would, configured by `apply`,
killed as a machine would. Only what a user can see is used: commands, environment, `state.json`,
ports, signals and the SQLite file.
"""

import contextlib
import json
import os
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from click.testing import CliRunner

from tests.fakes.database import migrated_file
from tollway.cli.root import root
from tollway.domain.brand import ENV_PREFIX
from tollway.domain.key import KEY_PATTERN

PROVIDER_KEY = "simulated-provider-key"
PROVIDER_KEY_ENV = "SIMULATED_PROVIDER_KEY"


class GatewayTree:
    """Supervisor, workers and keeper over one data directory; can be started again and again.

    The first start takes free ports; later ones take the same, so that clients find it again.
    """

    def __init__(self, folder: Path, *, workers: int = 1, **settings: object) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.log = folder / "serve.log"
        self.keys: list[str] = []  # in the order `apply` printed them
        self._settings: dict[str, object] = {
            "data_dir": self.data_dir,
            "gateway_port": 0,
            "admin_port": 0,
            "ops_port": 0,
            "workers": workers,
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    # Configuration.

    def setting(self, name: str, value: object) -> None:
        """From the next start on."""
        self._settings[name] = value

    def apply(self, manifest: dict[str, Any]) -> str:
        """Create what a manifest describes; returns what the command printed. The schema of a new
        embedded database was made before."""
        path = self.folder / "manifest.yaml"
        path.write_text(json.dumps(manifest))  # JSON is YAML
        if "database_url" not in self._settings and not self.data_dir.exists():
            self.data_dir.mkdir(mode=0o700)
            (self.data_dir / "tollway.db").write_bytes(migrated_file())
        printed = self.command("apply", "-f", str(path))
        self.keys += re.findall(KEY_PATTERN, printed)
        return printed

    def command(self, *arguments: str) -> str:
        """As `run`, but in this process: a second of imports less. Where the command is only the
        way to something else; what is true of a command itself is tested by `run`."""
        others = {name: None for name in os.environ if name.startswith(ENV_PREFIX)}
        done = CliRunner().invoke(root, arguments, env={**others, **self._environment()})
        why = f"{arguments}: {done.exit_code}\n{done.output}{done.exception!r}"
        assert done.exit_code == 0, why
        return done.stdout

    def run(self, *arguments: str) -> str:
        """A command of the command line on this data directory; its output. Raises if it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "tollway", *arguments],
            env=self._environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    # Life and death.

    def start(self, timeout_s: float = 60) -> None:
        """Start and wait until it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tollway", "serve"],
                env=self._environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        pid = self._process.pid
        try:
            wait_until(lambda: self._is_up(pid), timeout_s)
        except AssertionError:
            raise AssertionError(f"not ready:\n{self.log.read_text()[-4000:]}") from None
        self._settings["gateway_port"] = urlsplit(self.url).port
        self._settings["ops_port"] = urlsplit(self.ops_url).port

    def stop(self, timeout_s: float = 60) -> int:
        """SIGTERM, as an init system does; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, timeout_s: float = 60) -> int:
        """The exit code, once the supervisor has ended."""
        assert self._process is not None
        code = self._process.wait(timeout_s)
        self._process = None
        return code

    def kill_worker(self, index: int = 0) -> int:
        """SIGKILL a worker; returns its pid."""
        pid = self.worker_pids[index]
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_supervisor(self, timeout_s: float = 60) -> None:
        """SIGKILL the supervisor and wait until its children have followed on their own."""
        for pid in self.orphan():
            assert ended(pid, timeout_s), f"process {pid} outlived its supervisor"

    def orphan(self) -> list[int]:
        """SIGKILL the supervisor alone; the pids of the children it leaves."""
        assert self._process is not None
        children = [*self.worker_pids, self.keeper_pid]
        self._process.kill()
        self._process.wait()
        return children

    def kill_all(self) -> None:
        """SIGKILL every process, the supervisor first, so that nobody is restarted."""
        assert self._process is not None
        children = [*self.worker_pids, self.keeper_pid]
        self._process.kill()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        for pid in children:
            assert ended(pid, 10)

    def close(self) -> None:
        """End what still runs, by force if need be: for the end of a test."""
        if self._process is not None and self._process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill_all()

    # What can be seen.

    @property
    def state(self) -> dict[str, Any]:
        """`state.json`; empty while there is none."""
        try:
            state: dict[str, Any] = json.loads((self.data_dir / "run" / "state.json").read_bytes())
        except FileNotFoundError:
            return {}
        return state

    @property
    def url(self) -> str:
        """The gateway, without `/v1`."""
        return str(self.state["gateway_url"])

    @property
    def base_url(self) -> str:
        """What a client's `base_url` is set to."""
        return f"{self.url}/v1"

    @property
    def ops_url(self) -> str:
        """Health and metrics."""
        return str(self.state["ops_url"])

    @property
    def key(self) -> str:
        """The first key."""
        return self.keys[0]

    @property
    def supervisor_pid(self) -> int:
        """The process that `start` started."""
        return int(self.state["pid"])

    @property
    def worker_pids(self) -> list[int]:
        """Serving workers."""
        return [worker["pid"] for worker in self.state["workers"]]

    @property
    def keeper_pid(self) -> int:
        """The process that speaks SQL."""
        return int(self.state["keeper_pid"])

    def is_ready(self) -> bool:
        """Whether `readyz` says so."""
        return get_status(f"{self.ops_url}/readyz") == 200

    def metrics(self) -> str:
        """The metrics page."""
        with urllib.request.urlopen(f"{self.ops_url}/metrics", timeout=5) as answer:
            page: bytes = answer.read()
        return page.decode()

    def ledger(self) -> list[dict[str, Any]]:
        """Every ledger entry, oldest first."""
        return self.sql("SELECT * FROM ledger_entries ORDER BY started_ns, attempt, seq")

    def sql(self, query: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Rows of the embedded database, read from outside."""
        uri = f"file:{self.data_dir / 'tollway.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(query, values)]

    def wait_for_entries(self, count: int, timeout_s: float = 60) -> list[dict[str, Any]]:
        """The ledger once it holds at least so many entries."""
        wait_until(lambda: len(self.ledger()) >= count, timeout_s)
        return self.ledger()

    def _is_up(self, pid: int) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "serve ended"
        return self.state.get("pid") == pid and self.is_ready()

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        ours = {ENV_PREFIX + name.upper(): str(value) for name, value in self._settings.items()}
        return {**kept, PROVIDER_KEY_ENV: PROVIDER_KEY, "PYTHONUNBUFFERED": "1", **ours}


def a_manifest(
    base_url: str, *, tenants: Sequence[str] = ("acme",), **provider: Any
) -> dict[str, Any]:
    """One provider `simulated`, one model `small`, and for each tenant a key named after it."""
    return {
        "tenants": [{"slug": slug} for slug in tenants],
        "providers": [
            {
                "name": "simulated",
                "kind": "openai_compatible",
                "base_url": base_url,
                "credentials": [{"reference": f"env:{PROVIDER_KEY_ENV}"}],
                **provider,
            }
        ],
        "models": [{"name": "small", "targets": [{"provider": "simulated", "model": "small"}]}],
        "keys": [{"name": f"{slug}-key", "tenant": slug, "env": "test"} for slug in tenants],
    }


def wait_until(check: Callable[[], bool], timeout_s: float = 60) -> None:
    """Poll until it is so; an assertion when it never is. The time is what a machine that is busy
    with other tests may take; where it matters how soon it is so, say it."""
    end = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < end, f"not so within {timeout_s:g} s"
        time.sleep(0.02)


def ended(pid: int, timeout_s: float = 5) -> bool:
    """Whether a process has ended, waiting for it if it must. It need not be our child."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], timeout_s)[0])
    finally:
        os.close(handle)


def get_status(url: str) -> int:
    """The status of a GET; 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
