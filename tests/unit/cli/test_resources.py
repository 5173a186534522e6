"""The resource commands against a real admin API: names, secrets, output, exit codes."""

import json

import pytest
import yaml

from tests.fakes.admin_server import AdminServer


def test_a_thing_is_named_by_name_or_id(api: AdminServer):
    """Either leads to the same object, and people by their address in any case."""
    made = json.loads(api.told("tenants", "create", "acme", "-o", "json"))
    for name in ("acme", made["id"]):
        assert json.loads(api.told("tenants", "get", name, "-o", "json"))["id"] == made["id"]
    api.told("members", "create", "ada@acme.example", "--tenant", made["id"])
    shown = api.told("members", "get", "ADA@acme.example", "--tenant", "acme", "-o", "yaml")
    assert yaml.safe_load(shown)["role"] == "user"


def test_a_name_that_several_have_is_no_name(api: AdminServer):
    """The ids are said; the live key of a name is meant before those that were revoked."""
    api.told("tenants", "create", "acme")
    for _ in range(2):
        api.told("keys", "create", "bot", "--tenant", "acme")
    done = api.run("keys", "revoke", "bot", "--tenant", "acme")
    assert done.exit_code == 1
    ids = done.stderr.split("Give the id: ")[1].strip(".\n").split(", ")
    assert len(ids) == 2
    api.told("keys", "revoke", ids[0], "--tenant", "acme")
    shown = json.loads(api.told("keys", "revoke", "bot", "--tenant", "acme", "-o", "json"))
    assert shown["id"] == ids[1]


def test_a_tenants_own_things_are_found_before_the_platforms(api: AdminServer):
    """A target's provider is the tenant's own of that name; a command about a provider means the
    platform's unless it says whose."""
    api.told("tenants", "create", "acme")
    ids = {}
    for owner in ((), ("--tenant", "acme")):
        shown = api.told("providers", "create", "echo", "--kind", "echo", *owner, "-o", "json")
        ids[owner] = json.loads(shown)["id"]
        shown = api.told("providers", "get", "echo", *owner, "-o", "json")
        assert json.loads(shown)["id"] == ids[owner]
        shown = api.told(
            "models", "create", "m", "--target", "echo/x,weight=3", *owner, "-o", "json"
        )
        (target,) = json.loads(shown)["targets"]
        assert target == {"provider_id": ids[owner], "model": "x", "weight": 3, "priority": 0}
    api.told("providers", "create", "mine", "--kind", "echo", "--tenant", "acme")
    assert api.run("providers", "delete", "mine").exit_code == 4


def test_a_list_is_read_to_its_end(api: AdminServer, monkeypatch: pytest.MonkeyPatch):
    """Part by part; `--limit` stops earlier."""
    monkeypatch.setattr("tollway.cli.admin_client._PAGE", 2)
    for number in range(5):
        api.told("tenants", "create", f"t{number}")
    assert len(json.loads(api.told("tenants", "list", "-o", "json"))) == 5
    assert len(json.loads(api.told("tenants", "list", "--limit", "3", "-o", "json"))) == 3
    assert api.told("tenants", "list").count("\n") == 6


def test_secrets_come_from_a_variable_or_standard_input(api: AdminServer):
    """They are in no argument, and in no output."""
    create = ("providers", "create", "p", "--kind", "openai")
    said = api.told(*create, "--secret-env", "P_KEY", env={"P_KEY": "sk-very-secret"})
    said += api.told("credentials", "create", "--provider", "p", "--secret-stdin", given="sk-two\n")
    said += api.told("providers", "get", "p", "-o", "json")
    assert "secret" not in said.replace("--secret", "")
    assert "sk-two" not in said
    rows = json.loads(api.told("credentials", "list", "--provider", "p", "-o", "json"))
    assert [row["sealed"] for row in rows] == [True, True]
    for wrong in (
        (*create, "--secret-env", "NO_SUCH_VARIABLE"),
        (*create, "--secret-env", "P_KEY", "--secret-stdin"),
        ("accounts", "password", "nobody@example.org"),
    ):
        assert api.run(*wrong).exit_code == 2


def test_none_clears_and_an_empty_list_is_one(api: AdminServer):
    """A key without a list may call everything, one with an empty list nothing."""
    api.told("tenants", "create", "acme")
    api.told("keys", "create", "k", "--tenant", "acme", "--models", "a, b", "--tag", "x=1=2")
    seen = []
    for models in ("none", ""):
        update = ("keys", "update", "k", "--tenant", "acme", "--models", models, "-o", "json")
        seen.append(json.loads(api.told(*update)))
    assert [key["models"] for key in seen] == [None, []]
    assert seen[0]["tags"] == {"x": "1=2"}
    assert " none " in api.told("keys", "list", "--tenant", "acme")


