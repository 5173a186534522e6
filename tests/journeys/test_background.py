"""Answers in the background over real processes, by the official `openai` client: whoever leaves or
dies meanwhile, each is booked once with what it has used, and nothing stays held.
"""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import APIStatusError, NotFoundError, OpenAI

from tests.fakes.gateway import a_manifest, wait_until
from tests.fakes.limits import set_quotas
from tests.fakes.provider_background import Maker
from tests.fakes.quotas import quota
from tests.fakes.raw_provider import RawProvider
from tests.fakes.stage import Stage

COUNTED = {"input": 10, "cached_input": 20, "output": 7, "reasoning": 5}


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Maker]]:
    """For those that end nothing."""
    with opened(tmp_path_factory.mktemp("background")) as made:
        yield made


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[tuple[Stage, Maker]]:
    """For those that do: a gateway of its own."""
    with opened(tmp_path) as made:
        yield made


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Stage, Maker]]:
    """A gateway and a provider; at the end the ledger agrees with itself, and with counters."""
    maker, raw = Maker(), RawProvider()
    raw.script = maker.play
    # A tenant that is alone has half of the places.
    made = Stage(folder, workers=1, drain_timeout_s=2, background_answers=8)
    made.manifest = a_manifest(made.provider.base_url, tenants=("acme", "rival"))
    secret = folder / "secret"
    secret.write_text("account")
    made.add_provider("maker", raw.base_url, credentials=[{"reference": f"file:{secret}"}])
    made.begin()
    try:
        limit(made)
        yield made, maker
        verify(made)
    finally:
        for job in maker.jobs.values():
            job.ended.set()
        made.close()
        raw.stop()


def verify(stage: Stage) -> None:
    """Ledger, roll-ups and the counters of limits agree."""
    assert "agrees with itself" in stage.tree.run("ledger", "verify")


def limit(stage: Stage) -> None:
    """Four requests at a time, and many tokens: both are counted."""
    [row] = stage.tree.sql("SELECT tenant_id FROM api_keys WHERE name = 'acme-key'")
    tenant = {"tenant_id": row["tenant_id"]}
    set_quotas(
        str(stage.tree.data_dir / "tollway.db"),
        quota(4, "concurrency", "none", **tenant),
        quota(100_000, "tokens", "day", **tenant),
    )
    wait_until(lambda: b'"concurrency"' in stage.get("/v1/me/usage").body)


def client_of(stage: Stage, key: str | None = None) -> OpenAI:
    key = stage.tree.keys[0] if key is None else key
    return OpenAI(base_url=stage.tree.base_url, api_key=key, max_retries=0, timeout=20)


def begin(stage: Stage, said: str, **fields: Any) -> Any:
    """An answer in the background, as the client has it at once."""
    with client_of(stage) as client:
        return client.responses.create(
            model="maker",
            input=said,
            background=True,
            extra_headers={"x-request-id": said},
            **fields,
        )


def now(stage: Stage, name: str) -> Any:
    with client_of(stage) as client:
        return client.responses.retrieve(name)


def total(rows: list[dict[str, Any]]) -> dict[str, int]:
    """What an attempt's rows add up to."""
    return {name: sum(row[name] or 0 for row in rows) for name in COUNTED}


def notes(stage: Stage) -> list[Path]:
    return list((stage.tree.data_dir / "background").glob("*"))


def test_it_is_polled_until_it_is_made(lasting: tuple[Stage, Maker]) -> None:
    """What runs holds its place until it is made; then it is booked as counted, once."""
    stage, maker = lasting
    made = begin(stage, "slowly")
    assert made.status == "in_progress"
    assert now(stage, made.id).status == "queued"
    others = ["beside", "behind", "below"]
    for said in others:
        begin(stage, said)
    with pytest.raises(APIStatusError) as refused:
        begin(stage, "another")
    assert (refused.value.status_code, refused.value.code) == (503, "background_full")
    with pytest.raises(APIStatusError) as limited:
        now(stage, made.id)
    assert limited.value.status_code == 429, "what runs is counted"
    for said in ("slowly", *others):
        maker.jobs[said].end()
        row = stage.row(said)
        assert total([row]) == COUNTED
        assert (row["payer"], row["outcome"], row["stream"]) == ("reported", "finished", 1)
    assert now(stage, made.id).output_text == "slowly"
    wait_until(lambda: not notes(stage))
    assert begin(stage, "another").status == "in_progress"
    maker.jobs["another"].end()
    stage.row("another")


