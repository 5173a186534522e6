"""Quotas written where the publisher finds them, and a crowd that asks all the time."""

import asyncio
import json
import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace

from tests.fakes.load_wire import Address, Outcome, ask
from tollway.domain.quota import QuotaRecord, counter_name, place_of


def set_quotas(database: str, *quotas: QuotaRecord) -> None:
    """Exactly these are in force from the next publication on."""
    with closing(sqlite3.connect(database, timeout=10)) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute(
            "UPDATE snapshot_version SET version = version + 1 RETURNING version"
        ).fetchone()
        for (place,) in connection.execute("SELECT DISTINCT place FROM quotas").fetchall():
            connection.execute(
                "INSERT INTO tombstones (kind, id, version) VALUES ('quota', ?, ?) "
                "ON CONFLICT DO UPDATE SET version = excluded.version",
                (place, version),
            )
        connection.execute("DELETE FROM quotas")
        for quota in quotas:
            _insert(connection, quota, version)


def _insert(connection: sqlite3.Connection, quota: QuotaRecord, version: int) -> None:
    row = {
        "id": quota.id,
        "tenant_id": quota.tenant_id,
        "name": quota.name,
        "place": place_of(quota),
        "counter": counter_name(quota, None),
        "scope": quota.scope,
        "scope_id": quota.scope_id,
        "model_id": quota.model_id,
        "per": quota.per,
        "metric": quota.metric,
        "period": quota.period,
        "amount": quota.limit,
        "mode": quota.mode,
        "precision": quota.precision,
        "on_outage": quota.on_outage,
        "raised_to": quota.raised_to,
        "raised_until_s": quota.raised_until_s,
        "alert_at": "[]",
        "set_by": "platform",
        "created_s": int(time.time()),
        "version": version,
    }
    connection.execute("DELETE FROM tombstones WHERE kind = 'quota' AND id = ?", (row["place"],))
    connection.execute(
        f"INSERT INTO quotas ({', '.join(row)}) VALUES ({', '.join(['?'] * len(row))})",
        [None if value is None else value for value in map(_plain, row.values())],
    )


def _plain(value: object) -> object:
    return str(value) if isinstance(value, str) else value


def renewed(quota: QuotaRecord, **changes: object) -> QuotaRecord:
    """The same rule, changed."""
    return replace(quota, **changes)  # type: ignore[arg-type]  # names of fields


def crowd(
    url: str,
    key: str,
    *,
    requests: int,
    at_once: int,
    directives: str = "tokens=2",
    **fields: object,
) -> Counter[int | None]:
    """So many requests, never more than `at_once` under way: how often each status came. None: no
    answer."""
    return asyncio.run(_crowd(url, key, requests, at_once, directives, fields))


def crowd_again(
    url: str, key: str, *, requests: int, at_once: int, **fields: object
) -> tuple[dict[int | None, int], int]:
    """The same; but who is told that the counters are out of reach asks again, as `retry-after`
    says, and how many of these there were. On a busy machine they may be, for a moment."""
    statuses, waited = crowd(url, key, requests=requests, at_once=at_once, **fields), 0
    while again := statuses.pop(503, 0):
        waited += again
        statuses.update(crowd(url, key, requests=again, at_once=at_once, **fields))
    return statuses, waited


async def _crowd(
    url: str, key: str, requests: int, at_once: int, directives: str, fields: dict[str, object]
) -> Counter[int | None]:
    address = Address.of(url)
    content = f"hi [[{directives}]]"
    body = json.dumps(
        {"model": "small", "messages": [{"role": "user", "content": content}], **fields}
    ).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    statuses: Counter[int | None] = Counter()
    left = iter(range(requests))

    async def one() -> None:
        for _ in left:
            outcome = Outcome()
            await ask(address, head + body, outcome)
            statuses[outcome.status] += 1

    try:
        await asyncio.gather(*(one() for _ in range(at_once)))
    finally:
        address.close()
    return statuses
