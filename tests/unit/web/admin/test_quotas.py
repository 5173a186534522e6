"""`/quotas` on the wire: amounts in the form of their metric, one rule for one counter."""

import pytest

from tests.fakes.acting import furnish
from tests.fakes.control_plane import ControlPlane
from tests.fakes.database import database
from tollway.domain.hold import Stand

BUDGET = {
    "tenant_id": "ten_open",
    "scope": "tenant",
    "metric": "cost",
    "period": "month",
    "limit": "250.000000001",
    "precision": "strict",
    "on_outage": "local_share",
    "alert_at": [80, 100],
    "name": "budget",
}
RATE = {"tenant_id": "ten_open", "scope": "tenant", "metric": "requests", "period": "minute"}
AT_A_TIME = {"tenant_id": "ten_open", "scope": "tenant", "metric": "concurrency", "limit": 5}


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


def made(plane, body=BUDGET):
    answer = plane.ask("POST", "/quotas", body=body)
    assert answer.status == 201, answer.body
    return answer.json


def test_a_quota_is_made_read_listed_and_deleted(plane):
    """What was written comes back to the last digit."""
    answer = plane.ask("POST", "/quotas", body=BUDGET)
    quota = answer.json
    assert answer.status == 201, answer.body
    assert quota == {
        **BUDGET,
        "id": quota["id"],
        "scope_id": None,
        "model_id": None,
        "per": None,
        "mode": "enforce",
        "raised_to": None,
        "raised_until": None,
        "set_by": "platform",
        "managed_by": None,
        "created_at": "2023-11-14T22:13:20Z",
    }
    path = f"/quotas/{quota['id']}"
    assert answer.headers["location"] == f"/api/v1{path}"
    assert plane.ask("GET", path).json == quota
    other = made(plane, {**AT_A_TIME, "per": "key"})
    assert (other["limit"], other["period"], other["per"]) == (5, "none", "key")
    for query, ids in (
        ({}, {quota["id"], other["id"]}),
        ({"metric": "cost"}, {quota["id"]}),
        ({"tenant_id": "ten_open", "scope": "tenant"}, {quota["id"], other["id"]}),
        ({"tenant_id": "ten_listed"}, set()),
        ({"scope": "project"}, set()),
        ({"scope_id": "prj_x"}, set()),
        ({"model_id": "mdl_open"}, set()),
    ):
        listed = plane.ask("GET", "/quotas", query=query).json["data"]
        assert {one["id"] for one in listed} == ids, query
    first = plane.ask("GET", "/quotas", query={"limit": 1}).json
    second = plane.ask("GET", "/quotas", query={"cursor": first["next_cursor"]}).json
    assert [one["id"] for one in first["data"] + second["data"]] == sorted(
        (quota["id"], other["id"])
    )
    assert plane.ask("DELETE", path).status == 204
    assert plane.ask("GET", path).status == 404
    assert plane.ask("DELETE", path).status == 404


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"limit": "300"}, {"limit": "300"}),
        ({"mode": "shadow", "precision": "bounded"}, {"mode": "shadow", "precision": "bounded"}),
        ({"alert_at": [], "name": ""}, {"alert_at": [], "name": ""}),
        (
            {"raised_to": "400", "raised_until": "2027-01-31T12:00:00+01:00"},
            {"raised_to": "400", "raised_until": "2027-01-31T11:00:00Z"},
        ),
        ({"name": None, "limit": None}, {}),
    ],
)
def test_what_is_sent_changes_and_nothing_else(plane, change, shown):
    """A temporary increase that is taken back leaves no trace."""
    quota = made(plane)
    path = f"/quotas/{quota['id']}"
    answer = plane.ask("PATCH", path, body=change)
    assert (answer.status, answer.json) == (200, {**quota, **shown})
    back = plane.ask("PATCH", path, body={"raised_to": None}).json
    assert (back["raised_to"], back["raised_until"]) == (None, None)


