"""`/explain`: what travels to a gateway, and what of the answer whoever asks may see."""

import json

import pytest

from tests.fakes.control_plane import FakeExplainer
from tests.fakes.world import build
from tollway.app.ports_admin import RequestToExplain

REQUEST = {"model": "m", "messages": []}


def limit(scope, owner, **changes):
    """A limit as a gateway tells of it."""
    return {
        "id": f"quo_{scope}",
        "owner": owner,
        "text": "5 USD per day",
        "scope": scope,
        "metric": "cost",
        "period": "day",
        "shadow": False,
        "limit": 5_000_000_000,
        "used": 1_000_000_000,
        "held": 500_000_000,
        "asks": 250_000_000,
        "resets_s": 1_700_006_400,
        "binds": False,
        **changes,
    }


def target(owner, *limits):
    """A target as a gateway tells of it."""
    return {
        "provider_id": "prv_1",
        "provider": "one",
        "owner": owner,
        "kind": "openai",
        "model": "gpt-x",
        "reason": "priority: first",
        "cost_nusd": 1_500_000,
        "running": 3,
        "waiting": 1,
        "problem": None,
        "limits": list(limits),
    }


GATEWAY = FakeExplainer()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = build(tmp_path_factory.mktemp("world"), explainer=GATEWAY)
    yield world
    world.close()


@pytest.fixture
def explainer():
    """The gateway beside the API, as new."""
    GATEWAY.__init__()
    return GATEWAY


def asked(world, who, **body):
    """One question about a key of tenant A."""
    given = {"key_id": world.mine["key"][0], "request": REQUEST, **body}
    return world.ask(who, "POST", "/explain", body=given)


def test_what_is_asked_travels(world, explainer):
    """As a client would have sent it; the key's text is nowhere."""
    answer = asked(world, "admin", endpoint="/v1/messages", end_user="ann", address="10.0.0.1")
    assert answer.status == 200, answer.body
    assert explainer.asked == [
        RequestToExplain(
            world.mine["key"][0],
            "/v1/messages",
            json.dumps(REQUEST),
            (("x-tollway-end-user", "ann"),),
            "10.0.0.1",
        )
    ]
    assert answer.json == {
        "admitted": True,
        "refusal": None,
        "principal": None,
        "model": None,
        "cache": "off",
        "limits": [],
        "targets": [],
    }


@pytest.mark.parametrize("who", ["admin", "platform", "viewer"])
def test_amounts_are_in_the_metrics_form(world, explainer, who):
    """Money as decimal text, times as such."""
    explainer.answer["limits"] = [limit("tenant", "ten_a")]
    [found] = asked(world, who).json["limits"]
    assert found == {
        "quota_id": "quo_tenant",
        "text": "5 USD per day",
        "scope": "tenant",
        "metric": "cost",
        "period": "day",
        "mode": "enforce",
        "limit": "5",
        "used": "1",
        "held": "0.5",
        "remaining": "3.5",
        "asks": "0.25",
        "resets_at": "2023-11-15T00:00:00Z",
        "binds": False,
    }


def test_what_nobody_can_tell(world, explainer):
    """Is null, and not nothing."""
    unknown = limit("key", "ten_a", used=None, held=None, resets_s=None, shadow=True)
    explainer.answer["limits"] = [unknown]
    [found] = asked(world, "admin").json["limits"]
    assert (found["used"], found["remaining"], found["resets_at"]) == (None, None, None)
    assert found["mode"] == "shadow"


def test_a_tenant_does_not_see_the_platforms_house(world, explainer):
    """Neither limits on everybody together, nor what stands behind a name; its own it does."""
    everybodys = [limit("platform", None), limit("provider", None), limit("model", None)]
    explainer.answer["limits"] = [*everybodys, limit("tenant", None)]
    explainer.answer["targets"] = [target(None, *everybodys), target("ten_a")]
    shown = asked(world, "admin").json
    assert [one["scope"] for one in shown["limits"]] == ["tenant"]
    platforms, own = shown["targets"]
    hidden = ("provider_id", "kind", "model", "running", "waiting")
    assert [platforms[name] for name in hidden] == [None] * 5
    assert (platforms["provider"], platforms["expected_cost_usd"]) == ("one", "0.0015")
    assert platforms["limits"] == []
    assert [own[name] for name in hidden] == ["prv_1", "openai", "gpt-x", 3, 1]
    for_platform = asked(world, "platform").json
    assert len(for_platform["limits"]) == 4
    assert for_platform["targets"][0]["model"] == "gpt-x"
    assert len(for_platform["targets"][0]["limits"]) == 3


def test_keys_that_are_not_theirs_are_absent(world, explainer):
    """Another tenant's, a colleague's, nobody's: the same 404, and no gateway is asked."""
    for who, key in (
        ("other_admin", world.mine["key"][0]),
        ("user", next(key for key in world.mine["key"] if key != world.own["user", "key"])),
        ("admin", "key_000000000000"),
        ("platform", "key_000000000000"),
    ):
        assert asked(world, who, key_id=key).status == 404, who
    assert explainer.asked == []
    assert asked(world, "platform", tenant_id="ten_nobody").status == 404


def test_no_such_endpoint_and_no_gateway(world, explainer):
    """Each is said as what it is."""
    explainer.answer = {}
    assert asked(world, "admin", endpoint="/v1/nothing").status == 400
    explainer.answer = None
    answer = asked(world, "admin")
    assert (answer.status, answer.json["detail"]) == (
        503,
        "No gateway of this machine answers.",
    )
