"""A client is gone in the middle of a stream."""

import random
from pathlib import Path

from tests.conftest import Show
from tests.torture.leavers import run_leavers


def test_what_a_leaving_client_received_is_billed(tmp_path: Path, show: Show) -> None:
    """20 clients leave: the provider's socket is closed within 1 s, and the tokens received so
    far are in the ledger, marked estimated, payer client_gone."""
    show(run_leavers(tmp_path, 20, random.randrange(1 << 32)))
