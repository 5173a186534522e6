"""The master key changes while requests run: nobody is refused, nothing opens with the old one."""

import secrets
import time
from pathlib import Path

from tests.fakes.gateway import PROVIDER_KEY_ENV
from tests.torture.stage import Stage, require, unserved


def sealed(stage: Stage) -> dict[str, bytes]:
    """Every envelope, by what it seals."""
    rows = stage.tree.sql(
        "SELECT id, envelope FROM provider_credentials WHERE envelope IS NOT NULL"
        " UNION ALL SELECT 'pepper ' || version, wrapped FROM peppers"
    )
    return {str(row["id"]): row["envelope"] for row in rows}


def test_the_master_key_is_changed_under_load(tmp_path: Path) -> None:
    """Under streams and single requests on two workers, with a sealed credential behind the
    model: 0 refused, 0 cut; everything is sealed anew, and the old key is gone."""
    with Stage(tmp_path, workers=2, drain_timeout_s=20) as stage:
        tree = stage.tree
        (by_reference,) = tree.sql("SELECT id FROM provider_credentials")
        tree.run(
            *("credentials", "create", "--provider", "simulated"),
            *("--secret-env", PROVIDER_KEY_ENV),
        )
        tree.run("credentials", "delete", str(by_reference["id"]), "--provider", "simulated")
        path = tree.data_dir / "master.key"
        key, before = path.read_text(), sealed(stage)
        assert len(before) == 2
        load = stage.load(close_every=3)
        time.sleep(0.5)
        pids = {*tree.worker_pids, tree.state["admin_pid"]}
        tree.run("master-key", "rotate")
        assert pids.isdisjoint({*tree.worker_pids, tree.state["admin_pid"]})
        after = sealed(stage)
        time.sleep(0.3)
        log = load.stop(20)
        require(unserved(log), stage.unequal_sums(), stage.verdict(log))
        assert len(log) > 64
        assert path.read_text() != key
        assert before.keys() == after.keys()
        assert not any(before[name] == after[name] for name in before)
        assert not (tree.data_dir / "master.key.previous").exists()
        tree.run("doctor")


def test_an_interrupted_change_goes_on(tmp_path: Path) -> None:
    """Killed between any two steps, the gateway starts with what is there, serves, and the next
    run finishes."""
    with Stage(tmp_path) as stage:
        tree = stage.tree
        key, previous = tree.data_dir / "master.key", tree.data_dir / "master.key.previous"
        first = key.read_text()
        for _ in range(2):
            # The key was copied, and not replaced yet; then: replaced, and nothing sealed anew.
            previous.write_text(first)
            assert tree.stop() == 0
            tree.start()
            load = stage.load(streams=4, rate=5.0)
            time.sleep(0.3)
            log = load.stop(20)
            require(unserved(log))
            key.write_text(secrets.token_urlsafe(32) + "\n")
        tree.run("master-key", "rotate")
        assert key.read_text() not in (first,)
        assert not previous.exists()
        assert "The old key is gone" in tree.run("master-key", "rotate")
