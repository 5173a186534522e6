"""What became of a notice that was sent, and when to try again. The schedule follows the advice of
the Standard Webhooks specification: early retries for a restart, days for an outage.
"""

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_S = 3600.0
# 68.7 hours in all, and not more than 75.6 with the jitter: about three days.
_DELAYS_S = (5, 30, 120, 600, 1_800, 7_200, 21_600, *(43_200,) * 5)
_JITTER = 0.1
_RETRYABLE = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver took it. `remark` says what is odd about it, such as a recipient refused."""

    remark: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """The receiver did not take it. `reason` may be shown: it has no secret, no path of a URL and
    nothing the receiver said. `gone`: it asked never to be sent anything again."""

    retryable: bool
    reason: str
    retry_after_s: float | None = None
    gone: bool = False


Outcome = Delivered | Failed


def next_after_s(attempt: int, jitter: float) -> float | None:
    """Seconds from the failure of an attempt (1 is the first) to the next one; None when it was the
    last. `jitter` in [0, 1) moves it by up to a tenth to either side."""
    if attempt < 1:
        raise ValueError(f"the first attempt is 1, got {attempt}")
    if attempt > len(_DELAYS_S):
        return None
    return _DELAYS_S[attempt - 1] * (1 - _JITTER + 2 * _JITTER * jitter)


def judge_status(status: int, *, retry_after: str | None, now_s: float) -> Outcome:
    """What an HTTP status means. `retry_after` is that header, in seconds or as a date."""
    if 200 <= status < 300:
        return Delivered()
    reason = f"answered with status {status}"
    if status == 410:
        return Failed(False, f"{reason}: it wants no more notices", gone=True)
    if 300 <= status < 400:
        return Failed(False, f"{reason}: redirects are not followed")
    if status in _RETRYABLE or status >= 500 or status < 200:
        return Failed(True, reason, _wait_s(retry_after, now_s))
    return Failed(False, reason)


def _wait_s(retry_after: str | None, now_s: float) -> float | None:
    """From 0 to an hour; None for what is neither a number nor a date."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        # Cut first: `int` refuses thousands of digits with an exception.
        return min(float(text[:12]), MAX_RETRY_AFTER_S)
    try:
        date = parsedate_to_datetime(text[:64])
        at_s = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(at_s - now_s, 0.0), MAX_RETRY_AFTER_S)
