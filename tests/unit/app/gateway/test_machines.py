"""An account that several machines share, each with a part of it."""

import heapq
from random import Random

import pytest

from tests.fakes.commons import OneAccount, Table
from tollway.app.gateway.machines import Exchange, Machines
from tollway.app.ports_sharing import ReportsError
from tollway.domain.fair_commons import BLOCKED_S, CHANGES, ELSEWHERE, LEARNED, PART, SLOTS, WENT
from tollway.domain.fair_machines import parted, say_capacity
from tollway.domain.fair_share import Capacity, FairQueue
from tollway.domain.learned_capacity import LearnedCapacity

_TURN_S = 0.25
EIGHT = Capacity(at_once=8)


class Machine:
    """One queue at the account. Requests take as long as a script says."""

    def __init__(self, name, capacity):
        self.table = Table(1)
        self.seat = self.table.sit(0)
        self.capacity = capacity
        say_capacity(self.seat.numbers, capacity)
        self.queue = FairQueue(capacity, 0.0, self.seat)
        self.machines = Machines(OneAccount(self.seat), name)

    def take_up(self, now_s):
        """As an account does when there is news."""
        self.queue.resize(parted(self.seat.numbers, self.capacity), now_s)


class World:
    """Machines, time, and tenants that always have a few waiting at the machines they use. `places`
    are the machines of each, `weights` theirs; `takes_s` says how long so many tokens take."""

    def __init__(self, places, weights, *, capacity, seed, takes_s=lambda _, tokens: tokens / 400):
        self.places, self.weights, self.takes_s = places, weights, takes_s
        self.chance = Random(seed)
        names = sorted({one for used in places.values() for one in used})
        self.machines = {name: Machine(name, capacity) for name in names}
        self.now_s, self.events, self.number = 1.0, [], 0
        self.reports, self.hears = {}, set(names)
        self.served = dict.fromkeys(places, 0.0)
        self.went = {(tenant, one): 0 for tenant, used in places.items() for one in used}
        self.running, self.most, self.busy_s, self.counting = 0, 0, 0.0, False

    def run(self, lasts_s):
        """Until then. Turns of the exchange are at no two machines at once."""
        end_s = self.now_s + lasts_s
        for place, name in enumerate(self.machines):
            self._at(self.now_s + place * 0.07, ("turn", name))
        while self.events and self.events[0][0] < end_s:
            at_s, _, event = heapq.heappop(self.events)
            self.busy_s += self.running * (at_s - self.now_s)
            self.now_s = at_s
            if event[0] == "turn":
                self._turn(event[1])
            elif event[0] == "end":
                self._end(*event[1:])
            self._fill()
        self.events = [one for one in self.events if one[2][0] == "end"]
        heapq.heapify(self.events)

    def begin_counting(self):
        """What was before is not counted."""
        self.served = dict.fromkeys(self.served, 0.0)
        self.went = dict.fromkeys(self.went, 0)
        self.most, self.busy_s, self.counting = 0, 0.0, True

    def _turn(self, name):
        machine = self.machines[name]
        if name in self.hears:
            self.reports[name] = machine.machines.report(self.now_s)
            machine.machines.hear(dict(self.reports), self.now_s)
            machine.take_up(self.now_s)
        self._at(self.now_s + _TURN_S, ("turn", name))

    def _end(self, name, tenant, tokens):
        self.running -= 1
        self.machines[name].queue.done(tenant, self.weights[tenant], more_tokens=0)

    def _fill(self):
        for tenant, used in self.places.items():
            for name in used:
                queue = self.machines[name].queue
                line = queue._lines.get(tenant)
                for _ in range(6 - (0 if line is None else len(line.waiting))):
                    tokens = self.chance.randint(20, 200)
                    ticket = tenant, tokens, object()
                    queue.wait(ticket, tenant, self.weights[tenant], tokens=tokens)
        for name, machine in self.machines.items():
            while (ticket := machine.queue.next(self.now_s)) is not None:
                tenant, tokens, _ = ticket
                self.running += 1
                self.served[tenant] += tokens
                self.went[tenant, name] += 1
                takes_s = self.takes_s(tenant, tokens)
                self._at(self.now_s + takes_s, ("end", name, tenant, tokens))
            machine.queue.say()
        self.most = max(self.most, self.running)

    def _at(self, at_s, event):
        self.number += 1
        heapq.heappush(self.events, (at_s, self.number, event))


