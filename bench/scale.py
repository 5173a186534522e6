"""`python -m bench.scale`: a real gateway over a million keys of a hundred thousand tenants. What
it costs to load, to serve and to change, beside ten keys in the same run.

The rows are put into SQLite directly; all else is what an operator would see: a process tree, its
admin API, its sockets, /proc.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tollway.app.admin.commands.peppers import open_peppers
from tollway.cli.data_dir import prepare_data_dir
from tollway.config import from_values
from tollway.domain.brand import ENV_PREFIX
from tollway.domain.key import digest_key, make_key, split_key
from tollway.wiring.desk import open_desk

_BODY = json.dumps({"model": "small", "messages": [{"role": "user", "content": "hi"}]}).encode()
_BATCH = 50_000
_CHANGES = 20
_PROBE_S = 0.001
_MIB = 2**20


@dataclass
class Figures:
    """What was measured. Times in seconds unless the name says otherwise."""

    keys: int
    tenants: int
    made_s: float = 0.0
    first_publish_s: float = 0.0
    restart_s: float = 0.0
    file_mib: float = 0.0
    worker_rss_mib: float = 0.0
    worker_own_mib: float = 0.0  # not shared with anybody: what one more worker costs
    few_us: list[float] = field(default_factory=list)  # CPU of a request, ten keys
    many_us: list[float] = field(default_factory=list)  # any of all keys
    change_s: list[float] = field(default_factory=list)  # an admin write, until it is served
    stall_ms: list[float] = field(default_factory=list)  # the longest wait of a probe, per change
    calm_ms: float = 0.0  # the same while nothing changes


class Tree:
    """`serve` with one worker on a data directory."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.environ = {
            "PATH": os.environ["PATH"],
            f"{ENV_PREFIX}DATA_DIR": str(self.data_dir),
            f"{ENV_PREFIX}GATEWAY_PORT": "0",
            f"{ENV_PREFIX}ADMIN_PORT": "0",
            f"{ENV_PREFIX}OPS_PORT": "0",
        }
        self._log = folder / "serve.log"

    def command(self, *arguments: str) -> str:
        """A command of the command line; its output."""
        done = subprocess.run(
            [sys.executable, "-m", "tollway", *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    @contextlib.contextmanager
    def running(self) -> Iterator[float]:
        """Serve inside the block; how long it took to be ready."""
        began = time.monotonic()
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tollway", "serve"],
                env=self.environ,
                stdout=log,
                stderr=log,
            )
        try:
            while self.state().get("pid") != process.pid or not self._is_ready():
                if process.poll() is not None:
                    raise RuntimeError(self._log.read_text()[-3000:])
                time.sleep(0.02)
            yield time.monotonic() - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)

    def state(self) -> dict[str, Any]:
        """`state.json`; empty while there is none."""
        try:
            found: dict[str, Any] = json.loads((self.data_dir / "run/state.json").read_bytes())
        except FileNotFoundError:
            return {}
        return found

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"{self.state()['ops_url']}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    @property
    def worker(self) -> int:
        """The worker's pid."""
        return int(self.state()["workers"][0]["pid"])


def fill(tree: Tree, figures: Figures, asked: int) -> list[str]:
    """Make the tenants and keys in the database; the texts of some keys, drawn at random."""
    settings = prepare_data_dir(from_values({"data_dir": str(tree.data_dir)})).settings
    with open_desk(settings) as desk, desk.configuration.read() as uow:
        peppers = dict(open_peppers(desk.box, uow.peppers.every()))
    (version, pepper), *_ = peppers.items()
    chosen = set(random.sample(range(figures.keys), asked))
    texts: list[str] = []
    with contextlib.closing(sqlite3.connect(settings.sqlite_path)) as database:
        database.execute("PRAGMA synchronous = OFF")
        now = int(time.time())
        (at,) = database.execute("SELECT version FROM snapshot_version").fetchone()
        at += 1
        tenants = [f"ten_{number:016x}" for number in range(figures.tenants)]
        database.executemany(
            "INSERT INTO tenants (id, slug, name, salt, active, created_s, version)"
            " VALUES (?, ?, ?, ?, 1, ?, ?)",
            ((id_, f"t-{id_[4:]}", f"Tenant {id_}", os.urandom(16), now, at) for id_ in tenants),
        )
        database.executemany(
            "INSERT INTO tenant_settings (tenant_id, timezone, content_logging, models, version)"
            " VALUES (?, 'UTC', 0, 'all', ?)",
            ((id_, at) for id_ in tenants),
        )
        for begin in range(0, figures.keys, _BATCH):
            rows = []
            for number in range(begin, min(begin + _BATCH, figures.keys)):
                tenant = tenants[number % figures.tenants]
                key_id, text = make_key("live", os.urandom(41))
                digest = b"x" * 32
                if number in chosen:
                    parts = split_key(text)
                    assert parts is not None
                    digest = digest_key(pepper, tenant, key_id, parts[1])  # type: ignore[arg-type]
                    texts.append(text)
                rows.append((key_id, tenant, digest, version, now, at, text[:20], text[-4:]))
            database.executemany(
                "INSERT INTO api_keys (id, tenant_id, env, name, digest, pepper_version, created_s,"
                " version, prefix, last4) VALUES (?, ?, 'live', 'k', ?, ?, ?, ?, ?, ?)",
                rows,
            )
        database.execute("UPDATE snapshot_version SET version = ?", (at,))
        database.commit()
    random.shuffle(texts)
    return texts


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mib(pid: int) -> tuple[float, float]:
    """Resident, and of it what belongs to this process alone."""
    found: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, size, *_ = line.split()
        found[name.rstrip(":")] = int(size) * 1024
    own = found["Private_Clean"] + found["Private_Dirty"]
    return found["Rss"] / _MIB, own / _MIB


