"""Kept responses over real sockets, by the official `openai` client: a conversation that goes on by
ids, what can be asked about a response, and that another tenant can do nothing with any id. Two
workers and a provider that keeps things by account.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from tests.fakes.gateway import a_manifest, wait_until
from tests.fakes.provider_kept import Keeper
from tests.fakes.raw_provider import RawProvider
from tests.fakes.stage import Reply, Stage

INVENTED = "resp_" + "Ab0-" * 40


@pytest.fixture(scope="module")
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture(scope="module")
def raw(keeper: Keeper) -> Iterator[RawProvider]:
    with RawProvider(keeper.play) as made:
        yield made


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, raw: RawProvider) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("kept")
    made = Stage(folder, workers=2)
    made.manifest = a_manifest(made.provider.base_url, tenants=("acme", "rival"))
    references = []
    for name in ("one", "two"):
        secret = folder / name
        secret.write_text(f"account-{name}")
        references.append({"reference": f"file:{secret}"})
    made.add_provider("kept", raw.base_url, credentials=references)
    made.add_provider("chats", raw.base_url, translate_responses=True)
    made.begin()
    yield made
    made.close()


def client_of(stage: Stage, key: str) -> OpenAI:
    return OpenAI(base_url=stage.tree.base_url, api_key=key, max_retries=0, timeout=20)


@pytest.fixture(scope="module")
def client(stage: Stage) -> Iterator[OpenAI]:
    with client_of(stage, stage.tree.keys[0]) as made:
        yield made


def asks(nonce: str, **fields: Any) -> dict[str, Any]:
    return {"model": "kept", "input": "hi", "extra_headers": {"x-request-id": nonce}, **fields}


def upstream_ids(keeper: Keeper) -> set[str]:
    return {name for account in keeper.accounts.values() for name in account.responses}


def test_a_conversation_goes_on_by_ids(stage: Stage, client: OpenAI, keeper: Keeper) -> None:
    """Whichever worker is asked, and whichever account made it: the context is there. Each answer
    is billed as reported, once."""
    for turn in range(6):
        first = client.responses.create(**asks(f"k-a{turn}", store=True, input=f"A{turn}"))
        with client.responses.stream(
            **asks(f"k-b{turn}", store=True, input="B", previous_response_id=first.id)
        ) as stream:
            second = stream.get_final_response()
        third = client.responses.create(
            **asks(f"k-c{turn}", input="C", previous_response_id=second.id)
        )
        assert third.output_text == f"A{turn} / B / C"
        assert (second.previous_response_id, third.previous_response_id) == (first.id, second.id)
        for step in "abc":
            row = stage.row(f"k-{step}{turn}")
            assert (row["input"], row["cached_input"], row["output"]) == (10, 20, 7)
            assert (row["payer"], row["endpoint"]) == ("reported", "responses")
    used = [account for account in keeper.accounts.values() if account.responses]
    assert len(used) == 2, "both accounts have been used"
    assert all(len(account.responses) % 2 == 0 for account in used), "pairs stay together"


def test_what_can_be_asked_about_it(stage: Stage, client: OpenAI, keeper: Keeper) -> None:
    """Read, listed, cancelled (which its provider refuses), deleted; then it is gone. Each has a
    row without tokens."""
    made = client.responses.create(**asks("q-make", store=True, input="Q"))

    def named(nonce: str) -> Any:
        return {"extra_headers": {"x-request-id": nonce}}

    found = client.responses.retrieve(made.id, **named("q-get"))
    assert (found.id, found.output_text, found.usage) == (made.id, "Q", made.usage)
    items = client.responses.input_items.list(made.id, limit=5, order="asc", **named("q-items"))
    assert [item.content[0].text for item in items.data] == ["Q"]  # type: ignore[union-attr]
    assert keeper.asked[-1].endswith("/input_items?limit=5&order=asc")
    with pytest.raises(BadRequestError, match=made.id):
        client.responses.cancel(made.id, **named("q-cancel"))
    client.responses.delete(made.id, **named("q-delete"))
    with pytest.raises(NotFoundError, match=made.id):
        client.responses.retrieve(made.id, **named("q-gone"))
    with pytest.raises(BadRequestError, match=made.id):
        client.responses.create(**asks("q-on", previous_response_id=made.id))
    for nonce, endpoint, status in (
        ("q-get", "responses_get", 200),
        ("q-items", "responses_input_items", 200),
        ("q-cancel", "responses_cancel", 400),
        ("q-delete", "responses_delete", 200),
        ("q-gone", "responses_get", 404),
        ("q-on", "responses", 400),
    ):
        row = stage.row(nonce)
        assert (row["endpoint"], row["status"]) == (endpoint, status)
        assert (row["input"], row["output"], row["model"]) == (0, 0, "kept")


def test_by_default_nothing_is_kept(client: OpenAI, keeper: Keeper) -> None:
    """OpenAI would; here it must be said."""
    before = upstream_ids(keeper)
    made = client.responses.create(**asks("d-default"))
    assert made.store is False
    assert upstream_ids(keeper) == before
    with pytest.raises(NotFoundError):
        client.responses.retrieve(made.id)


def test_no_word_of_the_provider_gets_out(stage: Stage, keeper: Keeper) -> None:
    """Its own id stands in no answer, no stream and no refusal."""
    body = {"model": "kept", "input": "x", "store": True}
    whole = stage.post("/v1/responses", body)
    name = json.loads(whole.body)["id"]
    streamed = stage.post("/v1/responses", {**body, "stream": True, "previous_response_id": name})
    path = f"/v1/responses/{name}"
    answers = [
        whole,
        streamed,
        stage.get(path),
        stage.get(f"{path}/input_items"),
        stage.post(f"{path}/cancel", b""),
        stage.send("DELETE", path, None),
        stage.get(path),
    ]
    assert [one.status for one in answers] == [200, 200, 200, 200, 400, 200, 404]
    digits = [name.removeprefix("resp_") for name in upstream_ids(keeper)] + ["00000000000000"]
    for one in answers:
        assert not any(each.encode() in one.body for each in digits)


def test_refused_by_name(stage: Stage, client: OpenAI) -> None:
    """What is not done, and who cannot keep anything."""
    made = client.responses.create(**asks("n-make", store=True))
    for fields, param in (
        ({"conversation": "conv_1"}, "conversation"),
        ({"model": "chats", "background": True}, "background"),
        ({"background": True, "store": False}, "store"),
        ({"model": "chats", "store": True}, "store"),
        ({"model": "small", "previous_response_id": made.id}, "previous_response_id"),
    ):
        with pytest.raises(BadRequestError) as refused:
            client.responses.create(**asks("n-refused", **fields))
        assert refused.value.param == param
    reply = stage.get(f"/v1/responses/{made.id}?stream=yes")
    assert (reply.status, reply.error["param"]) == (400, "stream")
    reply = stage.get(f"/v1/responses/{made.id}?stream=true")  # its provider does not stream it
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert stage.post(f"/v1/responses/{made.id}", {}).status == 404
    assert stage.send("PUT", f"/v1/responses/{made.id}", None).status == 404


WAYS = [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")]


def alike(stage: Stage, key: str, ask: Any, name: str) -> Reply:
    """An answer about somebody else's id: but for the id, it is that of one that never was."""
    theirs, nobodys = ask(name, key), ask(INVENTED, key)
    assert theirs.status == nobodys.status
    shown = theirs.body.replace(name[:256].encode(), b"ID")
    assert shown == nobodys.body.replace(INVENTED[:256].encode(), b"ID")
    for header in theirs.headers.keys() | nobodys.headers.keys():
        if header not in ("date", "x-request-id", "content-length"):
            assert theirs.headers.get(header) == nobodys.headers.get(header)
    found: Reply = theirs
    return found