def test_a_reader_leaves(lasting: tuple[Stage, Maker]) -> None:
    """In the middle of its stream: the answer is made all the same, and can be read."""
    stage, maker = lasting
    with client_of(stage) as client:
        stream = client.responses.create(
            model="maker",
            input="leaving",
            background=True,
            stream=True,
            extra_headers={"x-request-id": "leaving"},
        )
        events = [next(stream) for _ in range(6)]
        stream.close()
    assert events[-1].type == "response.output_text.delta"
    maker.jobs["leaving"].end()
    row = stage.row("leaving")
    assert (total([row]), row["payer"]) == (COUNTED, "reported")
    with client_of(stage) as client:
        last = events[-1].sequence_number
        again = client.responses.retrieve(
            events[0].response.id,
            stream=True,
            starting_after=last,
            extra_headers={"x-request-id": "resumed"},
        )
        rest = list(again)
    assert rest[0].sequence_number == last + 1
    said = [*events, *rest]
    words = [one.delta for one in said if one.type == "response.output_text.delta"]
    assert "".join(words) == "leaving"
    assert rest[-1].response.id == events[0].response.id
    assert total([stage.row("resumed")]) == dict.fromkeys(COUNTED, 0)
    assert now(stage, events[0].response.id).output_text == "leaving"


def test_as_json(lasting: tuple[Stage, Maker]) -> None:
    """A provider that does not stream is asked until it is done."""
    stage, maker = lasting
    maker.streams = False
    made = begin(stage, "whole")
    maker.streams = True
    assert made.status == "queued"
    wait_until(lambda: maker.of("whole").count("GET /v1/responses/ID") > 0)
    maker.jobs["whole"].end()
    row = stage.row("whole")
    assert (total([row]), row["payer"]) == (COUNTED, "reported")


def test_cancelled(lasting: tuple[Stage, Maker]) -> None:
    """By the client: passed on, and what was counted is booked once."""
    stage, maker = lasting
    made = begin(stage, "stop")
    with client_of(stage) as client:
        assert client.responses.cancel(made.id).status == "cancelled"
    row = stage.row("stop")
    assert (total([row]), row["payer"], row["outcome"]) == (COUNTED, "reported", "finished")
    assert maker.of("stop").count("POST /v1/responses/ID/cancel") == 1


def test_killed(mortal: tuple[Stage, Maker]) -> None:
    """What was known is booked at once, nothing stays held, and what it has used comes later,
    once; counters have heard of it."""
    stage, maker = mortal
    made = begin(stage, "killed")
    pid = stage.tree.kill_worker()
    row = stage.row("killed")
    assert (row["payer"], row["usage_source"]) == ("killed", "estimated")
    assert row["output"] >= len("killed")
    wait_until(lambda: stage.tree.worker_pids not in ([], [pid]))
    wait_until(lambda: stage.get("/v1/me").status == 200)
    wait_until(lambda: maker.of("killed").count("GET /v1/responses/ID") > 0)
    others = ["one", "two", "three", "four"]
    for said in others:  # no place is held by what nobody reads
        assert begin(stage, said).status == "in_progress"
    for said in others:
        maker.jobs[said].end()
        stage.row(said)
    verify(stage)
    maker.jobs["killed"].end()
    rows = stage.rows("killed", 2)
    assert total(rows) == COUNTED
    assert [row["kind"] for row in rows] == ["usage", "correction"]
    assert rows[1]["usage_source"] == "provider"
    wait_until(lambda: not notes(stage))
    verify(stage)
    used = json.loads(stage.get("/v1/me/usage").body)
    assert str(5 * sum(COUNTED.values())) in json.dumps(used), used
    assert now(stage, made.id).output_text == "killed"


def test_killed_with_all_processes(mortal: tuple[Stage, Maker]) -> None:
    """Whoever is started next goes on with it, also when it is made by then."""
    stage, maker = mortal
    begin(stage, "all")
    stage.tree.kill_all()
    maker.jobs["all"].end()
    stage.tree.start()
    rows = stage.rows("all", 2)
    assert total(rows) == COUNTED
    wait_until(lambda: not notes(stage))


def test_drained(mortal: tuple[Stage, Maker]) -> None:
    """A gateway waits no longer than for any answer, and the next one follows it."""
    stage, maker = mortal
    begin(stage, "drained")
    begin(stage, "in time")
    stage.tree.signal(signal.SIGTERM)
    maker.jobs["in time"].end()
    assert stage.tree.wait(30) == 0
    assert [row["payer"] for row in stage.rows("drained")] == ["cut"]
    assert (total(stage.rows("in time")), len(notes(stage))) == (COUNTED, 1)
    stage.tree.start()
    maker.jobs["drained"].end()
    assert total(stage.rows("drained", 2)) == COUNTED
    wait_until(lambda: not notes(stage))


def test_another_tenant_finds_nothing(lasting: tuple[Stage, Maker]) -> None:
    """Neither while it runs nor later; the provider is not asked."""
    stage, maker = lasting
    made = begin(stage, "mine")
    with client_of(stage, stage.tree.keys[1]) as rival:
        for ask in (rival.responses.retrieve, rival.responses.cancel, rival.responses.delete):
            with pytest.raises(NotFoundError):
                ask(made.id)
    assert not maker.of("mine")
    maker.jobs["mine"].end()
    assert total([stage.row("mine")]) == COUNTED
