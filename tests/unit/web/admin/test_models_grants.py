"""`/models` and `/grants` on the wire: shapes, statuses, and what a client can rely on."""

import pytest

from tests.fakes.acting import furnish
from tests.fakes.control_plane import ControlPlane
from tests.fakes.database import database

TARGET = {"provider_id": "prv_platform", "model": "upstream", "weight": 1, "priority": 0}


@pytest.fixture
def plane(tmp_path):
    engine = database(tmp_path)
    plane = ControlPlane(engine)
    with plane.configuration.begin() as uow:
        furnish(uow)
        uow.commit()
    yield plane
    plane.close()
    engine.dispose()


def made(plane, path, body):
    answer = plane.ask("POST", path, body=body)
    assert answer.status == 201, answer.body
    return answer


def test_a_model_is_made_read_changed_and_deleted(plane):
    """The whole object comes back each time, with its place and its tag."""
    answer = made(plane, "/models", {"name": "small", "targets": [TARGET]})
    model = answer.json
    assert answer.headers["location"] == f"/api/v1/models/{model['id']}"
    assert model == {
        "id": model["id"],
        "tenant_id": None,
        "name": "small",
        "targets": [TARGET],
        "strategy": "priority",
        "fallbacks": [],
        "max_output_tokens": None,
        "cache_affinity": False,
        "enabled": True,
        "managed_by": None,
        "created_at": "2023-11-14T22:13:20Z",
    }
    path = f"/models/{model['id']}"
    read = plane.ask("GET", path)
    assert read.json == model
    change = {
        "enabled": False,
        "max_output_tokens": 7,
        "cache_affinity": True,
        "fallbacks": ["platform-model"],
    }
    changed = plane.ask("PATCH", path, body=change, headers={"if-match": read.headers["etag"]})
    assert (changed.status, changed.json) == (200, {**model, **change})
    stale = plane.ask("PATCH", path, body={}, headers={"if-match": read.headers["etag"]})
    assert stale.status == 412
    unlimited = plane.ask("PATCH", path, body={"max_output_tokens": None})
    assert unlimited.json == {**model, **change, "max_output_tokens": None}
    assert plane.ask("DELETE", path).status == 204
    assert plane.ask("GET", path).status == plane.ask("DELETE", path).status == 404
    assert plane.published


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "targets": [TARGET], "api_base": "http://evil"}, "api_base"),
        ({"name": "x", "targets": []}, "targets"),
        ({"name": "x", "targets": [{**TARGET, "url": "y"}]}, "targets.0.url"),
        ({"name": "x", "targets": [TARGET], "strategy": "best"}, "strategy"),
        ({"name": "x", "targets": [{**TARGET, "weight": -1}]}, "targets.0.weight"),
        ({"name": "x", "targets": [{**TARGET, "provider_id": "prv_open"}]}, "targets"),
        ({"name": "x y", "targets": [TARGET]}, "name"),
        ({"name": "x", "targets": [TARGET], "fallbacks": ["y"]}, "fallbacks"),
    ],
)
def test_what_cannot_be_is_named(plane, body, field):
    """400, the field at fault, nothing written."""
    answer = plane.ask("POST", "/models", body=body)
    assert (answer.status, answer.json["errors"][0]["field"]) == (400, field)
    assert plane.published == []


def test_lists_are_given_in_parts(plane):
    """Each object once, whatever the size of a part."""
    names, cursor = [], None
    while True:
        query = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        part = plane.ask("GET", "/models", query=query).json
        names += [model["name"] for model in part["data"]]
        cursor = part["next_cursor"]
        if cursor is None:
            break
    assert sorted(names) == ["listed-model", "open-model", "platform-model"]
    own = plane.ask("GET", "/models", query={"tenant_id": "ten_listed"}).json["data"]
    assert [model["name"] for model in own] == ["listed-model"]


def test_a_grant_is_made_read_and_taken_back(plane):
    """Its place in the answer leads to it, whatever the group is called."""
    for group in ("gold", "a/b ?#%", "Größe", "g" * 200, "é" * 200):
        answer = made(plane, "/grants", {"model_id": "mdl_platform", "group": group})
        assert answer.json["holder"] == f"group:{group}"
        assert answer.json["tenant_id"] is None
        path = decoded(answer.headers["location"])
        assert plane.ask("GET", path).json == answer.json
    assert made(plane, "/grants", {"model_id": "mdl_platform", "tenant_id": "ten_open"})
    again = plane.ask("POST", "/grants", body={"model_id": "mdl_platform", "group": "gold"})
    assert again.status == 409
    held = plane.ask("GET", "/grants", query={"tenant_id": "ten_listed"}).json["data"]
    assert [grant["group"] for grant in held] == ["gold"]

    holders, cursor = [], None
    for _ in range(6):
        query = {"limit": 1} if cursor is None else {"limit": 1, "cursor": cursor}
        part = plane.ask("GET", "/grants", query=query).json
        holders += [grant["holder"] for grant in part["data"]]
        cursor = part["next_cursor"]
    assert cursor is None
    assert len(set(holders)) == 6
    for holder in holders:
        assert plane.ask("DELETE", f"/grants/mdl_platform/{holder}").status == 204
    assert plane.ask("GET", "/grants").json == {"data": [], "next_cursor": None}
    assert plane.ask("GET", "/grants/mdl_platform/group:gold").status == 404


def decoded(location):
    """As a server hands it to an application."""
    from urllib.parse import unquote

    return unquote(location)