def test_another_tenant_can_do_nothing_with_an_id(
    stage: Stage, client: OpenAI, keeper: Keeper
) -> None:
    """The table: every operation, every spelling, and the id as the provider has it. The provider
    is not asked, and the owner finds everything as it was."""
    mine = client.responses.create(**asks("i-make", store=True, input="secret"))
    rival = stage.tree.keys[1]
    upstream = sorted(upstream_ids(keeper))
    asked = len(keeper.asked)
    spellings = [
        mine.id,
        mine.id[:-1],
        mine.id + "A",
        mine.id.swapcase(),
        mine.id + "/../" + mine.id,
        mine.id.replace("resp_", "resp%5f"),
        upstream[-1],
        "..",
        "%2e%2e",
        "resp_" + "A" * 3000,
    ]
    for method, suffix in WAYS:

        def ask(name: str, key: str, method: str = method, suffix: str = suffix) -> Reply:
            return stage.send(method, f"/v1/responses/{name}{suffix}", None, key=key)

        assert alike(stage, rival, ask, mine.id).status == 404
        for key in stage.tree.keys:
            for name in spellings:
                if (name, key) != (mine.id, stage.tree.keys[0]):
                    assert ask(name, key).status == 404, (method, suffix, name)

    def go_on(name: str, key: str) -> Reply:
        body = {"model": "kept", "input": "what did I say?", "previous_response_id": name}
        return stage.post("/v1/responses", body, key=key)

    reply = alike(stage, rival, go_on, mine.id)
    assert (reply.status, reply.error["code"]) == (404, "previous_response_not_found")
    assert reply.error["param"] == "previous_response_id"
    for name in spellings[1:]:
        assert go_on(name, rival).error["code"] == "previous_response_not_found"
    assert len(keeper.asked) == asked
    assert client.responses.retrieve(mine.id).output_text == "secret"


