"""Whether a target answers: learned from what became of attempts, and forgotten when it does again.
Pure: the clock is the caller's.

A few failures in a row eject it: it is asked last, for a while that doubles each time. When the
while is over, one request may try; what becomes of it decides for the others. A target is never
left out altogether, so that when all are ejected all are still asked.
"""

from tollway.domain.failure import Cause, Failure

EJECT_AFTER = 5  # failures in a row
FIRST_S = 5.0  # the first ejection
LONGEST_S = 40.0
_TRIAL_S = 10.0  # a trial that nobody heard of for so long is none


class Health:
    """One target's, from its first failure on."""

    __slots__ = ("_ejections", "_failures", "_trial_until_s", "cause", "ejected_until_s")

    def __init__(self) -> None:
        self._failures = 0
        self._ejections = 0
        self._trial_until_s = 0.0
        self.ejected_until_s: float | None = None  # None: it is not
        self.cause = ""  # of its last failure

    def failed(self, now_s: float, cause: str = "") -> bool:
        """An attempt failed. True: this ejects it."""
        self._failures += 1
        self.cause = cause
        if self.ejected_until_s is not None and now_s < self.ejected_until_s:
            return False  # it was asked before it was ejected, or for want of another
        if self.ejected_until_s is None and self._failures < EJECT_AFTER:
            return False
        while_s = min(FIRST_S * 2**self._ejections, LONGEST_S)
        self._ejections += 1
        self._trial_until_s = 0.0
        self.ejected_until_s = now_s + while_s
        return True

    def may_be_first(self, now_s: float, *, looking: bool = False) -> bool:
        """Whether it has its place among the others. After an ejection it has for one request;
        `looking`: none is made."""
        if self.ejected_until_s is None:
            return True
        if now_s < self.ejected_until_s or now_s < self._trial_until_s:
            return False
        if not looking:
            self._trial_until_s = now_s + _TRIAL_S
        return True


def blames_target(failure: Failure) -> bool:
    """Whether a failure says that the target is not well: it could not be reached, broke off, was
    late or answered with a 5xx. What is wrong with the request, with our credential or with the
    time (429) is not its health."""
    if failure.cause in (Cause.STATUS, Cause.STREAM_ERROR):
        return (failure.status or 502) >= 500
    return failure.cause in (
        Cause.REFUSED,
        Cause.DNS,
        Cause.TLS,
        Cause.TIMEOUT,
        Cause.RESET,
        Cause.PROTOCOL,
    )
