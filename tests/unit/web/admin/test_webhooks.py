"""`/webhooks` and `/events` on the wire: what is taken, what is shown, and what never is."""

import pytest

from tests.fakes.acting import furnish
from tests.fakes.control_plane import ControlPlane
from tests.fakes.database import NOW_S, database
from tests.fakes.noticing import FakeSender
from tollway.adapters.sql.alerts import SqlAlerts
from tollway.app.ports import SecretError
from tollway.app.turns import Turns
from tollway.domain.event import Event, EventKind
from tollway.domain.notice_delivery import Delivered, Failed
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


def test_lists_come_in_parts(plane):
    """Webhooks in the order of their ids."""
    ids = sorted(made(plane, {**HOOK, "name": f"number {number}"})["id"] for number in range(3))
    first = plane.ask("GET", "/webhooks", query={"limit": 2}).json
    second = plane.ask("GET", "/webhooks", query={"cursor": first["next_cursor"]}).json
    assert [one["id"] for one in first["data"] + second["data"]] == ids
    assert second["next_cursor"] is None


@pytest.mark.parametrize("rotation", [False, True])
def test_a_secret_is_shown_once(plane, tmp_path, rotation):
    """A repeat has null there, and nothing on the disk holds the secret or the URL."""
    path, body = "/webhooks", HOOK
    if rotation:
        path, body = f"/webhooks/{made(plane)['id']}/secret/rotate", {}
    key = {"idempotency-key": "once"}
    first = plane.ask("POST", path, body=body, headers=key)
    again = plane.ask("POST", path, body=body, headers=key)
    assert first.status == again.status == (200 if rotation else 201)
    assert isinstance(parse_secret(first.json["secret"]), Ok)
    assert again.json == {**first.json, "secret": None}
    assert again.headers["idempotent-replayed"] == "true"
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert first.json["id"].encode() in kept
    assert HIDDEN.encode() not in kept
    assert first.json["secret"].encode() not in kept


def test_a_change(plane):
    """What is not sent stays; null for the kinds is all of them."""
    hook = made(plane)
    hook.pop("secret")
    path = f"/webhooks/{hook['id']}"
    for change in (
        {"name": "off duty", "enabled": False},
        {"kinds": None},
        {"kinds": ["key.expiring"]},
    ):
        changed = plane.ask("PATCH", path, body=change)
        hook |= change
        assert (changed.status, changed.json) == (200, hook)
        assert plane.ask("GET", path).headers["etag"] == changed.headers["etag"]
    moved = plane.ask("PATCH", path, body={"url": f"https://other.example/{HIDDEN}"})
    assert moved.json == {**hook, "place": "https://other.example"}
    mail = made(plane, MAIL)
    changed = plane.ask("PATCH", f"/webhooks/{mail['id']}", body={"recipients": ["c@example.com"]})
    assert changed.json["recipients"] == ["c@example.com"]


def test_what_somebody_else_changed_stays(plane):
    """`If-Match` of an older version is a 412, on every change."""
    path = f"/webhooks/{made(plane)['id']}"
    old = {"if-match": plane.ask("GET", path).headers["etag"]}
    assert plane.ask("PATCH", path, body={"enabled": False}, headers=old).status == 200
    assert plane.ask("PATCH", path, body={"enabled": True}, headers=old).status == 412
    assert plane.ask("POST", f"{path}/secret/rotate", headers=old).status == 412
    assert plane.ask("DELETE", path, headers=old).status == 412


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": f"http://hooks.example.com/{HIDDEN}"}, "url"),
        ({"url": f"https://127.0.0.1/{HIDDEN}"}, "url"),
        ({"url": f"https://hooks.example.com/{HIDDEN} "}, "url"),
        ({"url": f"https://{HIDDEN}@hooks.example.com/"}, "url"),
        ({"url": f"https://hooks.example.com/{HIDDEN * 100}"}, "url"),
        ({"url": [HIDDEN]}, "url"),
        ({"url": None}, "url"),
        ({"secret": HIDDEN}, "secret"),
        ({"secret": f"whsec_{HIDDEN}!"}, "secret"),
        ({"secret": {HIDDEN: 1}}, "secret"),
        ({"format": "xml"}, "format"),
        ({"kinds": []}, "kinds"),
        ({"kinds": ["key.lost"]}, "kinds.0"),
        ({"recipients": ["a@example.com"]}, "recipients"),
        ({"name": ""}, "name"),
        ({"enabled": "yes"}, "enabled"),
        ({"place": "https://a.example"}, "place"),
    ],
)
def test_what_cannot_be_is_refused_without_repeating_it(plane, change, field):
    """A 400 that names the field; what was sent in it may be a secret."""
    answer = plane.ask("POST", "/webhooks", body={**HOOK, **change})
    assert answer.status == 400
    assert answer.json["errors"][0]["field"] == field
    assert HIDDEN.encode() not in answer.body
    assert plane.ask("GET", "/webhooks").json["data"] == []


def test_conflicts(plane):
    """The same name again, and a rotation where nothing is signed."""
    made(plane)
    assert plane.ask("POST", "/webhooks", body=HOOK).status == 409
    mail = made(plane, MAIL)
    assert plane.ask("POST", f"/webhooks/{mail['id']}/secret/rotate").status == 409


