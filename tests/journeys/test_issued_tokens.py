"""A JWT of a real identity provider opens the gateway for the tenant it is configured for."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.fakes.openid import AUDIENCE, MACHINE_ID, OpenIdServer, running_provider
from tests.fakes.stage import Stage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[OpenIdServer]:
    with running_provider() as running:
        yield running


@pytest.fixture(scope="module")
def stage(server: OpenIdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("jwt")
    (folder / "tollway.toml").write_text(
        f'[[jwt]]\nissuer = "{server.issuer}"\naudiences = ["{AUDIENCE}"]\ntenant = "acme"\n'
    )
    made = Stage(folder, workers=2, role="all")
    made.begin()
    yield made
    made.close()


def chat(stage: Stage, token: str, *, stream: bool = False) -> tuple[int, str]:
    """What a request with this credential gets, and its nonce."""
    nonce = f"j{time.monotonic_ns()}"
    messages = [{"role": "user", "content": f"hi [[id={nonce} tokens=3]]"}]
    body = {"model": "small", "messages": messages, "stream": stream}
    reply = stage.post("/v1/chat/completions", body, key=token, nonce=nonce)
    return reply.status, nonce


def test_a_machines_token_opens_the_gateway(server: OpenIdServer, stage: Stage) -> None:
    """Streamed and not, on both workers; the rows are the tenant's, with the subject, once each."""
    token = server.machine_token()
    nonces = []
    for number in range(8):
        status, nonce = chat(stage, token, stream=number % 2 == 1)
        assert status == 200
        nonces.append(nonce)
    stage.tree.wait_for_entries(8)
    tenant_id = stage.tree.sql("SELECT id FROM tenants")[0]["id"]
    rows = [row for row in stage.tree.ledger() if row["client_request_id"] in nonces]
    assert len(rows) == 8
    assert {row["tenant_id"] for row in rows} == {tenant_id}
    assert {row["end_user"] for row in rows} == {MACHINE_ID}
    assert len({row["key_id"] for row in rows}) == 1
    listed = json.loads(stage.get("/v1/models", key=token).body)
    assert [model["id"] for model in listed["data"]] == ["small"]


def test_what_is_no_token_of_theirs_is_401(server: OpenIdServer, stage: Stage) -> None:
    """Changed in one letter, or cut; and the provider is not asked."""
    token = server.machine_token()
    head, body, signature = token.split(".")
    before = len(stage.truth.requests)
    swapped = "A" if signature[10] != "A" else "B"
    for wrong in (
        f"{head}.{body}.{signature[:10]}{swapped}{signature[11:]}",
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{body}.{head}.{signature}",
    ):
        reply = stage.post("/v1/chat/completions", {"model": "small", "messages": []}, key=wrong)
        assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
    assert len(stage.truth.requests) == before


def test_a_deactivated_tenant_is_refused_within_a_second(
    server: OpenIdServer, stage: Stage
) -> None:
    """Though the token stays good; and served again when it is active again."""
    token = server.machine_token()
    assert chat(stage, token)[0] == 200
    stage.tree.run("tenants", "deactivate", "acme")
    assert {chat(stage, token)[0] for _ in range(6)} == {403}
    stage.tree.run("tenants", "activate", "acme")
    assert {chat(stage, token)[0] for _ in range(6)} == {200}
