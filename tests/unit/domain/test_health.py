"""Targets that do not answer go last, and come back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.health import EJECT_AFTER, FIRST_S, LONGEST_S, Health, blames_target


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


def test_each_ejection_lasts_twice_as_long():
    """Up to the longest."""
    health, now_s, lasted = ejected(), 0.0, []
    for _ in range(8):
        until_s = health.ejected_until_s
        lasted.append(until_s - now_s)
        now_s = until_s
        assert health.may_be_first(now_s)
        assert health.failed(now_s)
    assert lasted[:4] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S, 8 * FIRST_S]
    assert max(lasted) == LONGEST_S


def test_late_failures_do_not_prolong_it():
    """Of what was under way when it was ejected."""
    health = ejected()
    until_s = health.ejected_until_s
    assert not health.failed(FIRST_S / 2)
    assert health.ejected_until_s == until_s


def test_a_trial_that_nobody_heard_of_is_none():
    """Another one may try."""
    health = ejected()
    assert health.may_be_first(FIRST_S)
    assert not health.may_be_first(FIRST_S + 1)
    assert health.may_be_first(FIRST_S + 11)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["fail", "ask"]), st.floats(0, 30)), max_size=60))
def test_it_always_comes_back(steps):
    """However it fails, within the longest ejection and a trial somebody may ask it again."""
    health, now_s = Health(), 0.0
    for what, passed_s in steps:
        now_s += passed_s
        if what == "fail":
            health.failed(now_s)
        else:
            health.may_be_first(now_s)
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
