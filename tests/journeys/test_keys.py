"""Who may ask: keys that are wrong, early, late, revoked or narrow, over raw sockets on two workers
(table A of the attack list). A refusal costs a provider nothing and says nothing about why.
"""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.fakes.gateway import wait_until
from tests.fakes.stage import Reply, Stage
from tollway.app.admin.commands.keys import revoke_key
from tollway.cli.data_dir import prepare_data_dir
from tollway.cli.session import publish_if_running
from tollway.config import Settings, from_values
from tollway.domain.key import make_key
from tollway.domain.result import Ok
from tollway.wiring.desk import open_desk

CHAT = "/v1/chat/completions"
BODY = {"model": "small", "messages": [{"role": "user", "content": "hi [[tokens=1]]"}]}
WRONG = "The API key is not valid. Check that it was copied whole."


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("keys"), workers=2)
    narrow: dict[str, dict[str, Any]] = {
        "early": {"not_before": "2999-01-01T00:00:00Z"},
        "nudged": {},
        "polled": {},
        "no-chat": {"endpoints": ["embeddings", "models"]},
        "no-models": {"models": []},
        "elsewhere": {"ip_allow": ["10.0.0.0/8", "2001:db8::/32"]},
        "here": {"ip_allow": ["127.0.0.0/8", "::1/128"]},
    }
    for name, fields in narrow.items():
        made.manifest["keys"].append({"name": name, "tenant": "acme", **fields})
    made.begin()
    yield made
    made.close()


@pytest.fixture
def key(stage: Stage) -> Callable[[str], str]:
    names = [entry["name"] for entry in stage.manifest["keys"]]
    return lambda name: stage.tree.keys[names.index(name)]


def settings_of(stage: Stage) -> Settings:
    """As a command of the same data directory has them."""
    return prepare_data_dir(from_values({"data_dir": str(stage.tree.data_dir)})).settings


def everywhere(stage: Stage, key: str, **headers: str) -> list[Reply]:
    """What this key gets from each endpoint."""
    return [
        stage.post(CHAT, BODY, key=key, **headers),
        stage.post("/v1/completions", {"model": "small", "prompt": "hi"}, key=key, **headers),
        stage.post("/v1/embeddings", {"model": "small", "input": "hi"}, key=key, **headers),
        stage.get("/v1/models", key=key, **headers),
        stage.get("/v1/models/small", key=key, **headers),
    ]


def test_keys_that_open_nothing(stage: Stage, key: Callable[[str], str]) -> None:
    """No key, a wrong checksum, an unknown id, a wrong secret, no text at all, too early: 401 on
    every endpoint, one message for all that are not simply absent, and nothing behind it."""
    good = stage.tree.key
    _, unknown = make_key("live", bytes(range(41)))
    prefix, key_id = good.split("_")[1:3]
    _, other = make_key(prefix, bytes(range(100, 141)))
    mixed = other.replace(other.split("_")[2], key_id)  # the checksum does not fit any more
    before = len(stage.truth.requests)
    for text in (
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        good.upper(),
        good + "x",
        good[:20],
        unknown,
        mixed,
        "' OR 1=1 --",
        "x" * 20_000,
        "\xfc\xff",
        key("early"),
        stage.tree.key.replace("tw_", "sk-"),
    ):
        for reply in everywhere(stage, text):
            assert (reply.status, reply.error["code"]) == (401, "invalid_api_key"), text
            assert reply.error["message"] == WRONG
            assert reply.headers["www-authenticate"] == "Bearer"
    for reply in everywhere(stage, ""):
        assert (reply.status, reply.error["code"]) == (401, "missing_api_key")
    assert len(stage.truth.requests) == before


def test_how_a_key_may_be_sent(stage: Stage) -> None:
    """In either header; in both if they agree; never in the URL, whose text is not logged."""
    good = stage.tree.key
    assert stage.get("/v1/models", key="", x_api_key=good).status == 200
    assert stage.get("/v1/models", x_api_key=good).status == 200
    assert stage.get("/v1/models", x_api_key="other").status == 400
    assert stage.get("/v1/models", key="", authorization=f"bearer  {good}").status == 200
    assert stage.get("/v1/models", key="", authorization=f"Basic {good}").status == 401
    before = len(stage.truth.requests)
    for query in (f"key={good}", f"x=1&api_key={good}", good):
        assert stage.get(f"/v1/models?{query}").error["code"] == "key_in_url"
        assert stage.post(f"{CHAT}?{query}", BODY).error["code"] == "key_in_url"
    assert len(stage.truth.requests) == before
    assert good not in stage.tree.log.read_text()


