"""`audit`, `master-key`, `openapi`: beside the database."""

import json
import sqlite3

import pytest
import yaml
from click.testing import CliRunner

from tollway.adapters.system.secrets import new_master_key
from tollway.cli.root import root
from tollway.config import load_settings
from tollway.domain.audit import head_mac
from tollway.wiring.desk import open_desk
from tollway.wiring.options import audit_secret

EXAMPLE = "examples/two-tenants.yaml"
OLD, NEW = new_master_key(), new_master_key()


@pytest.fixture
def run(tmp_path):
    def told(*arguments, code=0, **env):
        environ = {"TOLLWAY_DATA_DIR": str(tmp_path / "data"), "TOLLWAY_MASTER_KEY": OLD, **env}
        done = CliRunner().invoke(root, list(arguments), env=environ)
        assert done.exit_code == code, done.output
        return done.output

    return told


def head_of(tmp_path):
    """What the keeper of this data directory writes into its log."""
    settings = load_settings(
        {"TOLLWAY_DATA_DIR": str(tmp_path / "data"), "TOLLWAY_MASTER_KEY": OLD}
    )
    with open_desk(settings) as desk, desk.configuration.read() as uow:
        seq, digest = uow.audit.head()
    return f"{seq}:{head_mac(audit_secret(settings), seq, digest)}"


def test_a_changed_row_is_named(run, tmp_path):
    """The chain is whole until somebody changes a row behind our back."""
    run("apply", "-f", EXAMPLE)
    assert "the chain is whole" in run("audit", "verify")
    with sqlite3.connect(tmp_path / "data" / "tollway.db") as database:
        (seq,) = database.execute("SELECT max(seq) - 2 FROM audit_log").fetchone()
        database.execute("UPDATE audit_log SET actor_name = 'nobody' WHERE seq = ?", (seq,))
    database.close()
    said = run("audit", "verify", code=1)
    assert f"Row {seq} is not what it was" in said
    assert f"{seq - 1} rows before are whole" in said


def test_a_cut_tail_shows_with_a_head(run, tmp_path):
    """Given as it is, or in the keeper's log; and after the master key was changed."""
    run("apply", "-f", EXAMPLE)
    head = head_of(tmp_path)
    log = tmp_path / "serve.log"
    log.write_text(f'{{"message": "audit head", "head": "1:{"0" * 64}"}}\n{{"head": "{head}"}}\n')
    for given in (head, str(log)):
        assert "whole" in run("audit", "verify", "--head", given)
    both = {"TOLLWAY_MASTER_KEY": NEW, "TOLLWAY_MASTER_KEY_PREVIOUS": OLD}
    assert "whole" in run("audit", "verify", "--head", head, **both)
    with sqlite3.connect(tmp_path / "data" / "tollway.db") as database:
        database.execute("DELETE FROM audit_log WHERE seq = (SELECT max(seq) FROM audit_log)")
    database.close()
    assert "whole" in run("audit", "verify")
    missing = head.split(":")[0]
    assert f"Row {missing} is not what it was, or is missing" in run(
        "audit", "verify", "--head", head, code=1
    )
    for wrong in ("no-such-file", __file__):
        run("audit", "verify", "--head", wrong, code=2)


def test_the_master_key_is_changed(run):
    """Everything is sealed anew once; the old key is not needed after that. It is in the audit."""
    run("apply", "-f", EXAMPLE)
    assert "TOLLWAY_MASTER_KEY_PREVIOUS" in run("master-key", "rotate", code=1)
    same = {"TOLLWAY_MASTER_KEY_PREVIOUS": OLD}
    assert "is the old one" in run("master-key", "rotate", code=1, **same)
    both = {"TOLLWAY_MASTER_KEY": NEW, "TOLLWAY_MASTER_KEY_PREVIOUS": OLD}
    said = run("master-key", "rotate", **both)
    assert said.startswith("1 sealed anew, 0 were already.")
    assert "TOLLWAY_MASTER_KEY_PREVIOUS can go" in said
    assert run("master-key", "rotate", **both).startswith("0 sealed anew, 1 were already.")
    assert "nothing to change" in run("apply", "-f", EXAMPLE, TOLLWAY_MASTER_KEY=NEW)
    other = {"TOLLWAY_MASTER_KEY_PREVIOUS": new_master_key()}
    assert "does not open" in run("master-key", "rotate", code=1, **other)


def test_the_document_is_printed_in_either_form(run):
    """It is the API's."""
    document = json.loads(run("openapi"))
    assert document["openapi"].startswith("3.1")
    assert "/api/v1/apply" in document["paths"]
    assert yaml.safe_load(run("openapi", "-o", "yaml")) == document
