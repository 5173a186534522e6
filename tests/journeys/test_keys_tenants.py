"""Tenants cannot see each other: what one owns is to the others exactly as if it did not exist."""

import json
from collections.abc import Iterator

import pytest

from tests.fakes.raw_provider import RawProvider, answer
from tests.fakes.stage import Reply, Stage

CHAT = "/v1/chat/completions"
ABSENT = "no-such"  # as long as the name it is compared with
OWN = "private"


@pytest.fixture(scope="module")
def raw() -> Iterator[RawProvider]:
    with RawProvider(lambda connection, _: answer(connection, b'{"choices": []}')) as made:
        yield made


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, raw: RawProvider) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("tenants"))
    made.manifest["tenants"] += [{"slug": "beta"}, {"slug": "closed", "models": "listed"}]
    for slug in ("beta", "closed"):
        made.manifest["keys"].append({"name": slug, "tenant": slug})
    made.add_provider("raw", raw.base_url)
    # Acme's own model of a platform model's name, and one that only acme has.
    made.add_model("small", {"provider": "simulated", "model": "large"}, tenant="acme")
    made.add_model(OWN, {"provider": "simulated"}, tenant="acme")
    made.begin()
    yield made
    made.close()


@pytest.fixture
def keys(stage: Stage) -> dict[str, str]:
    return dict(zip(("acme", "beta", "closed"), stage.tree.keys, strict=True))


def names(reply: Reply) -> list[str]:
    return [model["id"] for model in json.loads(reply.body)["data"]]


def test_what_each_tenant_lists(stage: Stage, keys: dict[str, str]) -> None:
    """Its own models and the platform's; one name once; a closed tenant only what is its own."""
    listed = {slug: names(stage.get("/v1/models", key=key)) for slug, key in keys.items()}
    assert listed == {"acme": [OWN, "raw", "small"], "beta": ["raw", "small"], "closed": []}


def test_a_tenants_model_shadows_the_platforms(stage: Stage, keys: dict[str, str]) -> None:
    """The same name leads acme to its own target and beta to the platform's."""
    asked = {
        slug: stage.post(
            CHAT,
            {"model": "small", "messages": [{"role": "user", "content": "[[tokens=2]]"}]},
            key=keys[slug],
        )
        for slug in ("acme", "beta")
    }
    rows = {slug: stage.row(reply.nonce) for slug, reply in asked.items()}
    assert {slug: row["target_model"] for slug, row in rows.items()} == {
        "acme": "large",
        "beta": "small",
    }
    assert rows["acme"]["model_id"] != rows["beta"]["model_id"]
    assert rows["acme"]["tenant_id"] != rows["beta"]["tenant_id"]


@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/v1/embeddings", "/v1/models/"])
def test_anothers_model_is_absent(stage: Stage, keys: dict[str, str], path: str) -> None:
    """Status, headers and body are those of a name that nobody has, to the byte."""

    def ask(slug: str, model: str) -> Reply:
        if path == "/v1/models/":
            return stage.get(path + model, key=keys[slug])
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        return stage.post(path, {**body, "prompt": "hi", "input": "hi"}, key=keys[slug])

    before = len(stage.truth.requests)
    for slug, hidden in [("beta", OWN), ("closed", OWN), ("closed", "small")]:
        absent_name = ABSENT[: len(hidden)]
        theirs, absent = ask(slug, hidden), ask(slug, absent_name)
        assert theirs.status == absent.status == 404
        assert theirs.body == absent.body.replace(absent_name.encode(), hidden.encode())
        changing = ("date", "x-request-id")
        assert {name: value for name, value in theirs.headers.items() if name not in changing} == {
            name: value for name, value in absent.headers.items() if name not in changing
        }
    assert len(stage.truth.requests) == before


def test_nothing_of_the_caller_reaches_a_provider(
    stage: Stage, keys: dict[str, str], raw: RawProvider
) -> None:
    """Keys, organisations, cookies and addresses stay here; end users of two tenants never meet."""
    users = []
    for slug in ("acme", "beta"):
        reply = stage.post(
            CHAT,
            {"model": "raw", "messages": [], "user": "alice", "safety_identifier": "alice"},
            key=keys[slug],
            openai_organization="org",
            cookie="a=b",
            x_forwarded_for="1.2.3.4",
            x_tollway_tags="a=b",
            openai_beta="assistants=v2",
        )
        assert reply.status == 200
        request = raw.requests[-1]
        sent = {line.partition(b":")[0] for line in request.head.lower().split(b"\r\n")[1:]}
        assert sent - {b""} == {
            b"host",
            b"user-agent",
            b"accept-encoding",
            b"accept",
            b"content-type",
            b"content-length",
            b"openai-beta",
        }
        users.append(json.loads(request.body)["user"])
        assert json.loads(request.body)["safety_identifier"] == users[-1]
    assert len(set(users)) == 2
