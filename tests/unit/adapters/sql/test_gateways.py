"""Who serves from this database, and whether limits can hold with all of them."""

import pytest

from tests.fakes.stores import STORES, store
from tollway.adapters.sql.gateways import SqlGateways
from tollway.domain.gateways import LIVE_S, GatewayRecord, counting_problem

NOW_S = 1_795_000_000


@pytest.fixture(params=STORES)
def gateways(request, tmp_path):
    with store(request.param, tmp_path) as engine:
        yield SqlGateways(engine)


def one(id_="a", workers=1, shares=False, seen_s=NOW_S):
    """A gateway."""
    return GatewayRecord(id_, workers, shares, NOW_S - 100, seen_s)


def test_a_gateway_is_live_as_long_as_it_says_so(gateways):
    """Each time again, until it leaves or is silent for too long."""
    assert gateways.live(NOW_S) == []
    gateways.beat(one())
    gateways.beat(one("b", workers=3))
    gateways.beat(one(seen_s=NOW_S + 10))
    assert sorted(gateways.live(NOW_S + LIVE_S)) == [one(seen_s=NOW_S + 10)]
    gateways.leave("a")
    assert gateways.live(NOW_S) == [one("b", workers=3)]


def test_there_are_no_limits_at_first(gateways):
    """Then several gateways and workers may do as they like."""
    assert not gateways.limited()


@pytest.mark.parametrize(
    ("live", "said"),
    [
        ([], None),
        ([one()], None),
        ([one(workers=2)], "TOLLWAY_WORKERS=1"),
        ([one(), one("b")], "2 gateways"),
        ([one(workers=8, shares=True), one("b", shares=True)], None),
        ([one(shares=True), one("b")], "2 gateways"),
    ],
)
def test_limits_hold_where_there_is_one_place_to_count(live, said):
    """One process, or counters that all share."""
    problem = counting_problem(live)
    assert (problem is None) if said is None else (problem is not None and said in problem)
