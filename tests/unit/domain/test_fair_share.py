"""Turns at an account that cannot take everybody at once."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.domain.fair_share import UNLIMITED, Capacity, FairQueue, Rate
from tollway.domain.learned_capacity import LearnedCapacity

TENANTS = ("a", "b", "c")
WEIGHTS = {"a": 1.0, "b": 2.0, "c": 0.5}


def queue(at_once=1, *, requests=None, tokens=None):
    """An empty account at second 0."""
    return FairQueue(Capacity(at_once, requests, tokens), 0.0)


def test_nobody_waits_while_there_is_room():
    """Unknown capacity lets everybody in; a bound one as many as it takes."""
    free = FairQueue(UNLIMITED, 0.0)
    assert all(free.enter("a", 1.0, tokens=10, now_s=0.0) for _ in range(1000))
    assert (free.running, free.capacity.unknown) == (1000, True)
    bound = queue(2)
    assert [bound.enter("a", 1.0, tokens=1, now_s=0.0) for _ in range(3)] == [True, True, False]
    bound.done("a", 1.0, more_tokens=0)
    assert bound.enter("b", 1.0, tokens=1, now_s=0.0)


def test_who_waits_is_not_overtaken_by_who_comes():
    """Room that is there belongs to whoever waits."""
    account = queue(1)
    assert account.enter("a", 1.0, tokens=1, now_s=0.0)
    account.wait("first", "a", 1.0, tokens=1)
    account.done("a", 1.0, more_tokens=0)
    assert not account.enter("b", 1.0, tokens=1, now_s=0.0)
    assert account.next(0.0) == "first"


def test_a_newcomer_goes_before_the_rest_of_a_crowd():
    """A hundred of one tenant wait; the first of another is next but one."""
    account = queue(1)
    assert account.enter("a", 1.0, tokens=100, now_s=0.0)
    for number in range(100):
        account.wait(("a", number), "a", 1.0, tokens=100)
    account.done("a", 1.0, more_tokens=0)
    assert account.next(0.0) == ("a", 0)
    account.wait(("b", 0), "b", 1.0, tokens=100)
    went = []
    for _ in range(2):
        account.done("a", 1.0, more_tokens=0)
        went.append(account.next(0.0))
    assert ("b", 0) in went


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), at_once=st.integers(1, 8))
def test_shares_are_by_weight_in_tokens(seed, at_once):
    """Whoever always waits has its weight's part of the tokens, to within a request of each."""
    chance = Random(seed)
    account = queue(at_once)
    for tenant in TENANTS:
        for number in range(400):
            tokens = chance.randint(1, 500)
            account.wait((tenant, number, tokens), tenant, WEIGHTS[tenant], tokens=tokens)
    served, running = dict.fromkeys(TENANTS, 0), []
    for _ in range(300):
        while (ticket := account.next(0.0)) is not None:
            served[ticket[0]] += ticket[2]
            running.append(ticket)
        gone = running.pop(chance.randrange(len(running)))
        account.done(gone[0], WEIGHTS[gone[0]], more_tokens=0)
    shares = {tenant: served[tenant] / WEIGHTS[tenant] for tenant in TENANTS}
    most = 500 / min(WEIGHTS.values())
    assert max(shares.values()) - min(shares.values()) <= 2 * most


