"""Targets that do not answer go last, and come back."""

from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.health import (
    EJECT_AFTER,
    FIRST_S,
    LONGEST_S,
    PROBE_LEAD_S,
    Health,
    blames_target,
)


def ejected(now_s=0.0):
    """A target that has just been ejected."""
    health = Health()
    said = [health.failed(now_s) for _ in range(EJECT_AFTER)]
    assert said == [*[False] * (EJECT_AFTER - 1), True]
    return health


def test_some_failures_are_none():
    """Fewer in a row than it takes."""
    health = Health()
    for _ in range(EJECT_AFTER - 1):
        assert not health.failed(0.0)
        assert health.may_be_first(0.0)


def test_ejected_it_goes_last_and_one_request_tries():
    """While the ejection lasts; then one may, and the others wait for what becomes of it."""
    health = ejected()
    assert not health.may_be_first(FIRST_S - 0.1)
    assert [health.may_be_first(FIRST_S + 0.1) for _ in range(3)] == [True, False, False]


def lasting(draws, ejections):
    """How long one ejection after the other lasts, when all trials fail."""
    health, now_s, lasted = Health(), 0.0, []
    for _ in range(EJECT_AFTER - 1):
        health.failed(now_s)
    for _ in range(ejections):
        assert health.failed(now_s, draw=draws())
        lasted.append(health.ejected_until_s - now_s)
        now_s = health.ejected_until_s
        assert health.may_be_first(now_s)
    return lasted


def test_the_most_that_an_ejection_lasts_doubles():
    """Up to the longest; the least stays."""
    assert lasting(lambda: 0.0, 5) == [FIRST_S] * 5
    longest = lasting(lambda: 1 - 2**-53, 8)
    assert longest[:4] == pytest.approx([2 * FIRST_S, 4 * FIRST_S, 8 * FIRST_S, 8 * FIRST_S])
    assert max(longest) <= LONGEST_S


def test_workers_do_not_come_back_at_once():
    """Full jitter: of a thousand workers that ejected a target in one instant, at most a few ask it
    again within the same tenth of a second. The same seeds give the same times."""
    for nth, most_s in ((0, 10.0), (1, 20.0), (2, 40.0)):
        ends = [lasting(Random(seed).random, nth + 1)[nth] for seed in range(1000)]
        assert ends == [lasting(Random(seed).random, nth + 1)[nth] for seed in range(1000)]
        crowd = Counter(int(end_s * 10) for end_s in ends)
        even = 1000 / ((most_s - FIRST_S) * 10)
        assert max(crowd.values()) <= 3 * even + 5
        assert min(ends) < FIRST_S + 0.5
        assert max(ends) > most_s - 0.5


def test_one_that_is_away_for_days_is_only_away():
    """However often it was ejected."""
    assert lasting(lambda: 0.5, 3000)[-1] <= LONGEST_S


def test_late_failures_do_not_prolong_it():
    """Of what was under way when it was ejected."""
    health = ejected()
    until_s = health.ejected_until_s
    assert not health.failed(FIRST_S / 2)
    assert health.ejected_until_s == until_s


def test_what_was_asked_before_its_return_says_nothing_of_it():
    """Requests that it left without an answer end long after, by their timeouts."""
    health = ejected()
    assert health.may_be_first(FIRST_S)
    assert not health.failed(FIRST_S + 1, began_s=FIRST_S - 0.1)
    assert health.ejected_until_s == FIRST_S
    assert health.failed(FIRST_S + 1, began_s=FIRST_S)


def test_one_that_begins_to_answer_is_on_probation():
    """It has its place again; its next failure ejects it, and for longer."""
    health = ejected()
    health.began(1.0)
    assert [health.may_be_first(1.0) for _ in range(3)] == [True] * 3
    assert health.failed(2.0, draw=0.99)
    assert health.ejected_until_s > 2.0 + 2 * FIRST_S


def test_beginning_to_answer_is_no_success_of_one_that_is_not_ejected():
    """Streams that all break count, though each has begun."""
    health = Health()
    said = []
    for _ in range(EJECT_AFTER):
        health.began(0.0)
        said.append(health.failed(0.0))
    assert said == [*[False] * (EJECT_AFTER - 1), True]


