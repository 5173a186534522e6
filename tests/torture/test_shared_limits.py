"""G-20 again and again: N = 100 of M = 2,000 concurrent requests over K = 4 processes, at each of
four levels, on counters that they share and that go on from one repeat to the next.
"""

import time
from pathlib import Path

import pytest

from tests.conftest import Show
from tests.fakes.limits import crowd_again, set_quotas
from tests.fakes.quotas import quota
from tests.fakes.stage import Stage
from tests.fakes.valkey import Valkey
from tests.torture.processes import sized

pytestmark = pytest.mark.torture
_ALLOWED, _ASKED = 100, 2000


@pytest.mark.parametrize("level", ["tenant", "key", "end_user", "platform"])
def test_exactly_as_many_as_allowed(level: str, tmp_path: Path, show: Show) -> None:
    """20 repeats in `torture-ci`, 125 in `torture`: no request too many, none too few."""
    server = Valkey()
    stage = Stage(tmp_path, workers=4, drain_timeout_s=5, redis_url=server.url, role="all")
    try:
        stage.begin()
        [key] = stage.tree.sql("SELECT id, tenant_id FROM api_keys")
        repeats, told_to_wait = sized(ci=20, release=125), 0
        for repeat in range(repeats):
            user = f"user{repeat}"
            changes = {
                "tenant": {"tenant_id": key["tenant_id"]},
                "key": {"tenant_id": key["tenant_id"], "scope_id": key["id"]},
                "end_user": {"tenant_id": key["tenant_id"], "scope_id": user},
                "platform": {},
            }[level]
            # What was used before stays used: only an end user is new each time.
            limit = _ALLOWED if level == "end_user" else _ALLOWED * (repeat + 1)
            one = quota(limit, period="total", scope=level, **changes)
            set_quotas(str(stage.tree.data_dir / "tollway.db"), one)
            time.sleep(1)  # published within a second, as journeys prove
            statuses, waited = crowd_again(
                stage.tree.url, stage.tree.key, requests=_ASKED, at_once=200, user=user
            )
            told_to_wait += waited
            assert statuses == {200: _ALLOWED, 429: _ASKED - _ALLOWED}, f"repeat {repeat}"
            stage.tree.wait_for_entries(_ALLOWED * (repeat + 1))
        admitted = {row["request_id"] for row in stage.tree.ledger()}
        assert len(admitted) == _ALLOWED * repeats
        assert "agrees with itself" in stage.tree.command("ledger", "verify")
        show(
            f"{level}: {repeats} times {_ALLOWED} of {_ASKED} over 4 workers, "
            f"{told_to_wait} told to wait"
        )
    finally:
        stage.close()
        server.stop()