def test_an_increase_is_prolonged_by_its_end_alone(plane):
    """Or made another amount until the same time."""
    quota = made(plane, {**RATE, "limit": 10})
    path = f"/quotas/{quota['id']}"
    until = {"raised_until": "2027-01-31T12:00:00Z"}
    plane.ask("PATCH", path, body={"raised_to": 20, **until})
    later = plane.ask("PATCH", path, body={"raised_until": "2028-01-31T12:00:00Z"}).json
    assert (later["raised_to"], later["raised_until"]) == (20, "2028-01-31T12:00:00Z")
    more = plane.ask("PATCH", path, body={"raised_to": 30}).json
    assert (more["raised_to"], more["raised_until"]) == (30, "2028-01-31T12:00:00Z")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"raised_to": "400"}, "raised_until"),
        ({"raised_to": "400", "raised_until": None}, "raised_until"),
        ({"raised_to": "400", "raised_until": "2020-01-31T12:00:00Z"}, "raised_until"),
        ({"raised_until": "2027-01-31T12:00:00Z"}, "raised_to"),
        ({"raised_to": "200", "raised_until": "2027-01-31T12:00:00Z"}, "raised_to"),
        ({"limit": 300}, "limit"),
        ({"raised_to": 300, "raised_until": "2027-01-31T12:00:00Z"}, "raised_to"),
        ({"alert_at": [0]}, "alert_at.0"),
        ({"metric": "tokens"}, "metric"),
        ({"scope": "project"}, "scope"),
    ],
)
def test_a_change_that_cannot_be_is_named(plane, change, field):
    """400, the field at fault, the object as it was."""
    quota = made(plane)
    answer = plane.ask("PATCH", f"/quotas/{quota['id']}", body=change)
    assert (answer.status, answer.json["errors"][0]["field"]) == (400, field), answer.body
    assert plane.ask("GET", f"/quotas/{quota['id']}").json == quota


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**BUDGET, "limit": 250}, "limit"),
        ({**BUDGET, "limit": 2.5}, "limit"),
        ({**BUDGET, "limit": "9000000.000000001"}, "limit"),
        ({**BUDGET, "limit": "-1"}, "limit"),
        ({**BUDGET, "limit": "0.0000000001"}, "limit"),
        ({**RATE, "limit": "5"}, "limit"),
        ({**RATE, "limit": True}, "limit"),
        (RATE, "limit"),
        ({**RATE, "limit": 5, "period": "none"}, "period"),
        ({**RATE, "limit": 5, "period": "week"}, "period"),
        ({**AT_A_TIME, "period": "day"}, "period"),
        ({**RATE, "limit": 5, "per": "tenant"}, "per"),
        ({**RATE, "limit": 5, "scope": "project"}, "scope_id"),
        ({**RATE, "limit": 5, "scope_id": "x"}, "scope_id"),
        ({**RATE, "limit": 5, "scope": "platform"}, "scope"),
        ({**RATE, "limit": 5, "tenant_id": None}, "tenant_id"),
        ({**RATE, "limit": 5, "model_id": "mdl_listed"}, "model_id"),
        ({**RATE, "limit": 5, "scope": "key", "scope_id": "key_x"}, "scope_id"),
        ({**RATE, "limit": 5, "currency": "EUR"}, "currency"),
    ],
)
def test_what_cannot_be_is_named(plane, body, field):
    """400, the field at fault, nothing written."""
    answer = plane.ask("POST", "/quotas", body=body)
    assert answer.status == 400
    assert [error["field"] for error in answer.json["errors"]] == [field], answer.body
    assert plane.published == []


def test_a_second_one_is_told_of_the_first(plane):
    """409, with its id."""
    quota = made(plane)
    answer = plane.ask("POST", "/quotas", body={**BUDGET, "limit": "1"})
    assert answer.status == 409
    assert quota["id"] in answer.json["detail"]


def test_a_change_must_have_seen_what_it_changes(plane):
    """412 with another's tag in `If-Match`."""
    quota = made(plane)
    path = f"/quotas/{quota['id']}"
    tag = plane.ask("GET", path).headers["etag"]
    match = {"if-match": tag}
    assert plane.ask("PATCH", path, body={"limit": "1"}, headers=match).status == 200
    assert plane.ask("PATCH", path, body={"limit": "2"}, headers=match).status == 412
    assert plane.ask("DELETE", path, headers=match).status == 412
    assert plane.ask("GET", path).json["limit"] == "1"


def test_a_repeat_is_answered_as_the_first_time(plane):
    """One `Idempotency-Key`, one quota."""
    headers = {"idempotency-key": "once"}
    first = plane.ask("POST", "/quotas", body=BUDGET, headers=headers)
    again = plane.ask("POST", "/quotas", body=BUDGET, headers=headers)
    assert (again.status, again.json) == (201, first.json)
    assert again.headers["idempotent-replayed"] == "true"
    assert len(plane.ask("GET", "/quotas").json["data"]) == 1
    other = plane.ask("POST", "/quotas", body={**BUDGET, "limit": "1"}, headers=headers)
    assert other.status == 409