STEP = st.one_of(
    st.tuples(st.just("come"), st.sampled_from(TENANTS), st.integers(0, 5000)),
    st.tuples(st.just("end"), st.integers(0, 50), st.integers(-300, 3000)),
    st.tuples(st.just("leave"), st.integers(0, 50), st.just(0)),
    st.tuples(st.just("pass"), st.integers(1, 30), st.just(0)),
)


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(STEP, max_size=80),
    at_once=st.none() | st.integers(1, 3),
    requests=st.none() | st.integers(1, 600),
)
def test_everybody_goes_in_the_end(steps, at_once, requests):
    """No starvation: whatever came, ended and left, all who wait go once others end and time
    passes; each tenant's in the order they came; never more at once than there is room for; and
    while somebody waits there is no room (work is conserved)."""
    account = queue(at_once, requests=requests)
    now_s, number, running, waiting, order = 0.0, 0, [], [], {tenant: [] for tenant in TENANTS}

    def pump():
        while (ticket := account.next(now_s)) is not None:
            waiting.remove(ticket)
            assert order[ticket[0]].pop(0) == ticket
            running.append(ticket)
        assert at_once is None or account.running <= at_once
        assert account.running == len(running)
        if waiting:
            ready_s = account.ready_s(now_s)
            assert ready_s is None or ready_s > now_s

    for what, first, second in steps:
        if what == "come":
            number += 1
            if account.enter(first, WEIGHTS[first], tokens=second, now_s=now_s):
                assert not waiting
                running.append((first, number))
            else:
                waiting.append((first, number))
                order[first].append((first, number))
                account.wait((first, number), first, WEIGHTS[first], tokens=second)
                assert account.expected_s((first, number), first) > 0
        elif what == "end" and running:
            gone = running.pop(first % len(running))
            account.done(gone[0], WEIGHTS[gone[0]], more_tokens=second)
        elif what == "leave" and waiting:
            left = waiting.pop(first % len(waiting))
            order[left[0]].remove(left)
            account.leave(left, left[0])
        elif what == "pass":
            now_s += first
        pump()
    for _ in range(2 * len(waiting) + 2):
        while running:
            gone = running.pop()
            account.done(gone[0], WEIGHTS[gone[0]], more_tokens=0)
        now_s += 10_000
        pump()
    assert (waiting, len(account)) == ([], 0)


OTHERS = ("b", "c", "d", "e")


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    at_once=st.integers(1, 6),
    largest=st.sampled_from([1, 20, 300]),
    used_before=st.integers(0, 20),
    always=st.booleans(),
)
def test_who_waits_has_its_turn_after_so_many(seed, at_once, largest, used_before, always):
    """Whatever others send, however often they come and however wrong the guesses of what they
    use: whoever waits goes after no more turns of theirs than its debt and theirs, in tokens over
    weights, can make up for. Each request counts for one token at least."""
    chance = Random(seed)
    weights = {one: chance.choice([0.5, 1.0, 2.0, 4.0]) for one in ("a", *OTHERS)}
    account, running = queue(at_once), []

    def ask(tenant):
        tokens = chance.randint(1, largest)
        ticket = tenant, object(), tokens
        if account.enter(tenant, weights[tenant], tokens=tokens, now_s=0.0):
            running.append(ticket)
        else:
            account.wait(ticket, tenant, weights[tenant], tokens=tokens)
        return ticket

    def end_one():
        tenant, _, tokens = running.pop(chance.randrange(len(running)))
        more = chance.randint(1, largest) - tokens
        account.done(tenant, weights[tenant], more_tokens=more)
        went = []
        while (ticket := account.next(0.0)) is not None:
            running.append(ticket)
            went.append(ticket)
        return went

    for _ in range(used_before):
        ask("a")
        if len(running) == at_once:
            end_one()
    while len(account):
        end_one()
    for one in OTHERS:
        ask(one)
    mine, turns = ask("a"), 0
    # Of each, what runs may have been guessed wrong by so much; of the tenant also its last one.
    wrong = (at_once + 1) * largest
    most = sum(at_once + 1 + wrong + wrong * weights[one] / weights["a"] for one in OTHERS)
    while mine not in running:
        for one in OTHERS:
            if always or chance.random() < 0.7:
                ask(one)
        went = end_one() if running else []
        turns += sum(ticket[0] != "a" for ticket in went)
        assert turns <= most
        if mine in went:
            break


