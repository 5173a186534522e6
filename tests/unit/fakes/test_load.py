"""The load's log says what arrived, whatever happens to the server."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from tests.fakes.certificates import Certificates
from tests.fakes.load import Load, LoadPlan, LoadProcess, read_load
from tests.fakes.provider import ProviderProcess, SimulatedProvider, refusing_port


def a_plan(provider: SimulatedProvider | ProviderProcess, **fields: object) -> LoadPlan:
    url = provider.base_url.removesuffix("/v1")
    return LoadPlan(url, "k", "m", **fields)  # type: ignore[arg-type]


def until(check: Callable[[], bool], timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


async def test_what_the_client_saw_equals_what_was_emitted(tmp_path: Path) -> None:
    """Without faults the two logs agree request by request, streamed or not."""
    log = tmp_path / "load"
    async with SimulatedProvider() as provider:
        plan = a_plan(provider, streams=3, rate=100, stream_rate=50, directives="tokens=6 gap_ms=1")
        load = Load(plan, log)
        load.start()
        while len(load.ended) < 60:
            await asyncio.sleep(0.01)
        await load.stop()
        emitted = provider.truth.by_nonce()
        connections = {one[0].connection for one in emitted.values()}
    delivered = read_load(log)
    assert set(delivered) == set(emitted)
    assert {True, False} == {one.stream for one in delivered.values()}
    for nonce, one in delivered.items():
        assert one.outcome is not None
        assert (one.tokens, one.outcome.status, one.outcome.broken) == (6, 200, None)
        assert emitted[nonce][0].tokens == 6
        assert one.outcome.done is one.stream
        assert one.outcome.ordered
        assert one.ended_s is not None
        assert one.ended_s >= one.began_s
    assert len(connections) < len(delivered)
    assert any(one.outcome.reused for one in delivered.values() if one.outcome)


async def test_breaks_are_told_apart(tmp_path: Path) -> None:
    """Refused, reset, cut short, error event and error status each leave their own mark."""
    async with SimulatedProvider() as provider:
        load = Load(a_plan(provider, include_usage=True), tmp_path / "load")
        cut = await load.once(stream=True, directives="tokens=9 gap_ms=5 cut=4")
        assert (cut.broken, cut.done) == ("reset", False)
        assert cut.tokens <= 4
        fin = await load.once(stream=True, directives="tokens=9 fault=fin at=4")
        assert (fin.broken, fin.tokens, fin.last) == ("eof", 4, 4)
        error = await load.once(stream=True, directives="tokens=9 error_event=2")
        assert (error.broken, error.errors, error.done, error.tokens) == (None, 1, False, 2)
        status = await load.once(stream=False, directives="status=503")
        assert (status.status, status.code, status.tokens) == (503, "simulated_503", 0)
        half = await load.once(stream=False, directives="fault=fin at=2")
        assert (half.broken, half.tokens) == ("eof", 0)
        good = await load.once(stream=True, directives="tokens=2")
        assert good.usage is not None
        assert good.usage["completion_tokens"] == 2
        await load.stop()
    nobody = LoadPlan(f"http://127.0.0.1:{refusing_port()}", "k", "m")
    load = Load(nobody, tmp_path / "nobody")
    assert (await load.once(stream=True)).broken == "refused"
    await load.stop()


async def test_stopping_cuts_what_does_not_end(tmp_path: Path) -> None:
    """After the grace a hanging request is given up, and the log says so."""
    async with SimulatedProvider() as provider:
        load = Load(a_plan(provider, streams=2, directives="tokens=5 stall=3"), tmp_path / "load")
        load.start()
        while [one.tokens for one in provider.truth.requests.values()] != [3, 3]:
            await asyncio.sleep(0.005)
        await load.stop(0.05)
    ended = read_load(tmp_path / "load").values()
    assert [(one.tokens, one.outcome and one.outcome.broken) for one in ended] == [
        (3, "stopped")
    ] * 2


async def test_it_speaks_tls(tmp_path: Path) -> None:
    """A load over TLS checks the certificate."""
    certificates = Certificates(tmp_path)
    async with SimulatedProvider(tls=certificates.server_context()) as provider:
        load = Load(a_plan(provider, ca_file=str(certificates.ca_file)), tmp_path / "load")
        assert (await load.once(stream=True)).done
        await load.stop()


def test_the_witnesses_agree_across_a_killed_server(tmp_path: Path) -> None:
    """The server dies under load and comes back on its port: delivered <= emitted for each."""
    truth, log = tmp_path / "truth", tmp_path / "load"
    provider = ProviderProcess(truth)
    load = LoadProcess(a_plan(provider, streams=8, rate=50, directives="tokens=200 gap_ms=1"), log)
    until(lambda: sum(one.tokens for one in provider.truth.requests.values()) >= 400)
    provider.kill()
    again = ProviderProcess(truth, port=provider.port)
    until(lambda: any(one.answered for one in again.truth.requests.values() if one.stream))
    delivered = load.stop()
    again.stop()
    emitted = again.truth.by_nonce()
    broken = [one for one in delivered.values() if one.outcome and one.outcome.broken]
    assert len(broken) >= 8
    assert any(0 < one.tokens < 200 for one in broken)
    for nonce, one in delivered.items():
        assert one.outcome is not None
        assert one.outcome.ordered
        assert one.tokens <= sum(attempt.tokens for attempt in emitted.get(nonce, ()))
