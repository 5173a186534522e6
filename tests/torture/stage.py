"""A provider, a gateway and load on it, each in its own processes, with all three logs at hand."""

import json
from pathlib import Path
from typing import Any

from tests.fakes.gateway import GatewayTree, a_manifest
from tests.fakes.load import Delivered, LoadPlan, LoadProcess
from tests.fakes.machines import Machine
from tests.fakes.provider import ProviderProcess
from tests.fakes.truth import Emitted, TruthLog, read_truth
from tests.fakes.witnesses import violations
from tests.torture.processes import nobody_left

STREAMS, RATE = 64, 20.0
# A stream runs for about 1.2 s, so at any moment most are in their middle.
DIRECTIVES = "tokens=40 gap_ms=30"


class Stage:
    """Use in a `with`: at its end no process is left. Each load has nonces of its own."""

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 1,
        logs: Path | None = None,
        database: str | None = None,
        **settings: object,
    ) -> None:
        self.folder = folder  # the gateway's
        self.logs = logs or folder  # the other witnesses'
        self.provider = ProviderProcess(self.logs / "truth")
        self.tree: GatewayTree
        if database is None:
            self.tree = GatewayTree(folder, workers=workers, **settings)
        else:
            self.tree = Machine(folder, database, workers=workers, **settings)
        self.ops_url = ""
        self._loads = 0
        self._truth_at = 0
        self._watch = nobody_left(folder)

    def __enter__(self) -> "Stage":
        self._watch.__enter__()
        self.tree.apply(a_manifest(self.provider.base_url))
        self.tree.start()
        self.ops_url = self.tree.ops_url  # stays the same; `state.json` goes with the supervisor
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            self.tree.close()
            if error[0] is None:
                assert "agrees with itself" in self.tree.command("ledger", "verify")
            self.provider.stop()
        finally:
            self._watch.__exit__(*error)

    @property
    def prefix(self) -> str:
        """What the nonces of the last load begin with."""
        return f"t{self._loads}-"

    def load(self, directives: str = DIRECTIVES, **plan: Any) -> LoadProcess:
        """Begin load; `streams` and `rate` as usual unless the plan says otherwise."""
        self._loads += 1
        plan = {"streams": STREAMS, "rate": RATE, **plan}
        return LoadProcess(
            LoadPlan(
                self.tree.url,
                self.tree.key,
                "small",
                directives=directives,
                nonce_prefix=self.prefix,
                **plan,
            ),
            self.logs / f"load-{self._loads}",
        )

    def emitted(self) -> dict[str, list[Emitted]]:
        """What the provider did since this was asked last."""
        with self.provider.log.open("rb") as file:
            file.seek(self._truth_at)
            lines = file.read()
        self._truth_at += len(lines)
        log = TruthLog()
        log.lines.extend(lines.decode().splitlines())
        return read_truth(log).by_nonce()

    def rows(self, prefix: str | None = None) -> list[dict[str, Any]]:
        """The ledger's rows of the last load, or of all nonces with this prefix."""
        return self.tree.sql(
            "SELECT * FROM ledger_entries WHERE client_request_id LIKE ?",
            [f"{self.prefix if prefix is None else prefix}%"],
        )

    def verdict(self, log: dict[str, Delivered], prefix: str | None = None) -> list[str]:
        """What the three witnesses do not agree on, with what each of them says. Everything must
        have been shipped, and every load since the last verdict be in the log."""
        emitted, rows = self.emitted(), self.rows(prefix)
        found = []
        for text in violations(log, emitted, rows):
            nonce = text.partition(":")[0]
            of_it = [row for row in rows if row["client_request_id"] == nonce]
            found += [text, f"  client:   {log.get(nonce)}", f"  provider: {emitted.get(nonce)}"]
            found += [f"  ledger:   {of_it}"]
        return found

    def unequal_sums(self) -> list[str]:
        """Invariant I5, as a user sees it: usage equals the sum over the ledger's rows. Has the
        keeper ship what is left, so it comes before `verdict`."""
        usage = json.loads(self.tree.run("usage", "-o", "json"))
        (sums,) = self.tree.sql(
            "SELECT count(*) AS requests, sum(input) AS input, sum(output) AS output, "
            "sum(CASE usage_source WHEN 'estimated' THEN 1 ELSE 0 END) AS estimated "
            "FROM ledger_entries WHERE kind = 'usage'"
        )
        shown = {name: sum(line[name] or 0 for line in usage) for name in sums}
        sums = {name: int(value or 0) for name, value in sums.items()}  # PostgreSQL's are decimals
        return [] if shown == sums else [f"usage shows {shown}, the ledger holds {sums}"]


def require(*findings: list[str]) -> None:
    """Nothing was found wrong; else an AssertionError with the first of it."""
    found = [text for finding in findings for text in finding]
    assert not found, "\n".join([f"{len(found)} findings", *found[:24]])


def unserved(log: dict[str, Delivered]) -> list[str]:
    """Every request that was refused, reset, cut, or not answered with all of its tokens."""
    found = []
    for nonce, one in log.items():
        outcome = one.outcome
        whole = outcome is not None and outcome.status == 200 and outcome.broken is None
        if one.stream:
            whole = whole and outcome is not None and outcome.done and not outcome.errors
        if not whole:
            found.append(f"{nonce}: {one}")
    return found