def test_a_rate_lets_a_burst_go_and_then_one_after_the_other():
    """Sixty a minute: five at once, then one a second."""
    account = queue(None, requests=60)
    assert [account.enter("a", 1.0, tokens=1, now_s=0.0) for _ in range(6)] == [True] * 5 + [False]
    account.wait("t", "a", 1.0, tokens=1)
    assert account.next(0.5) is None
    assert account.ready_s(0.5) == pytest.approx(1.0)
    assert account.next(1.0) == "t"


def test_tokens_that_are_more_than_a_burst_are_paid_off():
    """A request larger than what may come at once goes, and the next one waits until it is paid."""
    rate = Rate(6000, [0.0, 0.0], 0)  # 100 a second, 500 at once
    rate.take(1500, 0.0)
    assert rate.ready_s(0.0) == pytest.approx(10.01)
    assert rate.ready_s(20.0) == 20.0


def test_real_use_is_set_off():
    """Who used more than it was let in for goes later the next time, and the other way round."""
    account = queue(1)
    for tenant in ("a", "b"):
        assert account.enter(tenant, 1.0, tokens=10, now_s=0.0)
        account.done(tenant, 1.0, more_tokens=1000 if tenant == "a" else -5)
    assert account.enter("c", 1.0, tokens=1, now_s=0.0)
    account.wait("of a", "a", 1.0, tokens=10)
    account.wait("of b", "b", 1.0, tokens=10)
    account.wait("of b too", "b", 1.0, tokens=10)
    account.done("c", 1.0, more_tokens=0)
    went = []
    while (ticket := account.next(0.0)) is not None:
        went.append(ticket)
        account.done("a" if ticket == "of a" else "b", 1.0, more_tokens=0)
    assert went == ["of b", "of b too", "of a"]


def test_how_long_it_may_take():
    """By the turns before it, and how far apart turns were."""
    account = queue(1)
    assert account.enter("a", 1.0, tokens=1, now_s=0.0)
    for number in range(10):
        account.wait(number, "a", 1.0, tokens=1)
    for second in (2.0, 4.0, 6.0):
        account.done("a", 1.0, more_tokens=0)
        account.next(second)
    assert account.expected_s(9, "a") == pytest.approx(7 * 2.0)
    account.wait("b", "b", 1.0, tokens=1)
    assert account.expected_s("b", "b") <= 2 * 2.0
    assert account.expected_s("unknown", "nobody") == 0.0


def test_who_is_forgotten_was_behind():
    """Tenants that wait for nothing are remembered only while they are ahead of others."""
    account = queue(None)
    for number in range(3000):
        account.enter(f"t{number}", 1.0, tokens=1, now_s=0.0)
    assert len(account.commons.finishes) <= 1024


def test_a_complaint_makes_fewer_and_quiet_makes_more():
    """A quarter fewer at once; what was under way says nothing new; one more a round; and without
    complaints there is no bound again."""
    learned = LearnedCapacity()
    assert learned.capacity(UNLIMITED) == UNLIMITED
    assert not learned.is_bound
    learned.complained(40, retry_after_s=2.0, now_s=100.0)
    learned.complained(39, retry_after_s=1.0, now_s=100.5)
    assert learned.capacity(UNLIMITED) == Capacity(30)
    assert learned.capacity(Capacity(at_once=10, requests_per_minute=5)) == Capacity(10, 5)
    assert learned.blocked_until_s == 102.0
    for _ in range(30):
        learned.went_well(103.0)
    assert learned.capacity(UNLIMITED) == Capacity(31)
    for _ in range(5000):
        learned.went_well(200.0)
    assert not learned.is_bound
    learned.went_well(201.0)
    learned.complained(1, retry_after_s=0.0, now_s=300.0)
    assert learned.capacity(UNLIMITED) == Capacity(1)


def test_another_capacity_is_taken_up():
    """More room lets in who waits."""
    account = queue(1)
    assert account.enter("a", 1.0, tokens=1, now_s=0.0)
    account.wait("t", "a", 1.0, tokens=1)
    assert account.next(0.0) is None
    account.resize(Capacity(2), 0.0)
    assert account.next(0.0) == "t"
