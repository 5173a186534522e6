"""A gateway before three simulated providers, each a process that can be frozen: whoever asks it
then is connected by the kernel and hears nothing. And what the ledger says of each attempt.
"""

import json
import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from tests.fakes.gateway import PROVIDER_KEY_ENV, GatewayTree
from tests.fakes.load import Delivered, LoadPlan, LoadProcess
from tests.fakes.provider import ProviderProcess
from tests.fakes.truth import Emitted
from tests.fakes.witnesses import violations
from tests.torture.processes import nobody_left
from tests.torture.stage import unserved

NAMES = ("one", "two", "three")
HEADERS_TIMEOUT_S = 0.5
_LATELY_BYTES = 256 * 1024  # of a log: some seconds
Row = dict[str, Any]


class Upstreams:
    """Use in a `with`. The model is called `small`, its targets are the three in their order."""

    def __init__(
        self, folder: Path, strategy: str, *, headers_timeout_s: float = HEADERS_TIMEOUT_S
    ) -> None:
        self.folder = folder
        self.providers = {name: ProviderProcess(folder / f"truth-{name}") for name in NAMES}
        self.tree = GatewayTree(folder)
        self._strategy = strategy
        self._headers_timeout_s = headers_timeout_s
        self._loads = 0
        self._watch = nobody_left(folder)

    def __enter__(self) -> "Upstreams":
        self._watch.__enter__()
        self.tree.apply(self._manifest())
        self.tree.start()
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            for provider in self.providers.values():
                provider.thaw()
            self.tree.close()
            if error[0] is None:
                assert "agrees with itself" in self.tree.command("ledger", "verify")
                assert "Traceback" not in self.tree.log.read_text()
        finally:
            for provider in self.providers.values():
                provider.stop()
            self._watch.__exit__(*error)

    def load(self, **plan: Any) -> LoadProcess:
        """Begin load on the model."""
        self._loads += 1
        name = f"load-{self._loads}"
        plan = {"nonce_prefix": f"{name}-", **plan}
        made = LoadPlan(self.tree.url, self.tree.key, "small", **plan)
        return LoadProcess(made, self.folder / name)

    def rows(self, log: dict[str, Delivered]) -> list[Row]:
        """The rows of these requests, each with the `provider`'s name and `at_s`. Once the keeper
        has shipped everything."""
        self.tree.run("usage", "-o", "json")
        prefix = next(iter(log)).rpartition("-")[0]
        return self.tree.sql(
            "SELECT e.*, p.name AS provider, e.started_ns / 1e9 AS at_s FROM ledger_entries e "
            "LEFT JOIN providers p ON p.id = e.provider_id WHERE client_request_id LIKE ? "
            "ORDER BY e.started_ns, e.attempt",
            [f"{prefix}-%"],
        )

    def emitted(self) -> dict[str, list[Emitted]]:
        """What the three did, by nonce."""
        found: dict[str, list[Emitted]] = defaultdict(list)
        for provider in self.providers.values():
            for nonce, attempts in provider.truth.by_nonce().items():
                found[nonce] += attempts
        return found

    def arrived(self, name: str, since_s: float) -> int:
        """How many requests one of them saw lately, by the end of its log."""
        with self.providers[name].log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LATELY_BYTES))
            lines = file.read().splitlines()[1:-1]  # the outer ones may be halves
        facts = [json.loads(line) for line in lines if b'"request"' in line]
        return sum(fact["t"] >= since_s for fact in facts)

    def _manifest(self) -> dict[str, Any]:
        made = [
            {
                "name": name,
                "kind": "openai_compatible",
                "base_url": provider.base_url,
                "credentials": [{"reference": f"env:{PROVIDER_KEY_ENV}"}],
                "connect_timeout_s": 0.5,
                "headers_timeout_s": self._headers_timeout_s,
                "first_token_timeout_s": 1.0,
                "idle_timeout_s": 2.0,
            }
            for name, provider in self.providers.items()
        ]
        targets = [{"provider": name, "model": "small"} for name in NAMES]
        model = {"name": "small", "strategy": self._strategy, "targets": targets}
        return {
            "tenants": [{"slug": "acme"}],
            "providers": made,
            "models": [model],
            "keys": [{"name": "acme-key", "tenant": "acme", "env": "test"}],
        }


def booked_wrong(stage: Upstreams, log: dict[str, Delivered], rows: list[Row]) -> list[str]:
    """What is lost or doubled: each request has its attempts without a gap and one row that stands
    for its answer, those before it failed over, and the three witnesses agree. Who was refused
    since no target is there has none."""
    emitted = stage.emitted()
    of_these = {nonce: attempts for nonce, attempts in emitted.items() if nonce in log}
    found = violations(log, of_these, rows)
    by_nonce: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_nonce[row["client_request_id"]].append(row)
    for nonce, client in log.items():
        attempts = by_nonce[nonce]
        numbers = [row["attempt"] for row in attempts]
        if client.outcome is not None and client.outcome.code == "targets_unavailable":
            if numbers or nonce in of_these:
                found.append(f"{nonce}: refused, but its attempts are {numbers}")
            continue
        if not numbers or numbers != list(range(1, len(numbers) + 1)):
            found.append(f"{nonce}: its attempts are {numbers}, the client had {client}")
        elif [row["payer"] == "failed_over" for row in attempts].count(False) != 1:
            found.append(f"{nonce}: billed as {[row['payer'] for row in attempts]}")
        seen = len(of_these.get(nonce, ()))
        unheard = sum(row["outcome"] == "failed" for row in attempts)
        if not len(attempts) - unheard <= seen <= len(attempts):
            found.append(f"{nonce}: {seen} attempts arrived, {len(attempts)} have rows")
    return found


def cut(log: dict[str, Delivered], at_s: float) -> list[str]:
    """Streams that had begun to come when their provider froze: nobody can take those over."""
    return [
        nonce
        for nonce, one in log.items()
        if one.stream and one.began_s <= at_s and one.tokens and one.outcome and one.outcome.errors
    ]


def failed(log: dict[str, Delivered]) -> Counter[str]:
    """What became of those that were not served whole."""
    lost = [text.partition(":")[0] for text in unserved(log)]
    found: Counter[str] = Counter()
    for nonce in lost:
        outcome = log[nonce].outcome
        found["unknown" if outcome is None else f"{outcome.status} {outcome.code}"] += 1
    return found
