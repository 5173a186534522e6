"""The verdict of three witnesses: what the provider emitted, what the client received, what the
ledger billed. For each request `delivered <= billed <= emitted`, with one outcome per attempt.

Ledger rows are joined by the client's own request id, which is the load's nonce.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from tests.fakes.load import Delivered
from tests.fakes.truth import Emitted

Row = Mapping[str, Any]


def violations(
    delivered: Mapping[str, Delivered],
    emitted: Mapping[str, list[Emitted]],
    rows: Iterable[Row],
) -> list[str]:
    """Every broken promise as one line; empty when all hold."""
    billed: dict[str, list[Row]] = defaultdict(list)
    found: list[str] = []
    for row in rows:
        nonce = row["client_request_id"]
        if nonce is None:
            found.append(f"{row['request_id']}: no nonce in its row")
        else:
            billed[nonce].append(row)
    for nonce in sorted({*delivered, *emitted, *billed}):
        client, provider, ledger = delivered.get(nonce), emitted.get(nonce, []), billed[nonce]
        found += [f"{nonce}: {text}" for text in _judge(client, provider, ledger)]
    return found


def output_of(row: Row) -> int:
    """Output tokens a row bills; classes are disjoint, so reasoning counts beside output."""
    return (row["output"] or 0) + (row["reasoning"] or 0)


def _judge(client: Delivered | None, provider: list[Emitted], ledger: list[Row]) -> list[str]:
    received = 0 if client is None else client.tokens
    bill = sum(output_of(row) for row in ledger)
    given = sum(attempt.tokens for attempt in provider)
    found = []
    if not received <= bill <= given:
        found.append(f"delivered {received}, billed {bill}, emitted {given}")
    if client is not None and client.outcome is not None and not client.outcome.ordered:
        found.append("the client received tokens twice or not in order")
    outcomes = [(row["request_id"], row["attempt"]) for row in ledger if row["kind"] == "usage"]
    if len(outcomes) != len(set(outcomes)):
        found.append("an attempt has two outcomes")
    if len({request for request, _ in outcomes}) > 1:
        found.append("one request has two request ids")
    attempts = [row for row in ledger if row["attempt"] > 0 and row["kind"] == "usage"]
    if len(attempts) < len(provider):
        found.append(f"{len(provider)} attempts reached the provider, {len(attempts)} have rows")
    return found + _judge_reported(provider, attempts)


def _judge_reported(provider: list[Emitted], attempts: list[Row]) -> list[str]:
    """A row that says the provider reported its usage must say what the provider reported."""
    reported = {
        one.usage["completion_tokens"]
        for one in provider
        if one.usage is not None and "completion_tokens" in one.usage
    }
    return [
        f"billed {output_of(row)} as reported, but the provider reported {sorted(reported)}"
        for row in attempts
        if row["usage_source"] == "provider" and reported and output_of(row) not in reported
    ]
