"""`/providers` and their credentials on the wire: a secret goes in and never comes out."""

import pytest
from sqlalchemy import text

from tests.fakes.acting import furnish
from tests.fakes.control_plane import ControlPlane
from tests.fakes.database import database
from tests.fakes.probes import FakeProbe
from tollway.app.ports_probe import ProbeReport

SECRET = "sk-never-to-be-seen"
NEW = {"name": "new", "kind": "openai_compatible", "base_url": "https://api.example/v1"}
CONFIG = {
    "stream_usage": "force",
    "connect_timeout_s": None,
    "headers_timeout_s": None,
    "first_token_timeout_s": None,
    "idle_timeout_s": None,
    "total_timeout_s": None,
    "requests_at_once": None,
    "requests_per_minute": None,
    "tokens_per_minute": None,
    "translate_responses": False,
}


@pytest.fixture
def engine(tmp_path):
    engine = database(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def probe():
    return FakeProbe()


@pytest.fixture
def plane(engine, probe):
    plane = ControlPlane(engine, probe=probe)
    with plane.configuration.begin() as uow:
        furnish(uow)
        uow.commit()
    yield plane
    plane.close()


def made(plane, path, body, **headers):
    answer = plane.ask("POST", path, body=body, headers=headers)
    assert answer.status == 201, answer.body
    return answer


def test_a_provider_is_made_read_changed_and_deleted(plane):
    """The whole object comes back each time, with its place and its tag."""
    answer = made(plane, "/providers", {**NEW, "config": {"idle_timeout_s": 5}})
    provider = answer.json
    assert answer.headers["location"] == f"/api/v1/providers/{provider['id']}"
    assert provider == {
        **NEW,
        "id": provider["id"],
        "tenant_id": None,
        "config": {**CONFIG, "idle_timeout_s": 5.0},
        "enabled": True,
        "residency": None,
        "credentials": [],
        "managed_by": None,
        "created_at": "2023-11-14T22:13:20Z",
    }
    path = f"/providers/{provider['id']}"
    read = plane.ask("GET", path)
    assert read.json == provider
    tag = {"if-match": read.headers["etag"]}
    body = {"config": {"stream_usage": "none"}, "residency": "eu", "enabled": False}
    changed = plane.ask("PATCH", path, body=body, headers=tag).json
    config = {**CONFIG, "idle_timeout_s": 5.0, "stream_usage": "none"}
    assert changed == {**provider, "config": config, "residency": "eu", "enabled": False}
    assert plane.ask("PATCH", path, body=body, headers=tag).status == 412
    cleared = plane.ask("PATCH", path, body={"config": {"idle_timeout_s": None}, "residency": None})
    assert cleared.json["config"] == {**CONFIG, "stream_usage": "none"}
    assert cleared.json["residency"] is None
    assert plane.ask("DELETE", path).status == 204
    assert plane.ask("GET", path).status == 404
    assert plane.ask("DELETE", "/providers/prv_platform").status == 409


def test_secrets_go_in_and_never_come_out(plane, engine):
    """Not in an answer, not in a repeat, not in the audit, not in any row of the database."""
    seen = [made(plane, "/providers", {**NEW, "api_key": SECRET}, **{"idempotency-key": "k"})]
    path = f"/providers/{seen[0].json['id']}"
    seen.append(made(plane, "/providers", {**NEW, "api_key": SECRET}, **{"idempotency-key": "k"}))
    assert seen[1].headers["idempotent-replayed"] == "true"
    seen.append(made(plane, f"{path}/credentials", {"api_key": SECRET + "2", "weight": 3}))
    credential = seen[2].json
    assert seen[2].headers["location"] == f"/api/v1{path}/credentials/{credential['id']}"
    assert credential == {
        "id": credential["id"],
        "sealed": True,
        "reference": None,
        "weight": 3,
        "created_at": "2023-11-14T22:13:20Z",
    }
    one = f"{path}/credentials/{credential['id']}"
    seen.append(plane.ask("PATCH", one, body={"api_key": SECRET + "3", "weight": 4}))
    assert seen[-1].json == {**credential, "weight": 4}
    seen += [plane.ask("GET", place) for place in (path, one, f"{path}/credentials", "/audit")]
    assert len(seen[-2].json["data"]) == 2
    assert plane.ask("DELETE", one).status == 204
    assert plane.ask("GET", one).status == 404
    assert {answer.status for answer in seen} <= {200, 201}
    for answer in seen:
        assert SECRET.encode() not in answer.body
    with engine.connect() as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))
        for name in [row[0] for row in names]:
            rows = connection.execute(text(f'SELECT * FROM "{name}"')).all()
            assert SECRET not in repr(rows), name


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**NEW, "extra_headers": {}}, "extra_headers"),
        ({**NEW, "config": {"verify": False}}, "config.verify"),
        ({**NEW, "kind": "litellm"}, "kind"),
        ({**NEW, "config": {"idle_timeout_s": 0}}, "config.idle_timeout_s"),
        ({**NEW, "api_key": SECRET + " x"}, "api_key"),
        ({**NEW, "api_key": [SECRET]}, "api_key"),
        ({**NEW, "api_key": SECRET * 1000}, "api_key"),
        ({**NEW, "reference": SECRET}, "reference"),
        ({**NEW, "base_url": "http://10.0.0.1", "tenant_id": "ten_open"}, "base_url"),
        ({**NEW, "reference": "env:HOME", "tenant_id": "ten_open"}, "reference"),
    ],
)
def test_what_cannot_be_is_named_without_the_secret(plane, body, field):
    """400, the field at fault, nothing written, nothing repeated."""
    answer = plane.ask("POST", "/providers", body=body)
    assert (answer.status, answer.json["errors"][0]["field"]) == (400, field)
    assert SECRET not in answer.body.decode()
    assert plane.published == []


