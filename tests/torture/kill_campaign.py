"""Kills under load, judged by three witnesses: the provider's truth log, the client's log, the
ledger. For every request: delivered <= billed <= emitted, one outcome for each attempt, a row for
whatever reached the provider; and the roll-ups that `tollway usage` shows equal the sum of rows.

One tree of processes lives through a whole campaign; each trial has its own load, nonces and slice
of the logs. The next trial begins when everything of the last one was shipped and judged.
"""

import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.gateway import GatewayTree, a_manifest, ended, wait_until
from tests.fakes.load import Delivered, LoadPlan, LoadProcess
from tests.fakes.provider import ProviderProcess
from tests.fakes.truth import Emitted, TruthLog, read_truth
from tests.fakes.witnesses import violations

WORKER, SUPERVISOR, ALL = "worker", "supervisor", "all"
STREAMS, RATE = 64, 20.0
# A stream runs for about 1.2 s, so at any moment most are in their middle.
_DIRECTIVES = "tokens=40 gap_ms=30"


@dataclass(slots=True)
class Figures:
    """What a campaign did."""

    kills: int = 0
    requests: int = 0
    cut: int = 0  # had been sent when a process died, or before its successor was up
    refused: int = 0  # came while no gateway ran
    killed_rows: int = 0  # rows that a recovery wrote for a dead worker
    longest_wait_s: float = 0.0  # of new connections after the death of a worker
    began_s: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.requests} requests, {self.cut} cut, {self.refused} refused "
            f"while nothing ran, {self.killed_rows} settled by recovery, longest wait for a new worker {self.longest_wait_s:.2f} s, "
            f"{time.monotonic() - self.began_s:.0f} s"
        )


class KillCampaign:
    """Provider, gateway and the trials on them. Use in a `with`."""

    def __init__(self, folder: Path, *, workers: int, seed: int, **settings: object) -> None:
        self.folder = folder
        self.seed = seed
        self.figures = Figures()
        self.provider = ProviderProcess(folder / "truth")
        self.tree = GatewayTree(folder, workers=workers, **settings)
        self._random = random.Random(seed)
        self._truth_at = 0
        self._trial = 0

    def __enter__(self) -> "KillCampaign":
        self.tree.apply(a_manifest(self.provider.base_url))
        self.tree.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.tree.close()
        self.provider.stop()

    def run(self, victims: Sequence[str]) -> Figures:
        """One trial for each victim. Raises AssertionError with all that is known."""
        for victim in victims:
            self._trial += 1
            log, kill_s = self._under_load(victim)
            usage = json.loads(self.tree.run("usage", "-o", "json"))
            self._judge(victim, log, kill_s)
            self._compare(usage)
        return self.figures

    def _under_load(self, victim: str) -> tuple[dict[str, Delivered], float]:
        """Kill at a random moment of the load; the log of the load and the moment's time."""
        plan = LoadPlan(
            self.tree.url,
            self.tree.key,
            "small",
            streams=STREAMS,
            rate=RATE,
            directives=_DIRECTIVES,
            nonce_prefix=f"t{self._trial}-",
        )
        load = LoadProcess(plan, self.folder / "load")
        try:
            time.sleep(self._random.uniform(0.4, 1.6))
            self._kill(victim)
            kill_s = time.time()
            if victim != WORKER:
                self.tree.start()
            wait_until(self.tree.is_ready, 20)
            time.sleep(0.3)
        finally:
            log = load.stop()
            (self.folder / "load").unlink()
        self.figures.kills += 1
        return log, kill_s

    def _kill(self, victim: str) -> None:
        if victim == ALL:
            self.tree.kill_all()
        elif victim == SUPERVISOR:
            self.tree.kill_supervisor()
        else:
            pid = self._random.choice(self.tree.worker_pids)
            os.kill(pid, signal.SIGKILL)
            assert ended(pid)

    # The verdict.

    def _judge(self, victim: str, log: dict[str, Delivered], kill_s: float) -> None:
        emitted = self._emitted()
        rows = self.tree.sql(
            "SELECT * FROM ledger_entries WHERE client_request_id LIKE ?", [f"t{self._trial}-%"]
        )
        found = violations(log, emitted, rows)
        if victim == WORKER:
            found += self._refused(log, kill_s)
        figures = self.figures
        figures.requests += len(log)
        breaks = Counter(one.outcome.broken for one in log.values() if one.outcome)
        figures.refused += breaks["refused"]
        figures.cut += breaks["reset"] + breaks["eof"]
        figures.killed_rows += sum(1 for row in rows if row["outcome"] == "killed")
        assert len(log) >= STREAMS, "there was no load"
        assert not found, self._report(victim, found, log, emitted, rows)

    def _refused(self, log: dict[str, Delivered], kill_s: float) -> list[str]:
        """The death of one worker cuts the connections that it had, and no others: who connects
        after it waits in the queue of the socket, which the supervisor holds."""
        found = []
        for nonce, one in log.items():
            outcome = one.outcome
            assert outcome is not None
            if outcome.broken == "refused":
                found.append(f"{nonce}: refused although one worker's death must refuse nobody")
            if one.began_s > kill_s and not outcome.reused:
                if outcome.broken or outcome.status != 200:
                    found.append(f"{nonce}: connected after the worker's death and was not served")
                waited_s = (one.ended_s or 0) - one.began_s
                if not one.stream:
                    self.figures.longest_wait_s = max(self.figures.longest_wait_s, waited_s)
        return found

    def _emitted(self) -> dict[str, list[Emitted]]:
        """What the provider did since the last trial."""
        with self.provider.log.open("rb") as file:
            file.seek(self._truth_at)
            lines = file.read()
        self._truth_at += len(lines)
        log = TruthLog()
        log.lines.extend(lines.decode().splitlines())
        return read_truth(log).by_nonce()

    def _compare(self, usage: list[dict[str, Any]]) -> None:
        """Invariant I5, as a user sees it: usage equals the sum over the ledger's rows."""
        (sums,) = self.tree.sql(
            "SELECT count(*) AS requests, sum(input) AS input, sum(output) AS output, "
            "sum(usage_source = 'estimated') AS estimated FROM ledger_entries WHERE kind = 'usage'"
        )
        shown = {name: sum(line[name] or 0 for line in usage) for name in sums}
        assert shown == sums, f"seed {self.seed}: usage shows {shown}, the ledger holds {sums}"

    def _report(
        self,
        victim: str,
        found: list[str],
        log: dict[str, Delivered],
        emitted: dict[str, list[Emitted]],
        rows: list[dict[str, Any]],
    ) -> str:
        lines = [f"seed {self.seed}, trial {self._trial}, killed: {victim}; {len(found)} broken"]
        for text in found[:5]:
            nonce = text.partition(":")[0]
            lines += [
                text,
                f"  client:   {log.get(nonce)}",
                f"  provider: {emitted.get(nonce)}",
                f"  ledger:   {[row for row in rows if row['client_request_id'] == nonce]}",
            ]
        with contextlib.suppress(FileNotFoundError):
            lines.append(self.tree.log.read_text()[-2000:])
        return "\n".join(lines)
