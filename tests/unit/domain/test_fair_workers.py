"""Turns at an account before which several workers stand, each with a queue of its own."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.commons import Table
from tollway.domain.fair_commons import GRANTS, RUNNING, WAITING, WENT
from tollway.domain.fair_share import Capacity, FairQueue
from tollway.domain.learned_capacity import LearnedCapacity

WEIGHTS = {"a": 1.0, "b": 2.0, "c": 0.5}


class Machine:
    """Several workers and a clock. Whoever is woken looks at once, unless it stands still (it does
    nothing until it moves), or is deaf: then it looks when time passes."""

    def __init__(self, workers, capacity):
        self.table = Table(workers)
        self.now_s = 1.0
        self.queues = [FairQueue(capacity, 0.0, self.table.sit(one)) for one in range(workers)]
        self.still, self.deaf = set(), set()
        self.running = []  # (worker, tenant, tokens)
        self.served = dict.fromkeys(WEIGHTS, 0)
        self.queued = []  # (worker, ticket)
        self.most = self.went = 0

    def come(self, worker, tenant, tokens):
        """A request. Returns its ticket if it waits."""
        queue = self.queues[worker]
        if queue.enter(tenant, WEIGHTS[tenant], tokens=tokens, now_s=self.now_s):
            queue.say()
            self._went(worker, (tenant, tokens))
            return None
        ticket = tenant, tokens, object()
        queue.wait(ticket, tenant, WEIGHTS[tenant], tokens=tokens, now_s=self.now_s)
        self.queued.append((worker, ticket))
        self.pump(worker)
        return ticket

    def leave(self, place):
        """One that waits has enough of it."""
        worker, ticket = self.queued.pop(place)
        self.queues[worker].leave(ticket, ticket[0])
        self.pump(worker)

    def die(self, worker):
        """A worker is gone, with all that it has."""
        self.table.gone.add(worker)
        self.still.add(worker)
        self.running = [one for one in self.running if one[0] != worker]
        self.queued = [one for one in self.queued if one[0] != worker]

    def end(self, place, *, more=0):
        """One that runs ends."""
        worker, tenant, _ = self.running.pop(place)
        self.queues[worker].done(tenant, WEIGHTS[tenant], more_tokens=more)
        self.pump(worker)

    def pump(self, worker):
        """A worker lets go whom it can, and wakes whoever is before it."""
        if worker in self.still:
            return
        queue = self.queues[worker]
        while (ticket := queue.next(self.now_s)) is not None:
            self.queued.remove((worker, ticket))
            self._went(worker, ticket)
        queue.say(alone=True)
        for woken in queue.to_wake():
            if woken not in self.deaf:
                self.pump(woken)

    def look(self, seconds):
        """Time passes, and every worker looks."""
        self.now_s += seconds
        for worker in range(len(self.queues)):
            self.pump(worker)

    @property
    def waiting(self):
        return len(self.queued)

    @property
    def granted(self):
        """Turns that workers have which live, and have not taken up."""
        gone = self.table.gone
        return sum(seat[GRANTS] for one, seat in enumerate(self.table.seats) if one not in gone)

    def _went(self, worker, ticket):
        self.running.append((worker, ticket[0], ticket[1]))
        self.served[ticket[0]] += max(ticket[1], 1)
        self.went += 1
        self.most = max(self.most, len(self.running))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), at_once=st.integers(1, 8), workers=st.integers(2, 5))
@pytest.mark.uncounted
def test_shares_are_by_weight_over_all_workers(seed, at_once, workers):
    """Of three that always wait one comes to each worker, one to two of them and one to the first
    only; all the same each has its weight's part of all tokens within 10 %, no more than what the
    account takes runs, and what it takes is taken up."""
    chance = Random(seed)
    machine = Machine(workers, Capacity(at_once))
    places = {"a": range(workers), "b": (0,), "c": (0, workers - 1)}
    waits = {(tenant, place): 0 for tenant in WEIGHTS for place in places[tenant]}

    def top_up():
        for tenant, place in waits:
            line = machine.queues[place]._lines.get(tenant)
            for _ in range(4 - (0 if line is None else len(line.waiting))):
                machine.come(place, tenant, chance.randint(1, 100))

    top_up()
    for _ in range(900):
        machine.end(chance.randrange(len(machine.running)))
        assert len(machine.running) == at_once  # nothing is left while somebody waits
        top_up()
    shares = {tenant: machine.served[tenant] / WEIGHTS[tenant] for tenant in WEIGHTS}
    mean = sum(shares.values()) / len(shares)
    assert machine.most <= at_once
    assert all(abs(one - mean) <= 0.1 * mean for one in shares.values()), shares


STEP = st.one_of(
    st.tuples(st.just("come"), st.sampled_from(sorted(WEIGHTS)), st.integers(0, 3000)),
    st.tuples(st.just("end"), st.integers(0, 50), st.integers(-300, 3000)),
    st.tuples(st.just("leave"), st.integers(0, 50), st.just(0)),
    st.tuples(st.just("pass"), st.floats(0.01, 30), st.just(0)),
    st.tuples(st.sampled_from(("still", "moves", "deaf", "hears")), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("die"), st.integers(1, 3), st.just(0)),
)


def take_step(machine, step, worker):
    """One of `STEP`, if it can be."""
    what, first, second = step
    other = first % len(machine.queues) if isinstance(first, int) else None
    if what == "come" and worker not in machine.still:
        machine.come(worker, first, second)
    elif what == "end" and machine.running:
        place = first % len(machine.running)
        if machine.running[place][0] not in machine.still:
            machine.end(place, more=second)
    elif what == "leave" and machine.queued:
        place = first % len(machine.queued)
        if machine.queued[place][0] not in machine.still:
            machine.leave(place)
    elif what == "pass":
        machine.look(first)
    elif what in ("still", "deaf"):
        getattr(machine, what).add(other)
    elif what == "moves":
        machine.still -= {other} - machine.table.gone
    elif what == "hears":
        machine.deaf.discard(other)
    elif what == "die" and other:
        machine.die(other)


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(STEP, max_size=80),
    workers=st.integers(2, 4),
    at_once=st.none() | st.integers(1, 3),
    requests=st.none() | st.integers(1, 600),
)
def test_everybody_goes_in_the_end_at_every_worker(steps, workers, at_once, requests):
    """Also when workers stand still in between, hear nothing or die, and requests leave: no more at
    once than there is room for, with what is granted, and whoever waits at a worker that moves goes
    in the end, unless what runs is at one that does not."""
    machine = Machine(workers, Capacity(at_once, requests))
    for number, step in enumerate(steps):
        take_step(machine, step, number % workers)
        assert at_once is None or len(machine.running) + machine.granted <= at_once
    machine.still -= {worker for worker, _, _ in machine.running}
    stuck = sum(worker in machine.still for worker, _ in machine.queued)
    for _ in range(3 * machine.waiting + 3):
        while machine.running:
            machine.end(0)
        machine.look(10_000)
    assert machine.waiting == stuck
    assert machine.granted == 0


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(STEP.filter(lambda step: step[0] != "die"), max_size=80),
    workers=st.integers(2, 4),
)
def test_what_is_granted_is_counted_once(steps, workers):
    """Whatever becomes of a granted turn: the tenants have used what went, and so has the rate."""
    machine = Machine(workers, Capacity(2, 600, 60_000))
    steps = [(what, one, 0 if what == "end" else other) for what, one, other in steps]
    for number, step in enumerate(steps):
        take_step(machine, step, number % workers)
    machine.still.clear()
    for _ in range(3 * machine.waiting + 3):
        machine.look(1.0)
        while machine.running:
            machine.end(0)
    assert machine.waiting == 0
    used = {tenant: amount for tenant, (_, amount) in machine.table.finishes.everybody.items()}
    served = {tenant: machine.served[tenant] / WEIGHTS[tenant] for tenant in used}
    assert used == pytest.approx(served)
    assert machine.table.numbers[WENT] == machine.went
    machine.look(100.0)
    assert [machine.come(0, "a", 1) for _ in range(2)] == [None] * 2


def test_room_that_one_gives_back_is_granted_to_the_first_of_all():
    """At whichever worker that waits: it is told once, and nobody else goes meanwhile."""
    machine = Machine(2, Capacity(1))
    machine.come(0, "a", 10)
    machine.come(1, "b", 10)
    machine.still.add(1)
    machine.come(0, "a", 10)
    machine.end(0)
    assert machine.table.seats[1][GRANTS] == 1
    assert machine.queues[0].running_everywhere == 1
    machine.come(0, "b", 10)
    assert (machine.running, machine.waiting) == ([], 3)
    machine.still.clear()
    machine.pump(1)
    assert [one[:2] for one in machine.running] == [(1, "b")]
    assert machine.table.seats[1][GRANTS] == 0


def test_who_does_not_answer_is_passed_over():
    """A worker that stands still keeps nothing from the others for longer than a moment."""
    machine = Machine(2, Capacity(1))
    machine.come(0, "a", 10)
    machine.come(1, "b", 10)
    machine.still.add(1)
    machine.end(0)
    machine.come(0, "a", 10)
    machine.look(0.06)
    assert not machine.running
    machine.look(0.06)
    assert [one[:2] for one in machine.running] == [(0, "a")]


def test_who_is_gone_holds_nothing():
    """What a worker that died had running is room for the others."""
    machine = Machine(2, Capacity(2))
    for _ in range(2):
        machine.come(1, "b", 10)
    machine.come(0, "a", 10)
    assert machine.waiting == 1
    machine.table.gone.add(1)
    machine.look(0.1)
    assert machine.waiting == 0


def test_what_a_worker_says():
    """What runs and waits there."""
    machine = Machine(2, Capacity(1))
    machine.come(0, "a", 10)
    machine.come(0, "a", 10)
    seat = machine.table.seats[0]
    assert (seat[RUNNING], seat[WAITING]) == (1, 1)
    assert machine.queues[1].running_everywhere == 1
    machine.end(0)
    machine.end(0)
    assert (seat[RUNNING], seat[WAITING]) == (0, 0)


def test_a_rate_is_one_for_all():
    """Sixty a minute: five at once, at whichever worker, and then one a second."""
    machine = Machine(3, Capacity(None, 60))
    assert [machine.come(one % 3, "a", 1) is None for one in range(6)] == [True] * 5 + [False]
    machine.look(1.0)
    assert machine.waiting == 0


def test_another_rate_pays_off_as_fast():
    """What was spent of a high rate keeps nobody waiting for longer at a low one."""
    queue = FairQueue(Capacity(None, None, 600_000), 0.0)
    assert queue.enter("a", 1.0, tokens=500_000, now_s=1.0)
    before_s = queue.ready_s(1.0)
    queue.resize(Capacity(None, None, 60), 1.0)
    assert before_s == pytest.approx(46.0001)
    assert queue.ready_s(1.0) == pytest.approx(47.0)


def test_one_complaint_is_learned_by_all():
    """A quarter fewer of what all workers had running, once."""
    table = Table(2)
    one, other = (LearnedCapacity(table.sit(number).numbers) for number in range(2))
    before = other.changes
    one.complained(8, retry_after_s=3.0, now_s=10.0)
    other.complained(7, retry_after_s=2.0, now_s=10.4)
    assert (other.capacity(Capacity()), other.blocked_until_s) == (Capacity(6), 13.0)
    assert other.changes > before
    seen = one.changes
    other.rest(12.0)
    assert one.changes == seen
