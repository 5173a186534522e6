"""Clients that hardly read, and a provider that writes as fast as it can: what waits for them is
bounded, others do not notice, and what was received is billed when they leave (row 58).
"""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from statistics import median

import pytest

from tests.conftest import Show
from tests.fakes.gateway import wait_until
from tests.fakes.raw_provider import EVENTS_HEAD, RawProvider, RawRequest
from tests.fakes.stage import Stage

CLIENTS = 10
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"x" * 960)
BURST = b"".join(b"%x\r\n%b\r\n" % (len(EVENT), EVENT) for _ in range(64))
MOST_BYTES = 256 << 20


@pytest.fixture(scope="module")
def raw() -> Iterator[RawProvider]:
    made = RawProvider()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, raw: RawProvider) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("slow"))
    made.add_provider("raw", raw.base_url)
    made.begin()
    yield made
    made.close()


def resident_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_slow_readers(stage: Stage, raw: RawProvider, show: Show) -> None:
    """Ten streams read at 1 KB/s from a provider that would send 256 MiB each at once."""
    sent: dict[int, int] = {}

    def flood(connection: socket.socket, request: RawRequest) -> None:
        connection.sendall(EVENTS_HEAD + b"transfer-encoding: chunked\r\n\r\n")
        while sent.get(request.connection, 0) < MOST_BYTES:
            connection.sendall(BURST)
            sent[request.connection] = sent.get(request.connection, 0) + len(BURST)

    def waits(count: int = 40) -> list[float]:
        found = []
        for _ in range(count):
            began = time.monotonic()
            assert stage.chat("tokens=1").status == 200
            found.append(time.monotonic() - began)
        return found

    raw.script = flood
    quiet = waits()
    (pid,) = stage.tree.worker_pids
    before = resident_bytes(pid)
    received = dict.fromkeys(range(CLIENTS), 0)
    leave = threading.Event()
    readers = [
        threading.Thread(target=read_slowly, args=(stage, number, received, leave))
        for number in range(CLIENTS)
    ]
    for reader in readers:
        reader.start()
    wait_until(lambda: len(sent) == CLIENTS and all(received.values()))
    began, peak, busy = time.monotonic(), 0, []
    while time.monotonic() - began < 3:
        busy += waits(10)
        peak = max(peak, resident_bytes(pid) - before)
    held = sum(sent.values()) - sum(received.values())
    left_s = time.time()
    leave.set()
    for reader in readers:
        reader.join()
    rows = [stage.row(f"slow{number}") for number in range(CLIENTS)]
    show(
        f"{CLIENTS} clients at 1 KB/s: worker + {peak / 1024:.0f} KiB, "
        f"{held / CLIENTS / 1024:.0f} KiB each in sockets and buffers; "
        f"others {median(quiet) * 1000:.1f} -> {median(busy) * 1000:.1f} ms, "
        f"at most {max(busy) * 1000:.0f} ms"
    )
    # One read event of the loop (256 KiB) may be waiting for each, on top of what any load needs.
    assert peak < (16 << 20) + CLIENTS * (512 << 10)
    assert all(count < 32 << 20 for count in sent.values())
    assert max(busy) < 1
    for number, row in enumerate(rows):
        assert (row["payer"], row["usage_source"]) == ("client_gone", "estimated")
        # An event of 960 bytes counts as 240 tokens.
        assert received[number] // len(EVENT) * 240 - 240 <= row["output"] <= sum(sent.values())
        assert row["ended_ns"] / 1e9 - left_s < 1


def read_slowly(
    stage: Stage, number: int, received: dict[int, int], leave: threading.Event
) -> None:
    """1,000 bytes a second through a small window, until told to leave."""
    fields = {"model": "raw", "stream": True, "messages": []}
    body = json.dumps(fields).encode()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(stage.address)
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"authorization: Bearer %b\r\nx-request-id: slow%d\r\ncontent-length: %d\r\n\r\n%b"
            % (stage.tree.key.encode(), number, len(body), body)
        )
        with contextlib.suppress(OSError):
            while not leave.is_set():
                received[number] += len(connection.recv(100))
                leave.wait(0.1)
