"""A real full disk: a small file system of its own, which only root can mount."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Show
from tests.torture.full_disk import run_full_disk
from tests.torture.processes import sized
from tests.torture.stage import Stage

_SEGMENT_BYTES = 128 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs to mount a file system of its own")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.torture
@pytest.mark.parametrize("round_", range(sized(ci=1, release=20)))
def test_nothing_is_lost_on_a_full_disk(
    small_disk: Path, tmp_path: Path, round_: int, show: Show
) -> None:
    """Journal, database and logs have no room at once: running streams finish and are billed, new
    requests get 503, and when there is room again everything goes on without a restart."""
    filler = small_disk / "filler"

    def fill() -> None:
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return

    with Stage(small_disk, logs=tmp_path, journal_segment_bytes=_SEGMENT_BYTES) as stage:
        figures = run_full_disk(stage, fill, filler.unlink)
    show(figures)
