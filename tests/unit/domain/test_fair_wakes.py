"""How long a tenant waits beside a crowd when a worker that is woken takes a while to come: a model
of an account with eight places, its answers, its workers and the wakes between them.
"""

import heapq
from itertools import count
from random import Random

import pytest

from tests.fakes.commons import Table
from tollway.domain.fair_share import Capacity, FairQueue

AT_ONCE = 8
TAKES_S = 0.075  # an answer; half of it more or less
GUESSED, USED = 38, 10  # tokens of a request
PATIENCE_S, AGAIN_S = 5.0, 1.0
LOOK_S = 0.05
WARM_S, END_S = 6.0, 40.0


class Model:
    """Four hundred of `noisy` that always want something, and `quiet` with two fifths of what the
    account takes. Three of five come to the first worker."""

    def __init__(self, workers, wake_s, seed):
        self.chance, self.wake_s = Random(seed), wake_s
        table = Table(workers)
        self.queues = [FairQueue(Capacity(AT_ONCE), 0.0, table.sit(one)) for one in range(workers)]
        self.now_s, self.events, self.order = 0.0, [], count()
        self.waited, self.ended = [], 0
        self.went = set()

    def run(self):
        """Until the end; in ms what 99 of 100 of the quiet tenant waited at most."""
        for _ in range(400):
            self.come("noisy")
        self.later(0.0, self.quiet)
        for worker in range(len(self.queues)):
            self.later(LOOK_S, self.look, worker)
        while self.events[0][0] < END_S:
            self.now_s, _, act, what = heapq.heappop(self.events)
            act(*what)
        self.waited.sort()
        return 1000 * self.waited[int(0.99 * len(self.waited))]

    def later(self, seconds, act, *what):
        heapq.heappush(self.events, (self.now_s + seconds, next(self.order), act, what))

    def quiet(self):
        self.come("quiet")
        self.later(TAKES_S / (0.4 * AT_ONCE), self.quiet)

    def come(self, tenant):
        worker = self.chance.choices(range(len(self.queues)), (3, 2)[: len(self.queues)])[0]
        queue, ticket = self.queues[worker], (tenant, self.now_s, next(self.order))
        if queue.enter(tenant, 1.0, tokens=GUESSED, now_s=self.now_s):
            queue.say()
            self.begin(worker, ticket)
            return
        queue.wait(ticket, tenant, 1.0, tokens=GUESSED, now_s=self.now_s)
        self.later(PATIENCE_S, self.give_up, worker, ticket)
        self.pump(worker)

    def give_up(self, worker, ticket):
        if ticket not in self.went:
            self.queues[worker].leave(ticket, ticket[0])
            self.later(AGAIN_S, self.come, ticket[0])
            self.pump(worker)

    def begin(self, worker, ticket):
        self.went.add(ticket)
        self.later(TAKES_S * (0.5 + self.chance.random()), self.end, worker, ticket[0])
        if ticket[0] == "quiet" and self.now_s > WARM_S:
            self.waited.append(self.now_s - ticket[1])

    def end(self, worker, tenant):
        self.ended += 1
        self.queues[worker].done(tenant, 1.0, more_tokens=USED - GUESSED)
        self.pump(worker)
        if tenant == "noisy":
            self.later(0.002, self.come, tenant)

    def pump(self, worker):
        queue = self.queues[worker]
        while (ticket := queue.next(self.now_s)) is not None:
            self.begin(worker, ticket)
        queue.say(alone=True)
        for woken in queue.to_wake():
            self.later(self.chance.expovariate(1 / self.wake_s), self.pump, woken)

    def look(self, worker):
        self.pump(worker)
        self.later(LOOK_S, self.look, worker)


@pytest.mark.parametrize("seed", range(3))
def test_two_workers_keep_nobody_waiting_for_longer_than_one(seed):
    """But for the wakes, of 5 ms here; and the account is used."""
    alone, pair = Model(1, 0.005, seed), Model(2, 0.005, seed)
    one_ms, two_ms = alone.run(), pair.run()
    assert two_ms <= 1.25 * one_ms, (one_ms, two_ms)
    assert pair.ended >= 0.96 * alone.ended
