"""What workers of one machine share of providers' accounts, with real processes beside us."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from tollway.adapters.control import account_board
from tollway.adapters.control.account_board import AccountBoard
from tollway.domain.fair_commons import RUNNING, VIRTUAL, WAITING


@pytest.fixture
async def boards(tmp_path):
    """Makes boards of workers in this process; each is closed at the end."""
    made = []

    def make(seat, heard=None):
        board = AccountBoard(str(tmp_path), seat)
        board.open((lambda _: None) if heard is None else heard.append)
        made.append(board)
        return board

    yield make
    for board in made:
        board.close()


def other(folder, script):
    """Another process with a board at seat 5 and the cells of account `acc`; it says a line when
    the script has run, and then waits."""
    code = f"""
import sys
from tollway.adapters.control.account_board import AccountBoard
board = AccountBoard({str(folder)!r}, 5)
cells = board.commons("acc")
{script}
print("there", flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"there\n"
    return process


def ended(process):
    """It is gone, as a machine ends a process."""
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


async def test_what_one_writes_all_read(boards):
    """Numbers, finishes and seats of the same account; another account has its own."""
    one, two = boards(0), boards(1)
    mine, theirs = one.commons("acc"), two.commons("acc")
    assert one.commons("acc") is mine
    mine.numbers[VIRTUAL] = 7.0
    mine.seat[RUNNING] = 3
    mine.finishes.put("ten_a", 11.0)
    one.beat()
    assert theirs.numbers[VIRTUAL] == 7.0
    assert [(number, seat[RUNNING]) for number, seat in theirs.others()] == [(0, 3.0)]
    assert (theirs.finishes.get("ten_a"), theirs.finishes.get("ten_b")) == (11.0, 0.0)
    elsewhere = two.commons("other")
    assert (elsewhere.numbers[VIRTUAL], elsewhere.finishes.get("ten_a")) == (0.0, 0.0)


async def test_whoever_comes_first_makes_it_anew(boards, tmp_path):
    """What is left of workers that are all gone is of no use; while one is there it stays."""
    first = AccountBoard(str(tmp_path), 0)
    first.open(lambda _: None)
    first.commons("acc").numbers[VIRTUAL] = 7.0
    second = AccountBoard(str(tmp_path), 1)
    assert second.commons("acc").numbers[VIRTUAL] == 7.0
    first.close()
    second.close()
    assert boards(0).commons("acc").numbers[VIRTUAL] == 0.0


async def test_a_successor_begins_with_nothing_running(boards, tmp_path):
    """What a worker had under way that was killed is not counted any more when another one has its
    seat, and after a moment without one."""
    mine = boards(0)
    process = other(tmp_path, "board.beat(); cells.seat[0] = 4")
    mine.beat()
    assert [seat[RUNNING] for _, seat in mine.commons("acc").others()] == [4.0]
    ended(process)
    process = other(tmp_path, "board.beat()")
    assert [seat[RUNNING] for _, seat in mine.commons("acc").others()] == [0.0]
    ended(process)


async def test_a_dead_worker_is_forgotten(boards, tmp_path, monkeypatch):
    """Some time after its last beat."""
    mine = boards(0)
    process = other(tmp_path, "board.beat(); cells.seat[0] = 4")
    mine.beat()
    assert mine.alive == (5,)
    ended(process)
    monkeypatch.setattr(account_board, "_ALIVE_S", 0.0)
    mine.beat()
    assert list(mine.commons("acc").others()) == []


_COUNT = """
from tollway.adapters.control.account_board import AccountBoard
cells = AccountBoard({folder!r}, {seat}).commons("acc")
for _ in range(2000):
    while not cells.lock():
        pass
    cells.numbers[0] += 1
    cells.unlock()
"""


async def test_changes_are_made_by_one_at_a_time(boards, tmp_path):
    """A counter that three processes count up has all their counts."""
    mine = boards(0).commons("acc")
    codes = [_COUNT.format(folder=str(tmp_path), seat=seat) for seat in (5, 6, 7)]
    processes = [subprocess.Popen([sys.executable, "-c", code]) for code in codes]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert mine.numbers[VIRTUAL] == 6000


async def test_a_lock_ends_with_its_process(boards, tmp_path):
    """Nobody else has it while it is held, and a kill frees it. Other accounts have their own."""
    board = boards(0)
    mine = board.commons("acc")
    process = other(tmp_path, "assert cells.lock()")
    assert not mine.lock()
    assert board.commons("other").lock()
    board.commons("other").unlock()
    ended(process)
    assert mine.lock()
    mine.unlock()


async def test_a_holder_that_stands_still_is_not_waited_for(boards, tmp_path, monkeypatch):
    """After a second all go on without the lock."""
    monkeypatch.setattr(account_board, "_STUCK_S", 0.05)
    mine = boards(0).commons("acc")
    process = other(tmp_path, "assert cells.lock()")
    os.kill(process.pid, signal.SIGSTOP)
    assert not mine.lock()
    time.sleep(0.06)
    assert mine.lock()
    ended(process)


async def test_one_worker_wakes_another(boards):
    """By the account's name; all at once; and a worker that comes is seen by those that are
    there. What the other does not know is no news to it."""
    heard = [[], [], []]
    one, two = boards(0, heard[0]), boards(1, heard[1])
    await asyncio.sleep(0.05)
    assert one.alive == (1,)
    three = boards(2, heard[2])
    await asyncio.sleep(0.05)
    assert (one.alive, two.alive, three.alive) == ((1, 2), (0, 2), (0, 1))
    mine = one.commons("acc")
    two.commons("acc")
    mine.wake(1)
    mine.wake(2)
    one.wake(63, 0)  # where nobody is
    await asyncio.sleep(0.05)
    assert heard == [[], ["acc"], []]
    three.commons("acc")
    mine.wake()
    await asyncio.sleep(0.05)
    assert heard == [[], ["acc", "acc"], ["acc"]]


async def test_a_deep_folder_is_no_hindrance(tmp_path):
    """Addresses of sockets are short, paths are not."""
    folder = tmp_path / ("deep" * 20) / ("deeper" * 10)
    folder.mkdir(parents=True)
    heard = []
    one, two = AccountBoard(str(folder), 0), AccountBoard(str(folder), 1)
    one.open(heard.append)
    two.open(heard.append)
    for board in (one, two):
        board.commons("acc")
    two.commons("acc").wake(0)
    await asyncio.sleep(0.05)
    assert heard == ["acc"]
    one.close()
    two.close()


async def test_who_is_least_ahead_is_forgotten(boards):
    """There is room for some tenants of an account; the others are as if they had just come."""
    one, two = boards(0).commons("acc"), boards(1).commons("acc")
    for number in range(300):
        one.finishes.put(f"ten_{number}", 1.0 + number)
    assert [two.finishes.get(f"ten_{number}") for number in (0, 100, 299)] == [0.0, 101.0, 300.0]
    two.finishes.put("ten_0", 500.0)
    assert one.finishes.get("ten_0") == 500.0
    for number in range(600):
        two.finishes.put(f"more_{number}", 1000.0 + number)
    assert one.finishes.get("more_599") == 1599.0
    assert one.finishes.get("ten_299") == 0.0


async def test_with_too_many_accounts_a_worker_is_alone(boards, caplog):
    """As if there were no others, and it is said."""
    board = boards(0)
    for place in range(len(board._names)):
        board._names[place] = 2 * place + 2
        board._users[place] = 1 << 7
    found = board.commons("acc")
    assert not found.is_shared
    assert found.lock()
    found.wake()
    found.unlock()
    assert list(found.others()) == []
    assert "not shared" in caplog.text


def filled(board):
    """Accounts of a worker at all places but one."""
    for number in range(len(board._names) - 1):
        assert board.commons(f"acc_{number}").is_shared


async def test_an_account_that_nobody_uses_leaves_its_place(boards):
    """To one that comes, which begins with nothing; until then what was known of it stays."""
    one, two = boards(0), boards(1)
    filled(one)
    mine, theirs = one.commons("acc"), two.commons("acc")
    mine.numbers[VIRTUAL], mine.seat[RUNNING] = 7.0, 1
    mine.finishes.put("ten_a", 11.0)
    one.leave("acc")
    one.leave("acc")
    one.beat()
    assert [seat[RUNNING] for _, seat in theirs.others()] == [0.0]
    assert not one.commons("another").is_shared  # the other worker has a use for it
    two.leave("acc")
    assert two.commons("acc").numbers[VIRTUAL] == 7.0
    two.leave("acc")
    found = one.commons("another")
    assert found.is_shared
    assert (found.numbers[VIRTUAL], found.finishes.get("ten_a")) == (0.0, 0.0)
    assert not two.commons("acc").is_shared


async def test_a_place_that_was_left_is_rung_for_by_nobody(boards):
    """A worker that left hears no more of the account, nor of the one that came to its place."""
    heard = []
    one, two = boards(0), boards(1, heard)
    filled(one)
    two.commons("acc")
    two.leave("acc")
    one.commons("another").wake(1)
    await asyncio.sleep(0.05)
    assert heard == []


async def test_a_dead_workers_accounts_are_left_by_its_successor(boards, tmp_path):
    """What it has no use for itself."""
    mine = boards(0)
    filled(mine)
    ended(other(tmp_path, "board.beat(); cells.seat[0] = 4"))
    assert not mine.commons("another").is_shared
    boards(5)
    assert mine.commons("another").is_shared


async def test_one_worker_speaks_for_its_machine(boards):
    """The first that lives; it sees what all workers know, by names that every machine has."""
    two, one = boards(1), boards(0)
    two.beat()
    assert (one.speaks, two.speaks) == (True, False)
    assert one.machine == two.machine
    assert len(one.machine) == 16
    theirs = two.commons("acc")
    theirs.finishes.put("ten_a", 5.0)
    theirs.finishes.used("ten_a", 2.0, 30.0)
    theirs.finishes.used("ten_a", 2.0, -10.0)
    theirs.finishes.used("ten_b", 2.0, 1.0)
    theirs.seat[RUNNING], theirs.seat[WAITING] = 3, 4
    ((name, account),) = one.accounts().items()
    assert account.standing() == (3, 4)
    ((tenant, known),) = account.tenants().items()
    assert known == (2.0, 20.0)
    assert (name, tenant) == (f"{account_board._digest('acc'):x}",
                              f"{account_board._digest('ten_a'):x}")  # fmt: skip
    assert one.accounts()[name] is account


async def test_the_part_of_a_weight_that_counts_here(boards):
    """As the machines have split it; in full for whom nothing was said."""
    one, two = boards(0), boards(1)
    mine = one.commons("acc")
    mine.finishes.put("ten_a", 5.0)
    mine.finishes.put("ten_b", 5.0)
    (account,) = two.accounts().values()
    tenant = f"{account_board._digest('ten_a'):x}"
    account.split({tenant: 0.25, "77": 0.5})
    splits = [mine.finishes.split(one) for one in ("ten_a", "ten_b", "ten_c")]
    assert splits == [0.25, 1.0, 1.0]
    account.split({})
    assert mine.finishes.split("ten_a") == 1.0