def test_a_change_of_something_else_than_was_seen_is_refused(api: AdminServer):
    """The etag that `get` showed holds until somebody changes the object."""
    api.told("tenants", "create", "acme")
    seen = json.loads(api.told("tenants", "get", "acme", "-o", "json"))["etag"]
    change = ("tenants", "update", "acme", "--if-match", seen, "--name")
    api.told(*change, "First")
    done = api.run(*change, "Second")
    assert done.exit_code == 5
    assert "Precondition failed" in done.stderr


def test_exit_codes(api: AdminServer):
    """Each sort of no has its own, and says why on standard error alone."""
    api.told("tenants", "create", "acme")
    viewer = json.loads(
        api.told("tokens", "create", "v", "--tenant", "acme", "--role", "viewer", "-o", "json")
    )["token"]
    told = {
        1: api.run("tenants", "create", "No Slug"),
        2: api.run("tenants", "update", "acme"),
        3: api.run("projects", "create", "x", "--tenant", "acme", token=viewer),
        4: api.run("tenants", "get", "nobody"),
        5: api.run("tenants", "create", "acme"),
    }
    assert {code: done.exit_code for code, done in told.items()} == {code: code for code in told}
    for done in told.values():
        assert done.stdout == ""
        assert done.stderr
    assert api.run("tenants", "list", token="wrong").exit_code == 3
    assert api.run("prices", "create", "m", "--rate", "input").exit_code == 2
    assert api.run("grants", "get", "--model", "m").exit_code == 4
    assert api.run("keys", "list", "--tenant", "none").exit_code == 4
    wrong = ("models", "create", "m", "--target")
    assert api.run(*wrong, "no-slash").exit_code == 2
    api.told("providers", "create", "echo", "--kind", "echo")
    assert api.run(*wrong, "echo/m,height=1").exit_code == 2


def test_a_grant_needs_a_holder(api: AdminServer):
    """Without one there is nothing to ask for."""
    api.told("providers", "create", "echo", "--kind", "echo")
    api.told("models", "create", "m", "--target", "echo/m")
    done = api.run("grants", "delete", "--model", "m")
    assert done.exit_code == 2
    assert "--group" in done.stderr


def test_a_provider_that_does_not_answer_is_a_failure(api: AdminServer):
    """For scripts: `providers test` ends with 1."""
    api.told("providers", "create", "p", "--kind", "openai", "--secret-stdin", given="sk")
    api.told("providers", "test", "p")
    probe = api.plane.app.state.services.probe
    probe.report = type(probe.report)(False, 500, "It is ill.")
    done = api.run("providers", "test", "p")
    assert done.exit_code == 1
    assert "It is ill." in done.stdout


def test_a_tenants_administrator_runs_their_house_and_sees_no_other(api: AdminServer):
    """With a token of the tenant: names are found among what it may see; another's tenant is
    absent."""
    for slug in ("acme", "globex"):
        api.told("tenants", "create", slug)
    of, role = ("--tenant", "acme"), ("--role", "tenant_admin")
    token = json.loads(api.told("tokens", "create", "ci", *of, *role, "-o", "json"))["token"]
    for arguments in (
        ("projects", "create", "search"),
        ("members", "create", "ada@acme.example"),
        ("providers", "create", "p", "--kind", "openai", "--secret-env", "P_KEY"),
        ("credentials", "create", "--provider", "p", "--secret-env", "P_KEY"),
        ("models", "create", "m", "--target", "p/gpt-5-mini"),
        ("keys", "create", "bot", "--project", "search", "--models", "m"),
        ("keys", "rotate", "bot", "--overlap", "60"),
    ):
        api.told(*arguments, *of, token=token, env={"P_KEY": "sk-test"})
    assert [
        row["slug"] for row in json.loads(api.told("tenants", "list", "-o", "json", token=token))
    ] == ["acme"]
    assert api.run("keys", "list", "--tenant", "globex", token=token).exit_code == 4
    assert api.run("tenants", "deactivate", "acme", token=token).exit_code == 3
    said = json.loads(api.told("audit", "list", *of, "--limit", "2", "-o", "json", token=token))
    assert [row["action"] for row in said] == ["key.rotated", "key.created"]
