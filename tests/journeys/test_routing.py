"""Each strategy over real sockets, and what goes beside it: other models in a model's place, one
conversation at one target, a tenant's own model before the platform's, where data may go, and an
event when a target is ejected.
"""

import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.fakes.gateway import wait_until
from tests.fakes.provider import refusing_port
from tests.fakes.raw_provider import RawProvider, RawRequest, answer
from tests.fakes.stage import Reply, Stage

EQUALS = ("a", "b")
ANSWER = b"""{"id": "c", "object": "chat.completion", "created": 1, "model": "small", "choices": [
{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}"""


@pytest.fixture(scope="module")
def tardy() -> Iterator[RawProvider]:
    """One that takes its time."""

    def script(connection: socket.socket, _: RawRequest) -> None:
        time.sleep(0.3)
        answer(connection, ANSWER)

    with RawProvider(script) as made:
        yield made


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, tardy: RawProvider) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("routing"), workers=1, role="all")
    closed = f"http://127.0.0.1:{refusing_port()}/v1"
    made.add_provider("closed", closed)
    made.add_provider("away", closed)
    here = {"provider": "simulated"}
    equals = [{**here, "model": name} for name in EQUALS]
    made.add_model("equals", *equals)
    made.add_model("spare", here)
    made.add_model("falls-back", {"provider": "closed"}, fallbacks=["spare"])
    made.add_model("sticky", *equals, cache_affinity=True)
    made.add_provider("tardy", tardy.base_url)
    made.add_model("quick", {"provider": "tardy"}, here, strategy="least_latency")
    made.add_model("cheap", {**here, "model": "dear"}, {**here, "model": "bargain"},
                   strategy="cost_optimized")  # fmt: skip
    made.add_model("in-order", {**here, "model": "b", "priority": 1}, {**here, "model": "a"},
                   strategy="failover")  # fmt: skip
    made.add_model("own", {**here, "model": "platform"})
    made.manifest.setdefault("prices", []).extend(
        {"model": name, "rates": {"input": rate, "output": rate}}
        for name, rate in (("dear", "10"), ("bargain", "1"))
    )
    made.manifest["models"].append(
        {
            "name": "own",
            "tenant": "acme",
            "targets": [{**here, "model": "tenants", "platform": True}],
        }
    )
    made.add_model("ejected", {"provider": "away"}, {**here, "priority": 1})
    made.begin()
    yield made
    made.close()


def targets(stage: Stage, replies: list[Reply]) -> list[str]:
    assert {reply.status for reply in replies} == {200}
    return [stage.row(reply.nonce)["target_model"] for reply in replies]


def test_equals_share(stage: Stage) -> None:
    """Two of one priority take turns."""
    replies = [stage.chat("tokens=1", model="equals") for _ in range(10)]
    assert Counter(targets(stage, replies)) == {"a": 5, "b": 5}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_another_model_answers(stage: Stage, stream: bool) -> None:
    """It is named to the client and in the ledger, which has both attempts."""
    reply = stage.chat("tokens=3", model="falls-back", stream=stream)
    assert (reply.status, reply.headers["x-tollway-model"]) == (200, "spare")
    first, second = stage.rows(reply.nonce, 2)
    assert (first["model"], first["payer"]) == ("falls-back", "failed_over")
    assert (second["model"], second["payer"], second["output"]) == ("spare", "reported", 3)


def test_one_conversation_stays(stage: Stage) -> None:
    """Known by its cache key; another one may be elsewhere."""
    homes = {}
    for key in map(str, range(8)):
        replies = [stage.chat("tokens=1", model="sticky", prompt_cache_key=key) for _ in range(3)]
        (homes[key],) = set(targets(stage, replies))
    assert set(homes.values()) == set(EQUALS)


def test_the_quicker_one(stage: Stage) -> None:
    """Once both are known, nearly all go to the one that answers sooner."""
    replies = [stage.chat("tokens=1", model="quick") for _ in range(20)]
    used = Counter(reply.headers["x-tollway-provider"] for reply in replies)
    assert used["simulated"] >= 16
    assert used["tardy"] >= 1


def test_the_cheaper_one(stage: Stage) -> None:
    """By the price book, whatever the order."""
    replies = [stage.chat("tokens=1", model="cheap") for _ in range(4)]
    assert set(targets(stage, replies)) == {"bargain"}


def test_the_listed_order(stage: Stage) -> None:
    """Whatever the priorities."""
    replies = [stage.chat("tokens=1", model="in-order") for _ in range(4)]
    assert set(targets(stage, replies)) == {"b"}


def test_a_tenants_own_model_comes_before_the_platforms(stage: Stage) -> None:
    """The same name, led elsewhere for this tenant."""
    assert set(targets(stage, [stage.chat("tokens=1", model="own")])) == {"tenants"}


def test_an_ejected_target_is_told(stage: Stage) -> None:
    """After five failures in a row, though every request was answered."""
    replies = [stage.chat("tokens=1", model="ejected") for _ in range(6)]
    assert {reply.status for reply in replies} == {200}
    assert len(stage.rows(replies[-1].nonce, 1)) == 1, "it is asked last now"

    def told() -> list[Any]:
        events = admin(stage, "GET", "/events")["data"]
        return [one["data"] for one in events if one["kind"] == "provider.ejected"]

    wait_until(lambda: told() != [])
    assert {(one["provider"], one["model"], one["cause"]) for one in told()} >= {
        ("away", "small", "refused")
    }


def test_where_a_tenants_data_may_go(stage: Stage) -> None:
    """Set while it runs: with no provider there, nothing is sent anywhere."""
    tenants = admin(stage, "GET", "/tenants")["data"]
    (tenant,) = [one["id"] for one in tenants if one["slug"] == "acme"]
    path = f"/tenants/{tenant}"
    admin(stage, "PATCH", path, {"settings": {"allowed_residency": ["eu"]}})
    wait_until(lambda: stage.chat("tokens=1", model="spare").status == 403)
    reply = stage.chat("tokens=1", model="spare")
    assert reply.error["code"] == "residency_not_allowed"
    assert stage.asked(reply.nonce) == []
    admin(stage, "PATCH", path, {"settings": {"allowed_residency": None}})
    wait_until(lambda: stage.chat("tokens=1", model="spare").status == 200)


def admin(stage: Stage, method: str, path: str, body: object = None) -> Any:
    tree = stage.tree
    asked = Request(
        f"{tree.state['admin_url']}/api/v1{path}",
        None if body is None else json.dumps(body).encode(),
        {
            "authorization": f"Bearer {(tree.data_dir / 'admin.token').read_text().strip()}",
            "content-type": "application/json",
        },
        method=method,
    )
    with urlopen(asked, timeout=10) as answer:
        return json.load(answer)