def test_each_change_is_on_record(plane):
    """By what was different."""
    quota = made(plane)
    path = f"/quotas/{quota['id']}"
    plane.ask("PATCH", path, body={"limit": "300", "name": "budget"})
    plane.ask("DELETE", path)
    rows = [row for row in plane.ask("GET", "/audit").json["data"] if row["object_kind"] == "quota"]
    assert sorted(row["action"] for row in rows) == [
        "quota.changed",
        "quota.created",
        "quota.deleted",
    ]
    changed = next(row for row in rows if row["action"] == "quota.changed")
    assert changed["changes"] == {"limit": [250_000_000_001, 300_000_000_000]}
    assert {row["tenant_id"] for row in rows} == {"ten_open"}


class Stands:
    """A gateway that says how limits stand, and what it was asked."""

    def __init__(self, stand):
        self.stand = stand
        self.asked = []

    def read(self, quota, member):
        self.asked.append((quota.id, member))
        return self.stand

    def reopen(self):
        self.asked.append("reopen")
        return self.stand is not None


@pytest.mark.parametrize(("stand", "status"), [(Stand(0, 0, None), 204), (None, 503)])
def test_gateways_that_are_away_are_given_up_on_record(tmp_path, stand, status):
    """By the platform alone; when no gateway reaches the counters, the answer says so."""
    engine = database(tmp_path)
    stands = Stands(stand)
    plane = ControlPlane(engine, stands=stands)
    with plane.configuration.begin() as uow:
        furnish(uow)
        uow.commit()
    assert plane.ask("POST", "/quotas/strict/reopen").status == status
    assert stands.asked == ["reopen"]
    newest = plane.ask("GET", "/audit", query={"limit": "1"}).json["data"][0]
    assert newest["action"] == "quota.reopened"
    plane.close()
    engine.dispose()


def test_how_a_limit_stands_by_its_counter(tmp_path):
    """Amounts in the form of the metric, and when some of it is there again."""
    engine = database(tmp_path)
    stands = Stands(Stand(100_000_000_000, 5_000_000_000, 1_700_006_400))
    plane = ControlPlane(engine, stands=stands)
    with plane.configuration.begin() as uow:
        furnish(uow)
        uow.commit()
    quota = made(plane)
    assert plane.ask("GET", f"/quotas/{quota['id']}/usage").json == {
        "quota_id": quota["id"],
        "member": None,
        "limit": "250.000000001",
        "used": "100",
        "held": "5",
        "remaining": "145.000000001",
        "resets_at": "2023-11-15T00:00:00Z",
        "source": "counter",
    }
    each = made(plane, {**RATE, "per": "account", "limit": 5})
    answer = plane.ask("GET", f"/quotas/{each['id']}/usage", query={"member": "acc_1"})
    assert answer.status == 200, answer.body
    assert stands.asked == [(quota["id"], None), (each["id"], "ten_open/acc_1")]
    plane.close()
    engine.dispose()


def test_without_a_gateway_the_ledger_says_what_was_used(plane):
    """Then nothing is known of what runs."""
    rate = made(plane, {**RATE, "period": "hour", "limit": 5})
    found = plane.ask("GET", f"/quotas/{rate['id']}/usage").json
    assert (found["used"], found["held"], found["remaining"]) == (0, None, 5)
    assert found["source"] == "ledger"
    assert found["resets_at"] is not None
    running = made(plane, AT_A_TIME)
    found = plane.ask("GET", f"/quotas/{running['id']}/usage").json
    assert (found["used"], found["remaining"], found["resets_at"]) == (0, 5, None)


@pytest.mark.parametrize(("per", "query"), [("key", {}), (None, {"member": "key_1"})])
def test_a_member_is_said_where_each_has_a_counter(plane, per, query):
    """And only there."""
    made_one = made(plane, {**RATE, "per": per, "limit": 5})
    answer = plane.ask("GET", f"/quotas/{made_one['id']}/usage", query=query)
    assert answer.status == 400
    assert answer.json["errors"][0]["field"] == "member"