async def _ask(port: int, keys: Sequence[str], count: int, *, at_once: int = 4) -> None:
    """So many requests over kept connections, each with the next key."""
    left = iter(range(count))

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in left:
            key = keys[number % len(keys)]
            head = (
                f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(_BODY)}\r\n\r\n"
            )
            writer.write(head.encode() + _BODY)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode())
            length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()

    await asyncio.gather(*(one() for _ in range(at_once)))


def _cost_us(port: int, pid: int, keys: Sequence[str], count: int) -> float:
    before = _cpu_s(pid)
    asyncio.run(_ask(port, keys, count))
    return (_cpu_s(pid) - before) / count * 1e6


async def _probe(port: int, until: asyncio.Event) -> float:
    """The longest answer to a request that is refused at once, asked each millisecond; ms."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    longest = 0.0
    while not until.is_set():
        began = time.perf_counter()
        writer.write(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        longest = max(longest, time.perf_counter() - began)
        await asyncio.sleep(_PROBE_S)
    writer.close()
    return longest * 1000


async def _beside(port: int, work: Any) -> tuple[float, float]:
    """What a probe waited at most while this ran in a thread, and how long it ran."""
    done = asyncio.Event()
    probe = asyncio.ensure_future(_probe(port, done))
    began = time.perf_counter()
    await asyncio.to_thread(work)
    took_s = time.perf_counter() - began
    done.set()
    return await probe, took_s


def _change(url: str, token: str, number: int) -> None:
    """A new tenant; answered when this machine's workers serve it."""
    body = json.dumps({"slug": f"new-{number}"}).encode()
    head = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    with urlopen(Request(f"{url}/api/v1/tenants", body, head), timeout=60) as answer:
        answer.read()


def measure(folder: Path, figures: Figures, *, requests: int, rounds: int) -> None:
    """Everything, on a gateway of its own in this folder."""
    tree = Tree(folder)
    manifest = folder / "house.yaml"
    manifest.write_text(
        "tenants: [{slug: acme}]\nproviders: [{name: parrot, kind: echo}]\n"
        "models: [{name: small, targets: [{provider: parrot, model: echo}]}]\n"
        "keys: [{tenant: acme, name: first}]\n"
    )
    tree.command("apply", "-f", str(manifest))
    began = time.monotonic()
    texts = fill(tree, figures, requests)
    figures.made_s = time.monotonic() - began
    with tree.running() as took_s:
        figures.first_publish_s = took_s
    with tree.running() as took_s:
        figures.restart_s = took_s
        state, pid = tree.state(), tree.worker
        port = urlsplit(state["gateway_url"]).port
        assert port is not None
        files = (tree.data_dir / "run").glob("snapshot*")
        figures.file_mib = sum(path.stat().st_size for path in files) / _MIB
        few = texts[:10]
        _cost_us(port, pid, texts, min(2000, requests))
        for _ in range(rounds):
            figures.few_us.append(_cost_us(port, pid, few, requests))
            figures.many_us.append(_cost_us(port, pid, texts, requests))
        figures.worker_rss_mib, figures.worker_own_mib = _memory_mib(pid)
        token = (tree.data_dir / "admin.token").read_text().strip()
        figures.calm_ms, _ = asyncio.run(_beside(port, lambda: time.sleep(2)))
        for number in range(_CHANGES):
            stall, took_s = asyncio.run(
                _beside(port, lambda n=number: _change(state["admin_url"], token, n))
            )
            figures.stall_ms.append(stall)
            figures.change_s.append(took_s)


def lines(figures: Figures) -> list[str]:
    """The table, as Markdown."""
    few, many = statistics.median(figures.few_us), statistics.median(figures.many_us)
    pairs = zip(figures.few_us, figures.many_us, strict=True)
    more = statistics.median(many_ - few_ for few_, many_ in pairs)
    rows = [
        ("start until ready, first time (the file is made)", f"{figures.first_publish_s:.1f} s"),
        ("start until ready, later", f"{figures.restart_s:.1f} s"),
        ("the file", f"{figures.file_mib:.0f} MiB"),
        ("a worker, resident", f"{figures.worker_rss_mib:.0f} MiB"),
        ("of it the worker's own", f"{figures.worker_own_mib:.0f} MiB"),
        ("CPU of a request, ten keys", f"{few:.1f} us"),
        ("CPU of a request, any key", f"{many:.1f} us ({more:+.1f})"),
        ("a change, until served", f"{statistics.median(figures.change_s) * 1000:.0f} ms"),
        (
            "longest wait beside a change",
            (
                f"{statistics.median(figures.stall_ms):.1f} ms, at most "
                f"{max(figures.stall_ms):.1f} ms ({figures.calm_ms:.1f} ms while nothing changes)"
            ),
        ),
    ]
    title = f"{figures.keys:,} keys, {figures.tenants:,} tenants"
    return [f"| {title} | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--tenants", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    figures = Figures(given.keys, given.tenants)
    with tempfile.TemporaryDirectory(prefix="tollway-scale-") as folder:
        measure(Path(folder), figures, requests=given.requests, rounds=given.rounds)
    print("\n".join(lines(figures)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