def mixed(health, outcomes, now_s=100.0):
    """These outcomes, a tenth of a second apart; which of them ejected it first, and when."""
    for place, good in enumerate(outcomes):
        if good:
            assert not health.answered(now_s)
        elif health.failed(now_s):
            return place, now_s
        now_s += 0.1
    return None, now_s


@pytest.mark.parametrize(
    ("outcomes", "ejected_at"),
    [
        ([False, True] * 20, 20),  # with the first failure among twenty
        ([False, True, True] * 20, 21),
        ([False, True, True, True] * 20, None),  # a quarter
        ([False, False, False, False, True] * 3, None),  # too few to say
        ([False] + [True] * 40 + [False, True] * 40, 95),
    ],
)
def test_too_many_failures_among_the_last_eject_it(outcomes, ejected_at):
    """Three in ten, of twenty at least; though it answers in between."""
    health = Health()
    assert mixed(health, outcomes)[0] == ejected_at
    assert (health.ejected_until_s is not None) == (ejected_at is not None)


def test_old_failures_do_not_count():
    """Those of a minute that is over."""
    health, now_s = Health(), 100.0
    for _ in range(300):
        assert not health.failed(now_s)
        assert not health.answered(now_s)
        now_s += 6.5


def test_one_that_is_well_for_a_minute_is_forgotten():
    """Its next failure is a first one."""
    health = Health()
    health.failed(100.0)
    assert not health.answered(159.9)
    assert health.answered(160.1)


def test_one_that_answers_now_and_then_stays_ejected():
    """What it answers meanwhile says nothing new; nobody is refused because of it. At the end one
    request tries, and when that goes well all is forgotten."""
    health = Health()
    _, now_s = mixed(health, [False, True] * 20)
    until_s = health.ejected_until_s
    assert not health.answered(now_s + 1)
    health.began(now_s + 1)
    assert health.ejected_until_s == until_s
    assert health.back_s(now_s + 1) is None
    assert not health.is_ailing(now_s + 1)
    assert [health.may_be_first(until_s) for _ in range(2)] == [True, False]
    assert health.answered(until_s + 1)


def test_one_that_failed_now_and_then_begins_anew():
    """With the first event of a stream after its ejection: one more failure is not enough."""
    health = Health()
    mixed(health, [False, True] * 20)
    until_s = health.ejected_until_s
    health.began(until_s)
    assert health.ejected_until_s is None
    assert not health.failed(until_s + 1)


def test_who_failed_lately_is_ailing():
    """A failure long ago is forgotten, an ejection is not."""
    health = Health()
    health.failed(0.0)
    assert health.is_ailing(59.0)
    assert not health.is_ailing(61.0)
    assert ejected().is_ailing(1000.0)


def test_a_trial_that_nobody_heard_of_is_none():
    """Another one may try."""
    health = ejected()
    assert health.may_be_first(FIRST_S)
    assert not health.may_be_first(FIRST_S + 1)
    assert health.may_be_first(FIRST_S + 11)


def probed_at(health, now_s):
    """Probe it if that is due."""
    due = health.probe_is_due(now_s)
    if due:
        health.probe_begins(now_s)
    return due


def test_shortly_before_the_end_it_is_probed_once():
    """And until it is known what came of that, no request tries."""
    health = ejected()
    health.wanted(0.0)
    assert not health.probe_is_due(FIRST_S - PROBE_LEAD_S - 0.1)
    assert [probed_at(health, FIRST_S - PROBE_LEAD_S) for _ in range(2)] == [True, False]
    assert not health.may_be_first(FIRST_S + 1)


def test_a_probe_that_answers_lets_one_request_try_at_once():
    """And says that asking is not in vain; a second probe would say no more."""
    health, now_s = ejected(), FIRST_S - PROBE_LEAD_S
    health.wanted(0.0)
    health.probe_begins(now_s)
    assert health.back_s(now_s) > 0
    health.probe_ended(now_s + 0.1, well=True, draw=0.5)
    assert health.back_s(now_s + 0.1) is None
    assert not health.probe_is_due(now_s + 50)
    assert [health.may_be_first(now_s + 0.1) for _ in range(2)] == [True, False]
    assert health.failed(now_s + 0.2), "what becomes of the request decides"
    assert health.back_s(now_s + 0.2) > 0


