"""Tables A and B of the attack list: each row is held by a test that is there; some are here."""

import ast
import time
from functools import cache
from pathlib import Path

import pytest

from tests.attacks.identity import LATER, ROWS
from tests.fakes.control_plane import ControlPlane
from tests.fakes.database import database
from tests.fakes.pipeline import KEY, make_bench, snapshot
from tollway.app.gateway.admit import WRONG_KEY
from tollway.domain.refusal import Unauthenticated

ROOT = Path(__file__).parents[2]
BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
ALL = {*range(1, 5), *range(6, 10), *range(11, 27), 28, 29, 31, 32}  # the list's own gaps left out


@cache
def names_in(path):
    tree = ast.parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_every_row_is_held():
    """By tests that exist, or it says what it waits for."""
    assert ROWS.keys() | LATER.keys() == ALL
    assert not ROWS.keys() & LATER.keys()
    for row, held in ROWS.items():
        for place in held:
            path, _, name = place.partition("::")
            assert name in names_in(path), (row, place)


@pytest.fixture
def plane(tmp_path):
    engine = database(tmp_path)
    plane = ControlPlane(engine)
    yield plane
    plane.close()
    engine.dispose()


class Untouchable:
    """A configuration that nobody may look into."""

    def get(self, _):
        raise AssertionError("looked up")


@pytest.mark.parametrize("credential", [None, KEY[:-1] + ("0" if KEY[-1] != "0" else "1"), "tw_x"])
async def test_no_credential_costs_nothing(credential):
    """Rows 1 and 2: refused without one look-up."""
    bench = make_bench(config=snapshot(keys=Untouchable(), tenants=Untouchable()))
    headers = [] if credential is None else [(b"authorization", f"Bearer {credential}".encode())]
    _, verdict = await bench.ask(BODY, headers=headers)
    assert isinstance(verdict, Unauthenticated)
    assert (verdict is WRONG_KEY) == (credential is not None)
    assert not bench.upstream.calls


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("token", "twp_0123456789ab_secret"),
        ("api_key", "tw_live_0123456789ab_x"),
        ("x", "tw_test_01234567"),
    ],
)
def test_a_credential_in_the_url_is_refused(plane, name, text, caplog):
    """Row 17: 400, whether or not a good one is in the header, and it is not logged. (The gateway's
    side: `test_how_a_key_may_be_sent`.)"""
    answer = plane.ask("GET", "/tenants", query={name: text})
    assert (answer.status, answer.json["type"]) == (400, "urn:tollway:problem:token_in_url")
    assert text not in caplog.text
    assert plane.ask("GET", "/tenants", query={"q": "twp_"}).status == 200


@pytest.mark.parametrize(
    "host", ["good/admin?", "a@b", "a b", "", "x:99999999", "x/..?#", "[::1", "a,b", "a\\b"]
)
def test_the_host_decides_nothing(plane, host):
    """Row 28: one that is none is refused, and the path alone says what is asked."""
    assert plane.ask("GET", "/tenants", headers={"host": host}).status == 400
    for good in ("admin.example.org", "localhost:5000", "[::1]:5000", "10.0.0.1"):
        assert plane.ask("GET", "/tenants", headers={"host": good}).status == 200


def test_a_search_is_plain_text(plane):
    """Row 29: wildcards and patterns are letters; long ones are refused; none is slow."""
    for number in range(50):
        made = plane.ask("POST", "/tenants", body={"slug": f"t-{number}", "name": "a" * 150})
        assert made.status == 201
    for search in ("%", "%" * 100, "_", "_%" * 50, "(a+)+$" * 20, "' OR 1=1 --", "\\", "a%"):
        began = time.process_time()
        answer = plane.ask("GET", "/tenants", query={"q": search})
        took_s = time.process_time() - began
        assert (answer.status, answer.json["data"]) == (200, []), search
        assert took_s < 0.5
    assert plane.ask("GET", "/tenants", query={"q": "x" * 10_000}).status == 400
    assert len(plane.ask("GET", "/tenants", query={"q": "t-4"}).json["data"]) == 11
