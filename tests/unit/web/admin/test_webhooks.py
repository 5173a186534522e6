"""`/webhooks` and `/events` on the wire: what is taken, what is shown, and what never is."""

import pytest

from tests.fakes.acting import furnish
from tests.fakes.control_plane import ControlPlane
from tests.fakes.database import database
from tollway.domain.notice_signing import parse_secret
from tollway.domain.result import Ok

HIDDEN = "c29tZXRoaW5nLXNlY3JldA"
HOOK = {
    "tenant_id": "ten_open",
    "name": "on call",
    "format": "json",
    "url": f"https://hooks.example.com/{HIDDEN}?token={HIDDEN}",
    "kinds": ["key.expired", "quota.threshold_reached"],
}
MAIL = {"name": "people", "format": "email", "recipients": ["a@example.com", "b@example.com"]}


@pytest.fixture
def engine(tmp_path):
    engine = database(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def plane(engine):
    plane = ControlPlane(engine, mail_configured=True)
    with plane.configuration.begin() as uow:
        furnish(uow)
        uow.commit()
    yield plane
    plane.close()


def made(plane, body=HOOK):
    answer = plane.ask("POST", "/webhooks", body=body)
    assert answer.status == 201, answer.body
    return answer.json


def test_a_webhook_is_made_read_listed_and_deleted(plane):
    """Its secret is shown once, its URL never; of the URL the host is."""
    answer = plane.ask("POST", "/webhooks", body=HOOK)
    hook = answer.json
    assert answer.status == 201, answer.body
    assert isinstance(parse_secret(hook.pop("secret")), Ok)
    assert hook == {
        "id": hook["id"],
        "tenant_id": "ten_open",
        "name": "on call",
        "format": "json",
        "place": "https://hooks.example.com",
        "recipients": [],
        "kinds": ["key.expired", "quota.threshold_reached"],
        "enabled": True,
        "created_at": "2023-11-14T22:13:20Z",
    }
    path = f"/webhooks/{hook['id']}"
    assert answer.headers["location"] == f"/api/v1{path}"
    shown = plane.ask("GET", path)
    assert (shown.json, shown.headers["etag"][:2]) == (hook, '"v')
    other = made(plane, MAIL)
    assert (other["secret"], other["place"], other["tenant_id"]) == (None, "", None)
    for query, ids in (
        ({}, {hook["id"], other["id"]}),
        ({"tenant_id": "ten_open"}, {hook["id"]}),
        ({"tenant_id": "ten_listed"}, set()),
    ):
        found = plane.ask("GET", "/webhooks", query=query)
        assert {one["id"] for one in found.json["data"]} == ids
        assert HIDDEN.encode() not in found.body
    assert plane.ask("DELETE", path).status == 204
    assert plane.ask("GET", path).status == 404
