"""Turns that one worker grants at another one, and what becomes of them."""

import pytest

from tests.unit.domain.test_fair_workers import Machine
from tollway.domain.fair_commons import GRANTED_S, GRANTS, REQUESTS, TOKENS, WAITING, WENT
from tollway.domain.fair_share import Capacity

BOUNDED = Capacity(1, 60, 6000)


class Granted:
    """Tenant `a` had a turn at the first worker, and `b` was granted the next one at the second,
    which has not heard of it. What was spent before that stands in `before`."""

    def __init__(self, *, more=0):
        self.machine = machine = Machine(2, BOUNDED)
        machine.come(0, "a", 10)
        for _ in range(1 + more):
            machine.come(1, "b", 20)
        machine.deaf.add(1)
        self.queue, self.seat = machine.queues[1], machine.table.seats[1]
        self.before = self.spent()
        machine.end(0)
        assert self.seat[GRANTS] == 1
        assert self.spent() != self.before

    def spent(self):
        """Of the rates, by all, and by `b`."""
        numbers, finishes = self.machine.table.numbers, self.machine.table.finishes
        used = finishes.everybody.get("b", (2.0, 0.0))[1]
        return [numbers[at] for at in (REQUESTS, TOKENS, WENT)] + [finishes.get("b"), used]


def test_it_is_taken_up():
    """What was spent for it stays, and is not spent again."""
    found = Granted()
    spent = found.spent()
    found.machine.pump(1)
    assert [one[:2] for one in found.machine.running] == [(1, "b")]
    assert found.spent() == spent
    assert (found.seat[GRANTS], found.seat[GRANTED_S]) == (0, 0)


def test_its_request_has_left():
    """Nothing was spent for it, and there is room."""
    found = Granted()
    found.machine.leave(0)
    assert found.spent() == pytest.approx(found.before)
    assert found.machine.queues[0].has_room(found.machine.now_s)


def test_its_request_has_left_and_the_next_goes():
    """In its place, with its own tokens."""
    found = Granted(more=1)
    _, ticket = found.machine.queued.pop(0)
    found.queue.leave(ticket, "b")
    spent = found.spent()
    line = found.queue._lines["b"]
    (one, _, came_s), line.waiting = line.waiting[0], type(line.waiting)()
    line.waiting.append((one, 26, came_s))
    found.machine.pump(1)
    assert [one[:2] for one in found.machine.running] == [(1, "b")]
    more = [after - then for after, then in zip(found.spent(), spent, strict=True)]
    assert more == pytest.approx([0, 6 / 100, 0, 3, 3])


def test_nobody_takes_it_up():
    """It goes back after a moment; its worker has none until it moves."""
    found = Granted(more=1)
    machine = found.machine
    machine.still.add(1)
    machine.look(0.05)
    assert found.seat[GRANTS] == 1
    machine.now_s += 0.06
    assert machine.queues[0].next(machine.now_s) is None
    spent = found.spent()
    assert spent[2:] == pytest.approx(found.before[2:])
    assert spent[0] <= found.before[0]  # some has been paid off
    assert spent[1] <= found.before[1]
    assert found.seat[GRANTS] == 0
    machine.still.clear()
    machine.pump(1)
    assert [one[:2] for one in machine.running] == [(1, "b")]


def test_its_worker_dies():
    """The room is for others at once."""
    found = Granted()
    machine = found.machine
    assert not machine.queues[0].has_room(machine.now_s + 60)
    machine.die(1)
    assert machine.come(0, "a", 10) is None
    assert machine.granted == 0


def test_it_is_room_that_is_taken():
    """Also for its own worker, when nobody waits there any more."""
    found = Granted()
    _, ticket = found.machine.queued.pop()
    found.queue.leave(ticket, "b")
    assert not found.queue.has_room(found.machine.now_s + 60)
    assert found.queue.next(found.machine.now_s) is None
    assert found.queue.has_room(found.machine.now_s + 60)


def test_what_is_said_meanwhile_does_not_move_it():
    """A worker whose account rests says how it stands, and takes the turn up later."""
    found = Granted()
    found.machine.queues[1].wait(object(), "c", 0.1, tokens=1, now_s=1.0)
    before = list(found.seat)
    found.queue.say(alone=True)
    before[WAITING] = 2
    assert found.seat == before
    found.machine.pump(1)
    assert [one[:2] for one in found.machine.running] == [(1, "b")]


def test_one_is_granted_to_each_line_at_a_time():
    """Of many that wait elsewhere the first ones; the rest goes when their worker says who is
    next."""
    machine = Machine(2, Capacity(6))
    for _ in range(6):
        machine.come(0, "a", 10)
    for tenant in ("a", "b", "c", "a", "b", "c"):
        machine.come(1, tenant, 10)
    machine.deaf.add(1)
    for _ in range(6):
        machine.end(0)
    assert (machine.table.seats[1][GRANTS], len(machine.running)) == (3, 0)
    machine.pump(1)
    assert sorted(one[1] for one in machine.running) == ["a", "a", "b", "b", "c", "c"]


def test_a_worker_is_told_once():
    """However many turns it has been granted since it has answered last."""
    machine = Machine(2, Capacity(2))
    for _ in range(2):
        machine.come(0, "a", 10)
    for tenant in "bc":
        machine.come(1, tenant, 10)
    queue, told = machine.queues[0], []
    for _ in range(2):
        queue.done("a", 1.0, more_tokens=0)
        assert queue.next(1.0) is None
        told += queue.to_wake()
    assert told == [1]
    assert machine.table.seats[1][GRANTS] == 2
    assert queue.to_wake() == ()
