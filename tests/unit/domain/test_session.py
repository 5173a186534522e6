"""Sessions of browsers."""

import pytest

from tollway.domain.session import (
    DEFAULT_RULES,
    csrf_matches,
    csrf_token,
    digest_cookie,
    is_over,
    make_cookie,
    needs_touch,
)

COOKIE = make_cookie(bytes(range(32)))
OTHER = make_cookie(bytes(range(1, 33)))


def test_a_cookie_is_found_by_its_digest_alone() -> None:
    """The digest is stable, different for each cookie, and does not contain it."""
    digest = digest_cookie(COOKIE)
    assert digest is not None and len(digest) == 32
    assert digest == digest_cookie(COOKIE) != digest_cookie(OTHER)


@pytest.mark.parametrize("text", ["", "x", COOKIE + "A", COOKIE[:-1] + "=", COOKIE[:-1] + "\n"])
def test_what_is_no_cookie_has_no_digest(text: str) -> None:
    """Garbage is refused before any look-up."""
    assert digest_cookie(text) is None
    assert not csrf_matches(text, "anything")


@pytest.mark.parametrize("given", ["", "é", COOKIE, csrf_token(OTHER), csrf_token(COOKIE) + "A"])
def test_a_csrf_proof_is_of_its_own_session(given: str) -> None:
    """Only the proof made from this cookie is taken; the cookie itself is not one."""
    assert csrf_matches(COOKIE, csrf_token(COOKIE))
    assert not csrf_matches(COOKIE, given)


def test_a_session_ends_when_left_alone_and_when_old() -> None:
    """Both bounds hold, each at its exact second."""
    idle = DEFAULT_RULES.idle_s
    assert not is_over(now_s=idle - 1, last_seen_s=0, expires_s=idle * 9)
    assert is_over(now_s=idle, last_seen_s=0, expires_s=idle * 9)
    assert not is_over(now_s=99, last_seen_s=99, expires_s=100)
    assert is_over(now_s=100, last_seen_s=99, expires_s=100)


def test_not_every_use_is_written() -> None:
    """A page that polls does not write with each request."""
    assert not needs_touch(now_s=DEFAULT_RULES.touch_s - 1, last_seen_s=0)
    assert needs_touch(now_s=DEFAULT_RULES.touch_s, last_seen_s=0)


def test_a_cookie_takes_exactly_its_entropy() -> None:
    """Less would be guessable."""
    with pytest.raises(ValueError, match="32"):
        make_cookie(bytes(31))
