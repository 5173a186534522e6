"""Clients that leave in the middle of a stream: the provider's connection is closed soon, and what
they had received is billed, no more than what was emitted.
"""

import asyncio
import json
import random
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.fakes.gateway import wait_until
from tests.fakes.witnesses import output_of
from tests.torture.stage import Stage, require

_AT_ONCE = 10
_LIMIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Left:
    """A client's own account: what it had received when it left, and when that was."""

    nonce: str
    tokens: int
    left_s: float


def run_leavers(folder: Path, count: int, seed: int) -> str:
    """So many streams of 500 tokens, each left after a random number of them, half with a FIN and
    half with an RST; the figures as text."""
    chance = random.Random(seed)
    with Stage(folder) as stage:
        lefts = asyncio.run(_leave_all(stage, count, chance))
        require(stage.unequal_sums())
        wait_until(lambda: len(_rows(stage)) == count)
        emitted, rows = stage.emitted(), _rows(stage)
        waits_s = []
        for left in lefts:
            (provider,), row = emitted[left.nonce], rows[left.nonce]
            facts = f"seed {seed}\n{left}\n{provider}\n{row}"
            assert provider.closed_by == "peer", facts
            assert provider.closed_s is not None
            waits_s.append(provider.closed_s - left.left_s)
            assert waits_s[-1] <= _LIMIT_S, facts
            assert left.tokens <= output_of(row) <= provider.tokens, facts
            assert (row["payer"], row["usage_source"]) == ("client_gone", "estimated"), facts
            assert (row["status"], row["outcome"]) == (499, "client_gone"), facts
    waits_s.sort()
    return (
        f"{count} clients left; provider's socket closed after {waits_s[len(waits_s) // 2]:.3f} s "
        f"(median), {waits_s[int(len(waits_s) * 0.99)]:.3f} s (p99), {waits_s[-1]:.3f} s (longest)"
    )


def _rows(stage: Stage) -> dict[str, dict[str, Any]]:
    return {row["client_request_id"]: row for row in stage.tree.ledger()}


async def _leave_all(stage: Stage, count: int, chance: random.Random) -> list[Left]:
    gate = asyncio.Semaphore(_AT_ONCE)
    address = urlsplit(stage.tree.url)
    assert address.hostname is not None
    assert address.port is not None

    async def leave(number: int) -> Left:
        gap_ms = chance.choice((2, 20, 400))
        after = 1 if gap_ms == 400 else chance.randrange(1, 40)
        nonce = f"left-{number}"
        loop = asyncio.get_running_loop()
        async with gate, asyncio.timeout(20):
            with socket.socket() as client:
                client.setblocking(False)
                await loop.sock_connect(client, (address.hostname, address.port))
                await loop.sock_sendall(client, _request(stage.tree.key, nonce, gap_ms))
                received = b""
                while _tokens(received) < after:
                    data = await loop.sock_recv(client, 65536)
                    assert data, received
                    received += data
                if number % 2:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                left_s = time.time()
        return Left(nonce, _tokens(received), left_s)

    return await asyncio.gather(*(leave(number) for number in range(count)))


def _tokens(received: bytes) -> int:
    return received.count(b'"content": "') - received.count(b'"content": ""')


def _request(key: str, nonce: str, gap_ms: int) -> bytes:
    prompt = f"go on [[id={nonce} tokens=500 gap_ms={gap_ms}]]"
    body = json.dumps(
        {"model": "small", "stream": True, "messages": [{"role": "user", "content": prompt}]}
    ).encode()
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\nx-request-id: {nonce}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body