def test_an_item_of_another_tenant_is_not_named(
    stage: Stage, keeper: Keeper, raw: RawProvider
) -> None:
    """Ids of items go out as the tenant's own: the provider cannot know them as another's."""
    items = [
        {"type": "reasoning", "id": "rs_of_acme", "summary": []},
        {"role": "assistant", "id": "msg_of_acme", "content": "x"},
    ]
    sent = []
    for key in stage.tree.keys:
        body = {"model": "kept", "input": items, "store": True}
        assert stage.post("/v1/responses", body, key=key).status == 200
        sent.append([item["id"] for item in json.loads(raw.requests[-1].body)["input"]])
    assert [[name.partition("_")[0] for name in names] for names in sent] == [["rs", "msg"]] * 2
    assert len({name for names in sent for name in names}) == 4
    assert not any("acme" in name for names in sent for name in names)


def test_killed_in_a_stream(stage: Stage, client: OpenAI, keeper: Keeper) -> None:
    """What was delivered is billed, once, and the id that came first leads to what its provider
    made of the answer. Reading it is no second bill."""
    body = {"model": "kept", "input": "hang", "store": True, "stream": True}
    fields = {
        "authorization": f"Bearer {stage.tree.key}",
        "content-type": "application/json",
        "x-request-id": "killed",
    }
    before = upstream_ids(keeper)
    connection = stage.connect()
    connection.request("POST", "/v1/responses", json.dumps(body), fields)
    response = connection.getresponse()
    events = [json.loads(line[6:]) for line in read_lines(response, 4) if line[:6] == b"data: "]
    for index in range(2):
        stage.tree.kill_worker(index)
    keeper.released.set()
    connection.close()
    row = stage.row("killed")
    assert (row["outcome"], row["usage_source"]) == ("killed", "estimated")
    assert row["output"] >= sum(event["type"].endswith(".delta") for event in events)
    name = events[0]["response"]["id"]
    assert len(upstream_ids(keeper) - before) == 1
    wait_until(lambda: stage.get("/v1/me").status == 200, 30)
    found = client.responses.retrieve(name, extra_headers={"x-request-id": "killed-get"})
    assert found.output_text == "hang"
    assert stage.row("killed-get")["output"] == 0
    assert len(stage.rows("killed")) == 1


def read_lines(response: Any, deltas: int) -> list[bytes]:
    """Lines of a stream until so many deltas have come."""
    lines: list[bytes] = []
    while sum(line.endswith(b".delta\n") for line in lines) < deltas or lines[-1] != b"\n":
        lines.append(response.readline())
        assert lines[-1], "it ended"
    return lines


def test_an_id_survives_a_restart(stage: Stage, client: OpenAI) -> None:
    """New processes open what the old ones sealed: last, since it restarts the gateway."""
    made = client.responses.create(**asks("s-make", store=True, input="S"))
    assert stage.tree.stop() == 0
    stage.tree.start()
    with client_of(stage, stage.tree.keys[0]) as again:
        assert again.responses.retrieve(made.id).output_text == "S"
        more = again.responses.create(**asks("s-on", input="T", previous_response_id=made.id))
    assert more.output_text == "S / T"
