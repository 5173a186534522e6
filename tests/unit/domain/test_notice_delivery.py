"""What an answer means, and the times of retries."""

import pytest

from tollway.domain.notice_delivery import Delivered, Failed, judge_status, next_after_s

NOW_S = 1_790_000_000.0  # Mon, 21 Sep 2026 14:13:20 GMT


def judged(status: int, retry_after: str | None = None) -> Delivered | Failed:
    return judge_status(status, retry_after=retry_after, now_s=NOW_S)


def test_the_schedule() -> None:
    """5 s, 30 s, 2 and 10 and 30 minutes, 2 and 6 hours, then every 12 hours for three days."""
    hours = 3600
    expected = [5, 30, 120, 600, 1800, 2 * hours, 6 * hours, *[12 * hours] * 5]
    delays: list[float] = []
    while (delay := next_after_s(len(delays) + 1, 0.5)) is not None:
        delays.append(delay)
    assert delays == expected
    assert 60 * hours < sum(delays) <= 72 * hours
    assert next_after_s(1000, 0.5) is None


@pytest.mark.parametrize(("jitter", "factor"), [(0.0, 0.9), (0.5, 1.0), (0.999999, 1.1)])
def test_jitter_moves_by_a_tenth(jitter: float, factor: float) -> None:
    """To either side, at every step."""
    for attempt in range(1, 13):
        middle, moved = next_after_s(attempt, 0.5), next_after_s(attempt, jitter)
        assert middle is not None
        assert moved == pytest.approx(middle * factor, rel=1e-5)


def test_attempts_begin_at_one() -> None:
    """Zero would read the last delay."""
    for attempt in (0, -1):
        with pytest.raises(ValueError, match="first attempt"):
            next_after_s(attempt, 0.5)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_taken(status: int) -> None:
    """Any 2xx."""
    assert judged(status) == Delivered()


@pytest.mark.parametrize(
    "status", [100, 103, 408, 425, 429, 500, 501, 502, 503, 504, 599, 600, 999]
)
def test_worth_another_try(status: int) -> None:
    """The receiver may be better later."""
    assert judged(status) == Failed(True, f"answered with status {status}")


@pytest.mark.parametrize(
    "status", [300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 413, 422]
)
def test_not_worth_another_try(status: int) -> None:
    """The same notice would be refused again; a redirect is an answer, not a place to go."""
    outcome = judged(status, "5")
    assert isinstance(outcome, Failed)
    assert (outcome.retryable, outcome.gone, outcome.retry_after_s) == (False, False, None)
    assert str(status) in outcome.reason


def test_gone_is_for_good() -> None:
    """410 is told apart: the webhook is to be switched off."""
    outcome = judged(410, "5")
    assert isinstance(outcome, Failed)
    assert (outcome.retryable, outcome.gone) == (False, True)


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("0", 0), ("7", 7), (" 7 ", 7), ("3600", 3600), ("3601", 3600), ("9" * 5000, 3600),
        ("Mon, 21 Sep 2026 14:14:20 GMT", 60), ("Mon, 21 Sep 2026 14:13:00 GMT", 0),
        ("Mon, 21 Sep 2026 14:14:20 -0000", 60), ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("", None), ("-1", None), ("1.5", None), ("soon", None), ("٣", None), ("²", None),
        ("Mon, 99 Sep 2026 14:14:20 GMT", None), (None, None), ("nan", None),
        ("Mon, 21 Sep 99999999999999 14:14:20 GMT", None), ("\x00", None),
    ],
)  # fmt: skip
def test_retry_after(text: str | None, wait_s: float | None) -> None:
    """Seconds or a date, up to an hour; what is neither is not said."""
    assert judged(503, text) == Failed(True, "answered with status 503", wait_s)