def test_a_probe_that_fails_prolongs_the_ejection():
    """Within the longest, and there is another one towards its end."""
    health, now_s = ejected(), FIRST_S - PROBE_LEAD_S
    for _ in range(20):
        health.wanted(now_s)
        assert probed_at(health, now_s)
        health.probe_ended(now_s + 1, well=False, draw=1 - 2**-53)
        lasts_s = health.ejected_until_s - (now_s + 1)
        assert 2 * FIRST_S <= lasts_s <= LONGEST_S
        assert not health.may_be_first(now_s + 1)
        now_s = health.ejected_until_s - PROBE_LEAD_S


def test_a_probe_that_says_nothing_leaves_it_to_requests():
    """Where there is nothing to be asked for: no other probe, and a request at the end."""
    health = ejected()
    health.wanted(0.0)
    health.probe_begins(FIRST_S - PROBE_LEAD_S)
    health.probe_ended(FIRST_S - 0.5, well=None, draw=0.0)
    assert not health.may_be_first(FIRST_S - 0.1)
    assert health.may_be_first(FIRST_S)
    assert not health.probe_is_due(FIRST_S + 20)


def test_a_request_may_be_faster_than_a_probe():
    """One that was asked for want of another."""
    health = ejected()
    health.wanted(0.0)
    health.probe_begins(FIRST_S - PROBE_LEAD_S)
    health.began(FIRST_S)
    health.probe_ended(FIRST_S, well=False, draw=0.0)
    assert health.ejected_until_s is None


def test_what_nobody_wants_is_not_probed():
    """A request finds out, when one comes."""
    health = ejected()
    health.wanted(0.0)
    assert health.probe_is_due(119.0)
    assert not health.probe_is_due(121.0)
    assert health.may_be_first(121.0)


STEPS = st.sampled_from(
    ["fail", "late", "ask", "begin", "well", "want", "probe", "good", "bad", "nothing", "vanish"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(STEPS, st.floats(0, 30), st.floats(0, 0.999)), max_size=60))
def test_it_always_comes_back(steps):
    """However it fails and whatever its probes say, an ejection lasts the longest at most, its
    probes are no nearer than the shortest, and after a trial somebody may ask it again."""
    health, now_s, probed_s, probing = Health(), 0.0, [], False
    for what, passed_s, draw in steps:
        now_s += passed_s
        if what == "fail":
            health.failed(now_s, draw=draw)
        elif what == "late":
            health.failed(now_s, began_s=now_s - 40, draw=draw)
        elif what == "ask":
            health.may_be_first(now_s)
        elif what == "begin":
            health.began(now_s)
        elif what == "well" and health.answered(now_s):
            health, probing = Health(), False
        elif what == "want":
            health.wanted(now_s)
        elif what == "probe" and not probing:
            probing = probed_at(health, now_s)
            probed_s += [now_s] * probing
        elif probing and what in {"good", "bad", "nothing"}:
            well = {"good": True, "bad": False, "nothing": None}[what]
            health.probe_ended(now_s, well=well, draw=draw)
            probing = False
        elif what == "vanish":
            probing = False
        if health.ejected_until_s is not None:
            assert health.ejected_until_s <= now_s + LONGEST_S
    assert all(later - sooner >= FIRST_S - PROBE_LEAD_S for sooner, later in pairwise(probed_s))
    assert health.back_s(now_s) is None or health.back_s(now_s) <= LONGEST_S
    assert health.may_be_first(now_s + LONGEST_S + 10.1)


@pytest.mark.parametrize(
    ("cause", "status", "blamed"),
    [
        (Cause.REFUSED, None, True),
        (Cause.TIMEOUT, None, True),
        (Cause.PROTOCOL, None, True),
        (Cause.STATUS, 500, True),
        (Cause.STATUS, 529, True),
        (Cause.STREAM_ERROR, None, True),
        (Cause.STATUS, 429, False),
        (Cause.STATUS, 401, False),
        (Cause.STATUS, 400, False),
        (Cause.CLIENT_GONE, None, False),
        (Cause.CREDENTIAL, None, False),
        (Cause.QUOTA, None, False),
    ],
)
def test_what_says_that_a_target_is_not_well(cause, status, blamed):
    """Not the request's own faults, nor ours, nor that it is busy."""
    assert blames_target(Failure(Phase.HEADERS, cause, "x", status)) is blamed