CASES = {
    "one everywhere, one at one machine": ({"a": "xy", "b": "x"}, {"a": 1.0, "b": 1.0}),
    "three machines": ({"a": "xyz", "b": "x", "c": "yz"}, {"a": 1.0, "b": 1.0, "c": 2.0}),
    "each at its own": ({"a": "x", "b": "y"}, {"a": 3.0, "b": 1.0}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "capacity",
    [Capacity(at_once=12), Capacity(tokens_per_minute=120_000), Capacity(16, 1500, 150_000)],
)
def test_shares_are_by_weight_over_machines(case, capacity):
    """Within 10 %, once parts have settled; what the account takes is taken up, not exceeded by
    more than one for each other machine, and nobody starves at any machine."""
    places, weights = CASES[case]
    world = World(places, weights, capacity=capacity, seed=12)
    world.run(15)
    world.begin_counting()
    lasts_s = 60
    world.run(lasts_s)
    shares = {tenant: world.served[tenant] / weights[tenant] for tenant in places}
    mean = sum(shares.values()) / len(shares)
    assert all(abs(one - mean) <= 0.1 * mean for one in shares.values()), shares
    assert min(world.went.values()) > 0, world.went
    used = []
    if capacity.at_once is not None:
        assert world.most <= capacity.at_once + len(world.machines) - 1
        used.append(world.busy_s / lasts_s / capacity.at_once)
    if capacity.tokens_per_minute is not None:
        a_minute = sum(world.served.values()) / lasts_s * 60
        assert a_minute <= 1.1 * capacity.tokens_per_minute
        used.append(a_minute / capacity.tokens_per_minute)
    if capacity.requests_per_minute is not None:
        used.append(sum(world.went.values()) / lasts_s * 60 / capacity.requests_per_minute)
    assert max(used) >= 0.85, used


class Told:
    """Reports in memory, as all leave them. `away`: nobody is heard."""

    def __init__(self):
        self.left, self.away = {}, False

    def way(self, name):
        told = self

        class Way:
            async def swap(self, report):
                if told.away:
                    raise ReportsError("away")
                if report is None:
                    told.left.pop(name, None)
                else:
                    told.left[name] = report
                return dict(told.left)

        return Way()


def two(capacity=EIGHT):
    """Two machines that have met."""
    told = Told()
    made = [Machine(name, capacity) for name in "xy"]
    for now_s in (1.0, 1.25):
        turn(told, made, now_s)
    return told, made


def turn(told, machines, now_s):
    """An exchange of each of them."""
    for machine in machines:
        told.left[machine.machines.name] = machine.machines.report(now_s)
        machine.machines.hear(dict(told.left), now_s)
        machine.take_up(now_s)


def enters(machine, number, now_s):
    """How many of so many requests go at once."""
    return sum(machine.queue.enter("a", 1.0, tokens=10, now_s=now_s) for _ in range(number))


def test_who_has_no_use_for_an_account_leaves_it_to_others():
    """The other has all of it; whoever is idle may begin with one, and then has its part."""
    told, (one, other) = two()
    assert enters(one, 10, 1.3) == 8
    one.queue.wait("w", "a", 1.0, tokens=10)
    for machine in (one, other):
        machine.queue.say()
    turn(told, (one, other), 1.5)
    turn(told, (one, other), 1.75)
    assert (one.seat.numbers[PART], other.seat.numbers[SLOTS]) == (0.0, 1)
    assert enters(other, 5, 1.8) == 1
    other.queue.wait("w", "a", 1.0, tokens=10)
    other.queue.say()
    assert one.queue.running_everywhere + other.queue.running_everywhere == 9
    for now_s in (2.0, 2.25, 2.5):
        turn(told, (one, other), now_s)
    assert one.queue.capacity.at_once < 8
    assert other.seat.numbers[ELSEWHERE] == 8


def test_what_a_dead_machine_had_returns():
    """Some seconds after it has said something new for the last time."""
    told, (one, other) = two()
    for machine in (one, other):
        assert enters(machine, 3, 1.3) == 3
        machine.queue.wait("w", "a", 1.0, tokens=10)
        machine.queue.say()
    for now_s in (1.5, 1.75, 2.0):
        turn(told, (one, other), now_s)
    assert one.queue.capacity.at_once < 8
    for now_s in (2.25, 5.0):
        turn(told, (one,), now_s)
        assert one.queue.capacity.at_once < 8
    turn(told, (one,), 5.5)
    assert one.queue.capacity.at_once == 8
    assert one.seat.numbers[ELSEWHERE] == 0


def test_an_account_that_was_forgotten_begins_anew():
    """What it had before it left its place is no rate of what comes there."""
    _, (one, _) = two()
    assert enters(one, 8, 1.3) == 8
    one.queue.say()
    one.machines.report(1.5)
    board, table = one.machines._board, one.table
    place, board.place = board.place, "another"
    one.machines.report(1.75)
    board.place = place
    table.numbers[WENT] = 0
    for now_s in (2.0, 2.25):
        assert one.machines.report(now_s)["accounts"][place]["went"] == 0


def test_what_was_there_before_us_is_not_believed():
    """A machine that says nothing new is not there."""
    told, (_, other) = two()
    assert enters(other, 8, 1.3) == 8
    other.queue.say()
    turn(told, (other,), 1.5)
    late = Machine("z", Capacity(at_once=8))
    for now_s in (2.0, 2.25, 2.5):
        turn(told, (late,), now_s)
    assert late.queue.capacity.at_once == 8


def test_a_complaint_is_told_once_and_does_not_come_back():
    """The other machine leaves the account alone until the same time and lets in as many; what it
    was told it does not tell as its own, however often they meet."""
    told, (one, other) = two(Capacity())
    assert enters(other, 6, 1.3) == 6
    assert enters(one, 2, 1.3) == 2
    for machine in (one, other):
        machine.queue.say()
    for now_s in (1.5, 1.75):
        turn(told, (one, other), now_s)
    learned = LearnedCapacity(one.seat.numbers)
    running = one.queue.running_everywhere + int(one.seat.numbers[ELSEWHERE])
    learned.complained(running, retry_after_s=20.0, now_s=1.9)
    changes = other.seat.numbers[CHANGES]
    turn(told, (one, other), 2.0)
    assert (one.seat.numbers[LEARNED], other.seat.numbers[LEARNED]) == (6, 6)
    assert other.seat.numbers[BLOCKED_S] == pytest.approx(21.9)
    assert other.seat.numbers[CHANGES] > changes
    for step in range(40):
        turn(told, (one,), 2.2 + step * 0.25)
        turn(told, (other,), 2.3 + step * 0.25)
    assert one.seat.numbers[BLOCKED_S] == pytest.approx(21.9)
    assert other.seat.numbers[BLOCKED_S] == pytest.approx(21.9)
    assert (one.table.woken, other.table.woken != []) == ([], True)


def test_a_later_complaint_elsewhere_counts():
    """What was learned there is newer."""
    told, (one, other) = two(Capacity())
    LearnedCapacity(one.seat.numbers).complained(8, retry_after_s=1.0, now_s=1.3)
    turn(told, (one, other), 1.5)
    LearnedCapacity(other.seat.numbers).complained(6, retry_after_s=5.0, now_s=4.0)
    turn(told, (other, one), 4.1)
    assert one.seat.numbers[LEARNED] == other.seat.numbers[LEARNED] == 4.5


def test_whose_lock_is_held_is_left_for_the_next_time():
    """Nothing is changed meanwhile."""
    told, (one, other) = two()
    assert enters(one, 8, 1.3) == 8
    one.queue.say()
    other.table.held = 7
    turn(told, (one, other), 1.5)
    assert other.seat.numbers[SLOTS] == 0
    other.table.held = None
    turn(told, (one, other), 1.75)
    assert other.seat.numbers[SLOTS] == 1


async def test_without_the_others_all_goes_on():
    """Parts stay; and a machine that leaves says nothing more."""
    told = Told()
    one = Machine("x", Capacity(at_once=8))
    exchange = Exchange(one.machines, told.way("x"))
    await exchange.turn()
    assert told.left["x"]["accounts"] == {}
    one.seat.numbers[SLOTS] = 3
    told.away = True
    await exchange.turn()
    await exchange.leave()
    assert one.seat.numbers[SLOTS] == 3
    told.away = False
    await exchange.leave()
    assert told.left == {}
