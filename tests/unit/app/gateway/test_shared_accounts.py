"""Turns at an account that several workers share, through their pipelines."""

import asyncio
from dataclasses import replace

import pytest

from tests.fakes.commons import Table
from tests.fakes.pipeline import KEY, make_bench, provider, snapshot
from tests.unit.app.gateway.test_sharing import (
    OTHER_KEY,
    Held,
    begun,
    bounded,
    limited,
    settled,
)
from tollway.app.gateway import sharing
from tollway.app.gateway.sharing import Accounts
from tollway.domain.fair_commons import GRANTS, RUNNING, WAITING, WENT
from tollway.domain.fair_share import Capacity
from tollway.domain.refusal import QuotaExceeded

FREE = Capacity()


class Board:
    """A worker's view of tables that all workers see. Who is woken looks in the loop's next turn,
    unless it is to be deaf."""

    def __init__(self, tables, number, boards):
        self.tables, self.number, self.boards = tables, number, boards
        self.accounts, self.deaf = None, False
        self.left = []
        boards.append(self)

    def commons(self, place):
        table = self.tables.setdefault(place, Table(2))
        seat = table.sit(self.number)
        seat.wake = lambda number=None: self.wake(place, number)
        return seat

    def leave(self, place):
        self.left.append(place)

    def wake(self, place, number):
        for one in self.boards:
            if one is not self and number in (None, one.number) and not one.deaf:
                asyncio.get_running_loop().call_soon(one.accounts.look, place)


def workers(config):
    """Two pipelines that share their accounts: gateways and upstreams whose calls a test ends."""
    tables, boards, made = {}, [], []
    for number in range(2):
        bench = make_bench(config=config)
        board = Board(tables, number, boards)
        board.accounts = Accounts(board, draw=lambda: 0.0)
        bench = replace(bench, gateway=replace(bench.gateway, accounts=board.accounts))
        upstream = Held(bench)
        for kind in bench.gateway.upstreams:
            bench.gateway.upstreams[kind] = upstream
        made.append((bench, upstream))
    return made, tables, boards


def account(bench, capacity):
    """The one account."""
    one = provider("one", capacity=capacity)
    return bench.gateway.accounts.get(one, one.credentials[0], "one-model")


async def test_all_together_no_more_than_configured():
    """What one worker has running is not room for the other; what it ends is."""
    made, tables, _ = workers(bounded(Capacity(at_once=2)))
    (one, first), (other, second) = made
    asked = [begun(one), begun(one), begun(other)]
    await settled()
    assert (len(first.calls), len(second.calls)) == (2, 0)
    (table,) = tables.values()
    assert [(seat[RUNNING], seat[WAITING]) for seat in table.seats] == [(2, 0), (0, 1)]
    await first.end()
    assert len(second.calls) == 1
    await first.end()
    await second.end()
    assert [(await each)[1] for each in asked] == [None] * 3
    assert table.held is None


async def test_tenants_take_turns_over_workers():
    """A crowd at both workers does not hold up a tenant at one of them."""
    made, _, _ = workers(bounded(Capacity(at_once=1)))
    (one, first), (other, second) = made
    crowd = [begun(bench) for _ in range(10) for bench in (one, other)]
    await settled()
    others = [begun(other, OTHER_KEY) for _ in range(3)]
    await settled()
    for _ in range(8):
        await (first if first.waiting else second).end()
    assert all(each.done() for each in others)
    for _ in range(15):
        await (first if first.waiting else second).end()
    assert [(await each)[1] for each in crowd] == [None] * 20


async def test_a_worker_that_hears_nothing_looks_by_itself():
    """Bells may be lost."""
    made, _, boards = workers(bounded(Capacity(at_once=1)))
    (one, first), (other, second) = made
    asked = [begun(one), begun(other)]
    await settled()
    boards[1].deaf = True
    await first.end()
    assert not second.calls
    async with asyncio.timeout(5):
        while not second.calls:
            await asyncio.sleep(0.01)
    await second.end()
    assert [(await each)[1] for each in asked] == [None, None]


async def test_a_slow_holder_of_the_lock_is_waited_for():
    """Nobody goes meanwhile, what ends is counted, and then they go."""
    made, tables, _ = workers(bounded(Capacity(at_once=1)))
    (one, first), _ = made
    asked = [begun(one), begun(one)]
    await settled()
    (table,) = tables.values()
    table.held = 1
    await first.end()
    third = begun(one)
    await settled()
    assert (len(first.calls), table.seats[0][RUNNING], table.seats[0][WAITING]) == (1, 0, 2)
    table.held = None
    async with asyncio.timeout(5):
        while len(first.calls) < 2:
            await asyncio.sleep(0.01)
    await first.end()
    await first.end()
    assert [(await each)[1] for each in (*asked, third)] == [None] * 3


async def test_a_complaint_to_one_is_heeded_by_all():
    """An account that wants to be left alone is not asked by the other worker either, and what is
    learned of it is taken up by one that has not known it yet."""
    made, tables, _ = workers(snapshot(("one",)))
    (one, first), (other, second) = made
    assert account(other, None).free
    first.inner.scripts.append(limited(b"60"))
    asked = begun(one)
    await settled()
    first.waiting.pop().set_result(None)
    await asked
    await settled()
    assert not account(other, None).free
    _, verdict = await begun(other)
    assert isinstance(verdict, QuotaExceeded)
    assert 55 <= verdict.retry_after_s <= 60
    assert not second.calls
    (place,) = tables
    board = Board(tables, 1, [])
    late = Accounts(board, draw=lambda: 0.0)
    assert not late.get(provider("one"), provider("one").credentials[0], "one-model").free
    late.look("unknown")
    assert place in late._known


