"""How often signing in may fail."""

import pytest

from tollway.domain.throttle import (
    ACCOUNT_RULES,
    ADDRESS_RULES,
    account_subject,
    address_subject,
    retry_after_s,
)


@pytest.mark.parametrize(
    ("failures", "wait_s"),
    [
        (0, None), (9, None), (10, 30), (11, 60), (12, 120), (14, 480), (15, 900), (16, 900),
        (10**9, 900),
    ],
)  # fmt: skip
def test_the_wait_grows_after_ten_failures(failures: int, wait_s: float | None) -> None:
    """Ten are free; then it doubles up to a quarter of an hour."""
    assert retry_after_s(failures, 1000, 1000, rules=ACCOUNT_RULES) == wait_s


def test_a_thousand_guesses_get_few_tries_a_day() -> None:
    """Someone who always tries again as soon as allowed gets at most 115 guesses a day."""
    now_s, failures, last_s = 0.0, 0, 0.0
    while now_s < 86_400:
        wait_s = retry_after_s(failures, last_s, now_s, rules=ACCOUNT_RULES)
        if wait_s is None:
            failures, last_s = failures + 1, now_s
        else:
            now_s += wait_s
    assert 10 < failures <= 115


def test_the_wait_ends_and_failures_are_forgotten() -> None:
    """One more try after the wait; all of it over after a day."""
    assert retry_after_s(10, 1000, 1029.5, rules=ACCOUNT_RULES) == 0.5
    assert retry_after_s(10, 1000, 1030, rules=ACCOUNT_RULES) is None
    assert retry_after_s(99, 1000, 1000 + 86_400, rules=ACCOUNT_RULES) is None


def test_a_clock_set_back_does_not_lengthen_the_wait() -> None:
    """Nobody waits longer than the wait itself."""
    assert retry_after_s(10, 10_000, 0, rules=ACCOUNT_RULES) == 30


def test_an_address_may_fail_more_often_than_an_account() -> None:
    """An office behind one address is not shut out by ten typing errors."""
    assert retry_after_s(99, 0, 0, rules=ADDRESS_RULES) is None
    assert retry_after_s(100, 0, 0, rules=ADDRESS_RULES) == 10


def test_subjects_are_bounded_and_folded() -> None:
    """Spelling does not make another account; a megabyte does not make a long row."""
    assert account_subject(" Ada@Acme.example") == account_subject("ada@acme.example")
    assert account_subject("a") != account_subject("b")
    assert len(account_subject("x" * 1_000_000 + "\ud800")) == 40


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("203.0.113.7", "address:203.0.113.7"),
        ("::ffff:203.0.113.7", "address:203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
        ("fe80::1%eth0", "address:fe80::/64"),
        ("", "address:unknown"),
        ("nonsense", "address:unknown"),
    ],
)
def test_an_ipv6_customer_is_one_address(address: str, subject: str) -> None:
    """A /64 is one subject; whoever holds one has 2**64 addresses."""
    assert address_subject(address) == subject
