"""The simulated provider's faults at each point of an answer, as the outbound client tells them."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from tests.fakes.provider import ProviderProcess
from tests.unit.adapters.http.scripted import Client, Sink, client, provider
from tollway.domain.failure import Failure

POINTS = ("head", "first", "2", "done", "end")
PHASES = ("headers", "first_event", "body", "body", "body")  # of a fault at each of the points
CUTS = {"reset": "reset", "fin": "reset", "garbage": "protocol", "stall": "timeout"}
STREAMS = {
    (fault, at): (p, c) for fault, c in CUTS.items() for at, p in zip(POINTS, PHASES, strict=True)
}
# Framed as a stream's: before the head they are no HTTP; after it they are no progress.
STREAMS |= {(fault, "head"): ("headers", "protocol") for fault in ("comments", "error_event")}
STREAMS |= {("comments", at): (p, "timeout") for at, p in zip(POINTS[1:], PHASES[1:], strict=True)}
STREAMS |= {(fault, ""): ("headers", "protocol") for fault in ("gzip", "te_and_cl")}
STREAMS |= {(fault, ""): ("headers", "protocol") for fault in ("huge_header", "many_headers")}
STREAMS |= {("length_long", ""): ("body", "timeout")}
COMPLETE = (
    "",
    "second",
    "trailers",
    "length_short",
    "close_delimited",
    "http10",
    "dribble",
    "crlf",
)
WHOLE = {
    (fault, at): (p, c)
    for fault, c in CUTS.items()
    for at, p in zip(POINTS[:2], PHASES[:2], strict=True)
}
# What is not HTTP is within an announced length the body's; then the rest of that never comes.
WHOLE |= {("garbage", "first"): ("first_event", "timeout")}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProviderProcess]:
    process = ProviderProcess(tmp_path_factory.mktemp("truth") / "truth.jsonl")
    yield process
    process.stop()


async def ask(http: Client, url: str, fault: str, at: str, *, stream: bool) -> Failure | None:
    def progress(sink: Sink, data: bytes) -> None:
        if stream and b"data:" in data:
            sink.flow.progress()

    prompt = f"hi [[fault={fault} at={at} tokens=4 size=99999]]" if fault else "hi [[tokens=4]]"
    asked = {"model": "small", "stream": stream, "messages": [{"role": "user", "content": prompt}]}
    body = json.dumps(asked).encode()
    # A provider record for each fault: its connections serve nobody else.
    to = provider(url, id=f"prv_{fault}{at}{stream}")
    failure, sink = await http.ask(to, Sink(on_data=progress), body=body, stream=stream)
    assert b"injected" not in sink.body
    return failure


@pytest.mark.parametrize("stream", [True, False])
async def test_each_fault_at_each_point(simulated: ProviderProcess, stream: bool) -> None:
    """G-60: each has its phase and its cause, and its connection is closed; the calls beside it do
    not notice."""
    expected = STREAMS if stream else WHOLE
    limits = {f"{name}_timeout_s": 0.4 for name in ("headers", "first_token", "idle")}
    async with client(**limits) as http:
        url = simulated.base_url
        failed = [ask(http, url, fault, at, stream=stream) for fault, at in expected]
        complete = [ask(http, url, fault, "", stream=stream) for fault in COMPLETE]
        outcomes = await asyncio.gather(*failed, *complete)
        told = [one and (one.phase.value, one.cause.value) for one in outcomes]
        assert dict(zip(expected, told, strict=False)) == expected
        assert told[len(expected) :] == [None] * len(COMPLETE)
        kept = {"", "trailers", "dribble", "crlf"}
        assert http.http.open_connections == len(kept)
