"""Alerts of a whole gateway: a receiver is told of a limit that comes near, once for each percent,
whatever dies meanwhile.
"""

import base64
import hashlib
import hmac
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.fakes.gateway import ended, wait_until
from tests.fakes.limits import crowd
from tests.fakes.receiver import OK, Received, Receiver, answering, running_receiver
from tests.fakes.stage import Stage

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A gateway whose tenant may make ten requests a day, with alerts at 50 and 100 percent."""
    made = Stage(tmp_path, workers=1, drain_timeout_s=5, role="all")
    made.begin()
    try:
        limit = {
            "tenant_id": _tenant(made),
            "scope": "tenant",
            "metric": "requests",
            "period": "day",
            "limit": 10,
            "name": "trial",
            "alert_at": [50, 100],
        }
        _admin(made, "POST", "/quotas", limit)
        time.sleep(1.0)  # published within a second
        yield made
    finally:
        made.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Who is told."""
    with running_receiver(Receiver()) as made:
        yield made


def test_each_percent_is_told_once(stage: Stage, receiver: Receiver) -> None:
    """At 50 and at 100 percent, signed, and then no more."""
    secret = _webhook(stage, receiver)["secret"]
    assert crowd(stage.tree.url, stage.tree.key, requests=4, at_once=1) == {200: 4}
    stage.tree.wait_for_entries(4)
    time.sleep(6)  # longer than from one look to the next
    assert not receiver.requests
    assert stage.chat("tokens=1").status == 200
    wait_until(lambda: len(receiver.requests) == 1)
    assert _told(receiver) == [(50, 5)]
    assert crowd(stage.tree.url, stage.tree.key, requests=20, at_once=5) == {200: 5, 429: 15}
    wait_until(lambda: len(receiver.requests) == 2)
    time.sleep(7)
    assert _told(receiver) == [(50, 5), (100, 10)]
    assert all(_is_signed(secret, one) for one in receiver.requests)
    assert [one["kind"] for one in _events(stage)] == ["quota.threshold_reached"] * 2


def test_what_was_not_heard_is_told_again_after_the_keeper_was_killed(
    stage: Stage, receiver: Receiver
) -> None:
    """The same notice under the same id, and one event."""

    def deliveries() -> Any:
        return stage.tree.sql("SELECT reason FROM deliveries")

    receiver.answer = answering(503)
    _webhook(stage, receiver)
    assert crowd(stage.tree.url, stage.tree.key, requests=5, at_once=1) == {200: 5}
    # Not before the failure is on record: killed while it sends, it is due when its lease ends.
    wait_until(lambda: all(row["reason"] for row in deliveries()) and deliveries() != [])
    keeper = stage.tree.keeper_pid
    os.kill(keeper, signal.SIGKILL)
    assert ended(keeper)
    before = len(receiver.requests)
    receiver.answer = lambda: [OK]
    wait_until(lambda: stage.tree.keeper_pid != keeper)
    wait_until(lambda: len(receiver.requests) == before + 1)
    time.sleep(7)
    assert len(receiver.requests) == before + 1
    assert len({one.headers["webhook-id"] for one in receiver.requests}) == 1
    [event] = _events(stage)
    assert event["id"] == receiver.requests[0].headers["webhook-id"]


def _tenant(stage: Stage) -> str:
    [row] = stage.tree.sql("SELECT tenant_id FROM api_keys")
    return str(row["tenant_id"])


def _webhook(stage: Stage, receiver: Receiver) -> Any:
    """The platform's: a tenant's may not lead to this machine."""
    url = f"http://127.0.0.1:{receiver.port}/hook"
    return _admin(stage, "POST", "/webhooks", {"name": "pager", "format": "json", "url": url})


def _events(stage: Stage) -> Any:
    return _admin(stage, "GET", "/events")["data"]


def _admin(stage: Stage, method: str, path: str, body: object = None) -> Any:
    tree = stage.tree
    asked = Request(
        f"{tree.state['admin_url']}/api/v1{path}",
        None if body is None else json.dumps(body).encode(),
        {
            "authorization": f"Bearer {(tree.data_dir / 'admin.token').read_text().strip()}",
            "content-type": "application/json",
        },
        method=method,
    )
    with urlopen(asked, timeout=60) as answer:
        return json.load(answer)


def _told(receiver: Receiver) -> list[tuple[int, object]]:
    facts = [json.loads(one.body)["data"] for one in receiver.requests]
    return [(one["percent"], one["used"]) for one in facts]


def _is_signed(secret: str, one: Received) -> bool:
    """As docs/alerts.md says."""
    signed = f"{one.headers['webhook-id']}.{one.headers['webhook-timestamp']}.".encode() + one.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    right = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return hmac.compare_digest(right, one.headers["webhook-signature"])
