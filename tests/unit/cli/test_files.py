"""`apply` and `get`: beside the database and over the API the same."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tests.fakes.admin_server import AdminServer
from tollway.cli.root import root

EXAMPLE = "examples/two-tenants.yaml"


class Here:
    """Commands on a data directory, without a server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments, given=None, env=None):
        environ = {"TOLLWAY_DATA_DIR": str(self.folder / "data"), **(env or {})}
        return CliRunner().invoke(root, list(arguments), input=given, env=environ)

    def told(self, *arguments, **more):
        done = self.run(*arguments, **more)
        assert done.exit_code == 0, done.output
        return done.stdout


@pytest.fixture(params=["here", "afar"])
def place(request, tmp_path):
    if request.param == "here":
        return Here(tmp_path)
    return request.getfixturevalue("api")


def test_the_example_twice(place):
    """The second time nothing is different, and what `get` gives back is the same again."""
    first = place.told("apply", "-f", EXAMPLE)
    assert first.count("\n+ ") + first.startswith("+ ") == 20
    assert first.count("tw_live_") == 2
    assert "~" not in first
    assert place.told("apply", "-f", EXAMPLE) == "= 20 unchanged\nThere was nothing to change.\n"
    file = place.told("get", "-o", "yaml")
    again = place.told("apply", "-f", "-", "--dry-run", "--prune", given=file)
    assert again == "= 20 unchanged\nThere is nothing to change.\n"


def test_a_dry_run_shows_and_changes_nothing(place):
    """The same lines as the run itself, but no keys."""
    plan = place.told("apply", "-f", EXAMPLE, "--dry-run")
    assert "tw_live_" not in plan
    assert yaml.safe_load(place.told("get")) in (None, {})
    done = place.told("apply", "-f", EXAMPLE)
    assert [line for line in plan.splitlines() if line[0] in "+="] == [
        line for line in done.splitlines() if line[0] in "+="
    ]


def test_what_changes_and_what_goes(place, tmp_path):
    """Old and new value under the object; without `--prune` nothing goes."""
    place.told("apply", "-f", EXAMPLE)
    content = yaml.safe_load(Path(EXAMPLE).read_text())
    content["tenants"][0]["name"] = "Acme Inc."
    content["keys"] = content["keys"][:1]
    (tmp_path / "f.yaml").write_text(yaml.safe_dump(content))
    shown = place.told("apply", "-f", str(tmp_path / "f.yaml"), "--dry-run", "--prune")
    assert "~ tenant acme\n    name: Acme Corporation -> Acme Inc.\n" in shown
    assert "- revoke key globex/support-bot\n" in shown
    kept = json.loads(place.told("apply", "-f", str(tmp_path / "f.yaml"), "-o", "json"))
    assert [change["verb"] for change in kept["changes"]] == ["update"]
    assert kept["dry_run"] is False
    assert "revoke" in place.told("apply", "-f", str(tmp_path / "f.yaml"), "--prune")
    assert len(yaml.safe_load(place.told("get", "keys"))["keys"]) == 1


def test_times_in_any_of_the_forms(place, tmp_path):
    """YAML's own times, TOML's and text."""
    (tmp_path / "a.yaml").write_text(
        "tenants: [{slug: a}]\nkeys: [{name: k, tenant: a, expires_at: 2040-01-31T12:00:00Z}]\n"
    )
    (tmp_path / "a.toml").write_text(
        '[[tenants]]\nslug = "a"\n[[keys]]\nname = "k"\ntenant = "a"\n'
        "expires_at = 2040-01-31T13:00:00+01:00\n"
    )
    assert "+ key a/k" in place.told("apply", "-f", str(tmp_path / "a.yaml"))
    assert "nothing to change" in place.told("apply", "-f", str(tmp_path / "a.toml"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tenants: [", "cannot be understood"),
        ("tenants: [{slug: a, nmae: x}]", "tenants[0] (a)"),
        ("keys: [{name: k, tenant: nobody}]", "no tenant 'nobody'"),
        ("[1]", "object"),
    ],
)
def test_a_wrong_file_is_refused(place, text, said):
    """With code 1 and the place; nothing is on standard output."""
    done = place.run("apply", "-f", "-", given=text)
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stdout == ""


def test_a_file_that_is_not_there(place):
    """Is said, whether it is text or not."""
    done = place.run("apply", "-f", "no-such-file.yaml")
    assert done.exit_code == 1
    assert "no-such-file.yaml cannot be read" in done.stderr


def test_what_no_file_holds_is_said_beside_it(api: AdminServer):
    """On standard error: the file stays a file."""
    api.told("providers", "create", "p", "--kind", "openai", "--secret-stdin", given="sk")
    done = api.run("get", "providers")
    assert "p: 1 sealed credential(s)" in done.stderr
    assert "sealed" not in done.stdout


def test_somebody_in_between_is_noticed(api: AdminServer, monkeypatch: pytest.MonkeyPatch):
    """What was done is shown when it is not what was planned."""
    from tollway.cli import apply

    show = apply.show

    def meddling(plan):
        show(plan)
        api.plane.ask("POST", "/tenants", body={"slug": "acme"})

    monkeypatch.setattr(apply, "show", meddling)
    shown = api.told("apply", "-f", "-", given="tenants: [{slug: acme, name: A}]")
    assert "Something was changed meanwhile" in shown
    assert "~ tenant acme  (not of a file until now)" in shown


def test_only_administrators_of_the_platform_apply(api: AdminServer):
    """A tenant's token gets code 3."""
    api.told("tenants", "create", "acme")
    create = ("tokens", "create", "t", "--tenant", "acme", "--role", "tenant_admin", "-o", "json")
    token = json.loads(api.told(*create))["token"]
    assert api.run("apply", "-f", EXAMPLE, token=token).exit_code == 3
    assert api.run("get", token=token).exit_code == 3