def test_moving_a_provider_demands_its_secret(plane):
    """Attack 86: `secret_required`, unless it is in the same request."""
    provider = made(plane, "/providers", {**NEW, "api_key": SECRET}).json
    path, body = f"/providers/{provider['id']}", {"base_url": "https://evil.example/v1"}
    refused = plane.ask("PATCH", path, body=body)
    assert refused.status == 400
    assert "secret_required" in refused.json["detail"]
    moved = plane.ask("PATCH", path, body={**body, "api_key": SECRET})
    assert moved.json["base_url"] == "https://evil.example/v1"
    assert [c["id"] for c in moved.json["credentials"]] != [
        c["id"] for c in provider["credentials"]
    ]


def test_kind_and_owner_never_change(plane):
    """They are no fields of a change."""
    for field in ("kind", "tenant_id"):
        answer = plane.ask("PATCH", "/providers/prv_open", body={field: "openai"})
        assert (answer.status, answer.json["errors"][0]["field"]) == (400, field)


def test_a_trial_says_what_came_of_it(plane, probe):
    """With the records the data plane would use; a refusal of the provider is no error of ours."""
    answer = plane.ask("POST", "/providers/prv_open/test")
    assert (answer.status, answer.json) == (
        200,
        {"ok": True, "status": 200, "reason": "The provider answered.", "credential_id": None},
    )
    made(plane, "/providers/prv_open/credentials", {"api_key": SECRET})
    second = made(plane, "/providers/prv_open/credentials", {"api_key": SECRET}).json["id"]
    probe.report = ProbeReport(False, 401, "No.")
    body = {"credential_id": second}
    assert plane.ask("POST", "/providers/prv_open/test", body=body).json == {
        "ok": False,
        "status": 401,
        "reason": "No.",
        "credential_id": second,
    }
    assert [(p.id, c and c.id) for p, c in probe.asked] == [
        ("prv_open", None),
        ("prv_open", second),
    ]
    absent = plane.ask("POST", "/providers/prv_open/test", body={"credential_id": "crd_x"})
    assert absent.status == 404
    probe.report = None
    busy = plane.ask("POST", "/providers/prv_open/test")
    assert (busy.status, busy.headers["retry-after"]) == (429, "5")


def test_lists_are_given_in_parts(plane):
    """Each object once; one tenant's on request."""
    first = plane.ask("GET", "/providers", query={"limit": 2}).json
    rest = plane.ask("GET", "/providers", query={"cursor": first["next_cursor"]}).json
    ids = [provider["id"] for part in (first, rest) for provider in part["data"]]
    assert ids == ["prv_listed", "prv_open", "prv_platform"]
    assert rest["next_cursor"] is None
    own = plane.ask("GET", "/providers", query={"tenant_id": "ten_open"}).json["data"]
    assert [provider["id"] for provider in own] == ["prv_open"]
    assert plane.ask("GET", "/providers", query={"tenant_id": "ten_x"}).status == 404
