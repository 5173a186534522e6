"""Whether a target answers: learned from what became of attempts, and forgotten when it does again.
Pure: the clock and the chance are the caller's. A few failures in a row eject it, or too many among
its attempts lately: it is asked last, for a while. How long is chance (full jitter, after Amazon's
"Exponential backoff and jitter"), between the least and a most that doubles each time, so that many
workers do not come back in one instant. Shortly before its end it is asked for something free, if
it has anything; when it answers, or when the while is over, one request may try. That decides.
"""

from tollway.domain.failure import Cause, Failure

EJECT_AFTER = 5  # failures in a row
WINDOW_S = 60.0  # of the rate, from a first failure on
RATE_OF = 20  # attempts at least
RATE = 0.3  # of them
FIRST_S = 5.0  # the least an ejection lasts; the first one twice as long at most
LONGEST_S = 40.0
PROBE_LEAD_S = 1.0  # before the end of an ejection: ahead of the first request that could try
_TRIAL_S = 10.0  # a trial that nobody heard of for so long is none
_WANTED_S = 120.0  # a target that was in nobody's plan for so long is not probed
_AILING_S = 60.0


class Health:
    """One target's, from its first failure on."""

    __slots__ = (
        "_asked",
        "_bad",
        "_by_rate",
        "_ejections",
        "_failed_s",
        "_failures",
        "_probed",
        "_since_s",
        "_trial_until_s",
        "_wanted_s",
        "answers_probes",
        "cause",
        "ejected_until_s",
    )

    def __init__(self) -> None:
        self._failures = 0  # in a row
        self._failed_s: float | None = None  # None: it has answered since
        self._since_s = 0.0
        self._asked = self._bad = 0  # since then
        self._by_rate = False  # it was ejected last, and may answer most requests all the same
        self._ejections = 0
        self._trial_until_s = 0.0
        self._wanted_s = 0.0
        self._probed = False  # since it was ejected last
        self.answers_probes = False  # the same, and it answered
        self.ejected_until_s: float | None = None  # None: it is not
        self.cause = ""  # of its last failure

    def failed(
        self, now_s: float, cause: str = "", *, began_s: float | None = None, draw: float = 0.0
    ) -> bool:
        """The attempt of a request that began then (None: now) failed. `draw` is from [0, 1).
        True: this ejects it."""
        self._failures += 1
        self._failed_s = self._wanted_s = now_s
        self.cause = cause
        if began_s is None:
            began_s = now_s
        if self.ejected_until_s is not None:
            if began_s < self.ejected_until_s:
                return False  # it was asked before it was ejected, or for want of another
        else:
            if now_s >= self._since_s + WINDOW_S:
                self._since_s, self._asked, self._bad = now_s, 0, 0
            self._asked += 1
            self._bad += 1
            self._by_rate = self._failures < EJECT_AFTER
            if self._by_rate and (self._asked < RATE_OF or self._bad < RATE * self._asked):
                return False
        self._eject(now_s, draw)
        return True

    def answered(self, now_s: float) -> bool:
        """An attempt went well. True: there is nothing left to be known of it."""
        self._failures, self._failed_s = 0, None
        if self.ejected_until_s is not None:
            return not self._waits(now_s)
        self._asked += 1
        return now_s >= self._since_s + WINDOW_S

    def began(self, now_s: float) -> None:
        """It begins to answer. It is not ejected any more, but of one that did not answer at all
        the next failure is one too many."""
        if self.ejected_until_s is None or self._waits(now_s):
            return
        self.ejected_until_s = None
        if self._by_rate:
            self._asked = self._bad = 0
        else:
            self._failures = EJECT_AFTER - 1

    def _waits(self, now_s: float) -> bool:
        """That it answers now and then is known; it stays ejected."""
        return self._by_rate and self.ejected_until_s is not None and now_s < self.ejected_until_s

    def wanted(self, now_s: float) -> None:
        """It is in a request's plan."""
        self._wanted_s = now_s

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

    def is_ailing(self, now_s: float) -> bool:
        """Whether it failed lately and has not answered since, or is ejected as it answered
        nobody."""
        silent = self.ejected_until_s is not None and not self._by_rate
        return silent or (self._failed_s is not None and now_s < self._failed_s + _AILING_S)

    def back_s(self, now_s: float) -> float | None:
        """In how many seconds it may be back; None: nothing says that asking it is in vain."""
        if self.ejected_until_s is None or self.answers_probes or self._failures < EJECT_AFTER:
            return None
        return max(self.ejected_until_s, self._trial_until_s) - now_s

    def probe_is_due(self, now_s: float) -> bool:
        """Whether it is to be asked for something free: once in each ejection, towards its end,
        and only if requests would have it."""
        return (
            self.ejected_until_s is not None
            and not self._probed
            and now_s >= self.ejected_until_s - PROBE_LEAD_S
            and now_s >= self._trial_until_s
            and now_s < self._wanted_s + _WANTED_S
        )

    def probe_begins(self, now_s: float) -> None:
        """It is asked. Until it is known what comes of it no request tries."""
        self._probed = True
        self._trial_until_s = now_s + _TRIAL_S

    def probe_ended(self, now_s: float, *, well: bool | None, draw: float) -> None:
        """It answered: one request may try at once. It did not: it stays ejected, for longer. None:
        it has nothing that could be asked, and a request finds out as if nobody had."""
        if self.ejected_until_s is None:
            return  # a request was faster
        self._trial_until_s = 0.0
        if well is None:
            return
        if well:
            self.answers_probes = True
            self.ejected_until_s = min(self.ejected_until_s, now_s)
        else:
            self._eject(now_s, draw)

    def _eject(self, now_s: float, draw: float) -> None:
        most_s = min(2 * FIRST_S * 2 ** min(self._ejections, 8), LONGEST_S)
        self._ejections += 1
        self._trial_until_s = 0.0
        self._probed = self.answers_probes = False
        self.ejected_until_s = now_s + FIRST_S + draw * (most_s - FIRST_S)


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
