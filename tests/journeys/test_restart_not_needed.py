"""What a gateway comes through without a restart."""

import resource
from pathlib import Path

from tests.conftest import Show
from tests.torture.full_disk import run_full_disk
from tests.torture.stage import Stage

_SEGMENT_BYTES = 128 * 1024


def test_no_room_for_the_journal(tmp_path: Path, show: Show) -> None:
    """The kernel refuses the worker larger files (RLIMIT_FSIZE, so that no root is needed):
    running streams finish and are billed, new requests get 503, and all is well afterwards."""
    with Stage(tmp_path, journal_segment_bytes=_SEGMENT_BYTES) as stage:
        (worker,) = stage.tree.worker_pids
        soft, hard = resource.prlimit(worker, resource.RLIMIT_FSIZE)

        def allow(size_bytes: int) -> None:
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (size_bytes, hard))

        figures = run_full_disk(stage, lambda: allow(_SEGMENT_BYTES // 2), lambda: allow(soft))
    show(figures)
