"""The ops handler on a real server."""

import json

import pytest

from tests.http.serving import get, post, running
from tollway.web.ops.endpoints import OpsHandler


class Operator:
    """What the handler asks, set by the test."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.broken = False
        self.handler = OpsHandler(lambda: self.reasons, self.metrics)

    async def metrics(self) -> bytes:
        if self.broken:
            raise ConnectionError("a worker does not answer")
        return b"tollway_up 1\n"


@pytest.fixture
def operator():
    return Operator()


@pytest.fixture
def served(operator):
    with running(handler=operator.handler) as served:
        yield served


@pytest.mark.parametrize("path", [b"/livez", b"/healthz"])
def test_alive(served, operator, path):
    """A live process says so, ready or not."""
    operator.reasons.append("draining")
    assert served.talk(get(path)).status == 200


def test_ready(served, operator):
    """Ready is 200; not ready is 503 with the reasons."""
    answer = served.talk(get(b"/readyz"))
    assert answer.status == 200
    assert json.loads(answer.body) == {"ready": True, "reasons": []}
    operator.reasons.append("draining")
    answer = served.talk(get(b"/readyz"))
    assert answer.status == 503
    assert json.loads(answer.body) == {"ready": False, "reasons": ["draining"]}


def test_metrics(served):
    """The text comes as Prometheus wants it."""
    answer = served.talk(get(b"/metrics"))
    assert (answer.status, answer.body) == (200, b"tollway_up 1\n")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_metrics_at_once():
    """A plain function will do."""
    with running(handler=OpsHandler(list, lambda: b"x 1\n")) as served:
        assert served.talk(get(b"/metrics")).body == b"x 1\n"


def test_broken_metrics(served, operator, caplog):
    """A failed scrape is one 500, logged once, without a traceback in the answer."""
    operator.broken = True
    answer = served.talk(get(b"/metrics"))
    assert answer.status == 500
    assert b"worker" not in answer.body
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_everything_else(served):
    """Other paths are 404, other methods 405, bodies refused."""
    assert served.talk(get(b"/")).status == 404
    assert served.talk(post(b"", path=b"/livez")).status == 405
    assert served.talk(post(b"x", path=b"/livez")).status == 413
