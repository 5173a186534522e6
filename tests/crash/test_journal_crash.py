"""The journal under SIGKILL, a full disk and a reader in another process: real processes only."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.journals import slot_lock
from tollway.adapters.journal.reader import DiskJournalReader
from tollway.adapters.journal.slots import acquire_slot, is_held, take_slot

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parents[2]
_HERE = Path(__file__).parent


def _command(script: str, *arguments: object) -> dict[str, Any]:
    return {
        "args": [sys.executable, str(_HERE / script), *map(str, arguments)],
        "env": {**os.environ, "PYTHONPATH": f"{_ROOT}{os.pathsep}{_ROOT / 'src'}"},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


def _result(script: str, *arguments: object) -> dict[str, int]:
    done = subprocess.run(**_command(script, *arguments), timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_killed_before_and_within_each_act_of_serving(tmp_path: Path) -> None:
    """delivered <= billed <= emitted and exactly one outcome for each recorded intent, whatever
    store, sync, allocation, rename or deletion the owner died at."""
    result = _result("journal_points.py", tmp_path, "serve")
    assert result["points"] > 400
    assert result["recovered"] > 100


def test_killed_before_and_within_each_act_of_recovery(tmp_path: Path) -> None:
    """A recovery that dies anywhere and is run again ends in the same receipts."""
    result = _result("journal_points.py", tmp_path, "recover")
    assert result["points"] > 100
    assert result["recovered"] > 10


def test_a_reader_in_another_process_misses_and_doubles_nothing(tmp_path: Path) -> None:
    """50,000 outcomes written at full speed and read meanwhile: in order, each once, no damage,
    and most of it deleted behind the reader."""
    total = 50_000
    with subprocess.Popen(**_command("journal_owner.py", tmp_path / "j", "write", total)) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        reader = DiskJournalReader(tmp_path / "j")
        (source,) = reader.sources()
        after, seen, reads = (0, 0), 0, 0
        end = time.monotonic() + 120
        while seen < total:
            batch = reader.read(source, after, 700)
            for receipt in batch.receipts:
                assert receipt.request_id == f"req_{seen}"
                assert receipt.output == seen
                seen += 1
            assert batch.damaged == 0
            after = batch.upto
            reads += 1
            reader.forget(source, after)
            assert time.monotonic() < end
        assert reads > total / 700
        assert owner.wait(60) == 0
    assert len(list((tmp_path / "j" / "0").glob("*.seg"))) <= 3


def test_a_killed_owner_frees_its_slot(tmp_path: Path) -> None:
    """While the owner lives a second one gets the next slot; SIGKILL frees the lock at once."""
    with subprocess.Popen(**_command("journal_owner.py", tmp_path / "j", "hold")) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        assert is_held(tmp_path / "j" / "0")
        assert take_slot(tmp_path / "j", 0) is None
        second = acquire_slot(tmp_path / "j", wait_s=0)
        assert second is not None
        assert second.slot == 1
        owner.send_signal(signal.SIGKILL)
        owner.wait(60)
    assert not is_held(tmp_path / "j" / "0")
    slot_lock(tmp_path / "j").release()
    second.release()


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs file size limits")
def test_a_limit_on_file_sizes_refuses_and_recovers(tmp_path: Path) -> None:
    """A real refusal by the kernel (RLIMIT_FSIZE) while segments are made: new work is refused,
    open work is settled, and when the limit is lifted the same process goes on."""
    result = _result("journal_owner.py", tmp_path / "j", "limited")
    assert result["refused"] > 0
    assert result["settled"] == result["admitted"]
    assert result["after"] > 0