def test_a_head_too_large_for_a_key(stage: Stage) -> None:
    """64 KiB of bearer end at the header cap."""
    assert stage.get("/v1/models", key="x" * 65_536).status == 431


def test_narrow_keys(stage: Stage, key: Callable[[str], str]) -> None:
    """Endpoints and addresses outside a key's scope are 403, models outside it do not exist."""
    statuses = {
        name: [reply.status for reply in everywhere(stage, key(name))]
        for name in ("no-chat", "no-models", "elsewhere", "here")
    }
    assert statuses == {
        "no-chat": [403, 403, 200, 200, 200],
        "no-models": [404, 404, 404, 200, 404],
        "elsewhere": [403] * 5,
        "here": [200] * 5,
    }
    assert json.loads(stage.get("/v1/models", key=key("no-models")).body)["data"] == []
    for headers in ({"x_api_key": key("no-chat")}, {"x_forwarded_for": "10.0.0.1"}):
        given = "" if "x_api_key" in headers else key("elsewhere")
        assert stage.post(CHAT, BODY, key=given, **headers).status == 403


def test_a_key_ends_at_its_time(stage: Stage) -> None:
    """Made on a running gateway it is valid at once, then 401 by the server's clock, with nothing
    published in between."""
    soon = datetime.now(UTC) + timedelta(seconds=6)
    entry = {"name": "brief", "tenant": "acme", "expires_at": soon.isoformat()}
    stage.tree.apply({"keys": [entry]})
    brief, ends = stage.tree.keys[-1], int(soon.timestamp())
    assert stage.get("/v1/models", key=brief).status == 200
    assert time.time() < ends
    wait_until(lambda: stage.get("/v1/models", key=brief).status == 401)
    assert ends <= time.time() < ends + 1
    assert all(stage.get("/v1/models", key=brief).status == 401 for _ in range(20))
    with (
        OpenAI(base_url=stage.tree.base_url, api_key=brief) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()


@pytest.mark.parametrize("name", ["nudged", "polled"])
def test_a_revoked_key_is_401_within_a_second(
    stage: Stage, key: Callable[[str], str], name: str
) -> None:
    """On every worker, on connections that are already open too, whether the writer publishes or
    the keeper finds the new version itself."""
    revoked = key(name)
    kept = [stage.connect() for _ in range(16)]  # of both workers

    def statuses() -> set[int]:
        found = set()
        for connection in kept:
            connection.request("GET", "/v1/models", headers={"x-api-key": revoked})
            with connection.getresponse() as response:
                response.read()
                found.add(response.status)
        return found

    try:
        assert statuses() == {200}
        (row,) = stage.tree.sql("SELECT id, tenant_id FROM api_keys WHERE name = ?", (name,))
        settings = settings_of(stage)
        with open_desk(settings) as desk, desk.configuration.begin() as uow:
            assert isinstance(revoke_key(desk.work(uow), row["tenant_id"], row["id"]), Ok)
            uow.commit()
        began = time.monotonic()
        if name == "nudged":
            assert publish_if_running(settings)
            assert statuses() == {401}  # at once: publishing answers when workers serve it
        wait_until(lambda: statuses() == {401}, 2)
        assert time.monotonic() - began < 1
        assert stage.get("/v1/models").status == 200
    finally:
        for connection in kept:
            connection.close()


def test_the_tenant_is_the_keys(stage: Stage) -> None:
    """Headers and fields that name another tenant change nothing."""
    (tenant,) = stage.tree.sql("SELECT id FROM tenants WHERE slug = 'acme'")
    reply = stage.post(
        CHAT,
        {**BODY, "user": "other"},
        x_tenant="other",
        x_tollway_tenant="other",
        openai_organization="other",
        openai_project="other",
    )
    assert reply.status == 200
    assert stage.row(reply.nonce)["tenant_id"] == tenant["id"]