async def test_what_rests_for_one_rests_for_all():
    """As an account says with its answers, until the time it says."""
    made, _, _ = workers(snapshot(("one",)))
    (one, _), (other, _) = made
    mine, theirs = account(one, None), account(other, None)
    mine.rest(0.05)
    await settled()
    assert (mine.free, theirs.free, theirs.is_well) == (False, False, False)
    await asyncio.sleep(0.1)
    _, second = made[1]
    asked = begun(other)
    await settled()
    assert len(second.calls) == 1
    await second.end()
    assert (await asked)[1] is None
    assert theirs.free


async def test_what_runs_free_is_said_now_and_then():
    """So that a complaint finds what all had running."""
    made, _, _ = workers(snapshot(("one",)))
    (one, first), (other, second) = made
    asked = [begun(other) for _ in range(7)]
    await settled()
    other.gateway.accounts.look()
    first.inner.scripts.append(limited(b"0"))
    complained = begun(one)
    await settled()
    first.waiting.pop().set_result(None)
    await complained
    assert account(one, None)._learned.capacity(FREE) == Capacity(6)
    await settled()
    await second.end(7)
    assert [(await each)[1] for each in asked] == [None] * 7


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
async def test_who_leaves_while_it_waits_lets_the_other_worker_go(key):
    """A request that ends while its worker is the first leaves no room unused."""
    made, _, _ = workers(bounded(Capacity(at_once=1)))
    (one, first), (other, second) = made
    running, waits, last = begun(one), begun(other, key), begun(one)
    await settled()
    waits.cancel()
    await settled()
    await first.end()
    await first.end()
    assert [(await each)[1] for each in (running, last)] == [None, None]
    assert not second.calls


async def test_a_granted_turn_goes_to_the_next_when_its_request_has_left(monkeypatch):
    """Its room is used all the same, by whoever waits there or at the other worker."""
    # However late this machine is, the deaf one does not look by itself meanwhile.
    monkeypatch.setattr("tollway.app.gateway.account._LOOK_S", 60.0)
    made, tables, boards = workers(bounded(Capacity(at_once=1)))
    (one, first), (other, second) = made
    asked, waits, last = begun(one), begun(other), begun(one)
    await settled()
    boards[1].deaf = True
    await first.end()
    (table,) = tables.values()
    assert table.seats[1][GRANTS] == 1
    assert (len(first.calls), len(second.calls)) == (1, 0)
    waits.cancel()
    await settled()
    assert table.seats[1][GRANTS] == 0
    await first.end()
    assert [(await each)[1] for each in (asked, last)] == [None, None]
    assert not second.calls


async def test_what_nobody_uses_for_long_is_forgotten(monkeypatch):
    """But not while a request runs or waits there, or the provider wants to hear nothing. Whoever
    comes afterwards is served."""
    made, _, boards = workers(bounded(Capacity(at_once=1)))
    (one, first), (other, second) = made
    monkeypatch.setattr(sharing, "_UNUSED_S", 0.01)
    asked, waits = begun(one), begun(other)
    await settled()
    await asyncio.sleep(0.02)
    for board in boards:
        board.accounts.look()
    assert [board.left for board in boards] == [[], []]
    await first.end()
    await second.end()
    assert [(await each)[1] for each in (asked, waits)] == [None, None]
    account(other, Capacity(at_once=1)).rest(0.05)
    for wait_s, left in ((0.02, 0), (0.1, 1)):
        await asyncio.sleep(wait_s)
        boards[1].accounts.look()
        assert len(boards[1].left) == left
    assert not boards[1].accounts._known
    again = begun(other)
    await settled()
    await second.end()
    assert (await again)[1] is None


async def test_turns_at_another_worker_keep_it_known(monkeypatch):
    """What one learns in them is of use to both."""
    made, tables, boards = workers(bounded(Capacity(at_once=1)))
    account(made[0][0], Capacity(at_once=1))
    monkeypatch.setattr(sharing, "_UNUSED_S", 0.05)
    (table,) = tables.values()
    for _ in range(8):
        table.numbers[WENT] += 1
        boards[0].accounts.look()
        await asyncio.sleep(0.01)
    assert not boards[0].left
    await asyncio.sleep(0.06)
    boards[0].accounts.look()
    assert len(boards[0].left) == 1


async def test_a_forgotten_account_is_not_looked_at_again(monkeypatch):
    """Also if its cells could not be changed just before, and that was to be tried again."""
    made, tables, boards = workers(bounded(Capacity(at_once=1)))
    one = account(made[0][0], Capacity(at_once=1))
    monkeypatch.setattr(sharing, "_UNUSED_S", -1.0)
    (table,) = tables.values()
    table.held = 1
    boards[0].accounts.look()
    assert len(boards[0].left) == 1
    table.held, seat = None, table.seats[0]
    seat[RUNNING] = 5.0  # another account's by now
    await asyncio.sleep(0.03)
    assert (one.running, seat[RUNNING]) == (0, 5.0)