def test_mail_without_a_mail_server(engine):
    """The refusal names the setting."""
    plane = ControlPlane(engine)
    answer = plane.ask("POST", "/webhooks", body=MAIL)
    plane.close()
    assert answer.status == 409
    assert "TOLLWAY_SMTP_URL" in answer.json["detail"]


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Delivered(), {"delivered": True, "reason": None}),
        (Delivered("1 of 2 refused"), {"delivered": True, "reason": "1 of 2 refused"}),
        (Failed(True, "no answer"), {"delivered": False, "reason": "no answer"}),
    ],
)
def test_a_test_says_what_became_of_it(engine, outcome, said):
    """The webhook as it is kept is sent one notice, which is on record first."""
    sender = FakeSender(outcome)
    plane = ControlPlane(engine, notices=sender)
    hook = made(plane, {**HOOK, "tenant_id": None})
    answer = plane.ask("POST", f"/webhooks/{hook['id']}/test")
    assert (answer.status, answer.json) == (200, said)
    ((view, sealed, notice),) = sender.sent
    assert (view.id, notice.kind, len(sealed.secrets)) == (hook["id"], "webhook.test", 1)
    (row,) = plane.ask("GET", "/audit", query={"action": "webhook.tested"}).json["data"]
    assert row["changes"] == {"place": "https://hooks.example.com", "notice": notice.id}
    plane.close()


def test_a_test_of_what_does_not_open(engine):
    """A master key that is lost is a 503, as everywhere."""
    plane = ControlPlane(engine, notices=FakeSender(SecretError("wrong key")))
    hook = made(plane, {**HOOK, "tenant_id": None})
    answer = plane.ask("POST", f"/webhooks/{hook['id']}/test")
    plane.close()
    assert answer.status == 503
    assert answer.json["type"].endswith("secrets_unavailable")


def test_too_many_tests_at_once(engine):
    """The next one is a 429 and not on record: each holds a thread of the admin API."""
    turns, sender = Turns(at_once=2, per_owner=1), FakeSender()
    plane = ControlPlane(engine, notices=sender, trials=turns)
    hook = made(plane, {**HOOK, "tenant_id": None})
    with turns.turn(None):
        answer = plane.ask("POST", f"/webhooks/{hook['id']}/test")
    assert (answer.status, answer.headers["retry-after"]) == (429, "5")
    assert sender.sent == []
    assert plane.ask("GET", "/audit", query={"action": "webhook.tested"}).json["data"] == []
    assert plane.ask("POST", f"/webhooks/{hook['id']}/test").status == 200
    plane.close()


def test_events_and_deliveries(plane, engine):
    """What happened, and what became of telling it: the newest first, in parts."""
    hook = made(plane, {**HOOK, "kinds": None})
    found = [
        (
            f"evt_{number}",
            Event(
                EventKind.KEY_EXPIRED,
                f"event {number}",
                2_000_000_000,
                "ten_open",
                f"title {number}",
                (("Key", "backend"),),
                {"key_id": "key_1"},
            ),
        )
        for number in range(3)
    ]
    alerts = SqlAlerts(engine)
    alerts.keep(found, at_s=NOW_S)
    (due,) = alerts.due(NOW_S, limit=1, lease_s=60)
    alerts.again(due, next_s=NOW_S + 5, reason="no answer")
    events = plane.ask("GET", "/events", query={"limit": 2, "tenant_id": "ten_open"}).json
    assert [one["id"] for one in events["data"]] == ["evt_2", "evt_1"]
    assert events["data"][0] == {
        "id": "evt_2",
        "kind": "key.expired",
        "tenant_id": "ten_open",
        "at": "2023-11-14T22:13:20Z",
        "title": "title 2",
        "facts": [{"label": "Key", "value": "backend"}],
        "data": {"key_id": "key_1"},
    }
    rest = plane.ask("GET", "/events", query={"cursor": events["next_cursor"]}).json
    assert ([one["id"] for one in rest["data"]], rest["next_cursor"]) == (["evt_0"], None)
    path = f"/webhooks/{hook['id']}/deliveries"
    told = plane.ask("GET", path, query={"limit": 2}).json
    assert [one["event_id"] for one in told["data"]] == ["evt_2", "evt_1"]
    (last,) = plane.ask("GET", path, query={"cursor": told["next_cursor"]}).json["data"]
    assert last == {
        "event_id": "evt_0",
        "kind": "key.expired",
        "title": "title 0",
        "at": "2023-11-14T22:13:20Z",
        "state": "waiting",
        "attempts": 1,
        "next_attempt_at": "2023-11-14T22:13:25Z",
        "done_at": None,
        "reason": "no answer",
    }
    (due,) = alerts.due(NOW_S + 5, limit=1, lease_s=60)
    alerts.done(due, now_s=NOW_S + 6)
    (done,) = [
        one for one in plane.ask("GET", path).json["data"] if one["event_id"] == due.record.id
    ]
    assert (done["state"], done["next_attempt_at"]) == ("delivered", None)
    assert done["done_at"] == "2023-11-14T22:13:26Z"
