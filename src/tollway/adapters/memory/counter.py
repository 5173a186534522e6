"""One counter: what was used and what is held in its window, or in the running minute.

Every comparison is written so that a number which is none refuses instead of admitting.
"""

from collections import deque
from enum import IntEnum

from tollway.domain.window import BUCKET_S, BUCKETS


class Standing(IntEnum):
    """Whether the counter's sum is known. `CLOSED`: a successor counts on."""

    KNOWN = 0
    UNKNOWN = 1
    CLOSED = 2


class Counter:
    """A calendar window's, or one that never turns. `foreign` is what others hold: what is
    not given out here."""

    __slots__ = ("ends_s", "foreign", "held", "standing", "used")

    def __init__(self, ends_s: int, standing: Standing) -> None:
        self.used = 0
        self.held = 0
        self.foreign = 0
        self.ends_s = ends_s
        self.standing = standing

    def turn(self, tick_s: int) -> "Bucket | None":
        """Where to book now, if not on the counter alone."""
        return None

    def frees_s(self) -> int:
        """When what is booked now counts no more."""
        return self.ends_s

    def count(self, used: int) -> None:
        """Take over what was used so far."""
        self.used = used


class Bucket:
    """Ten seconds of a minute. `gone`: it counts no more."""

    __slots__ = ("gone", "held", "start_s", "used")

    def __init__(self, start_s: int, used: int = 0) -> None:
        self.start_s = start_s
        self.used = used
        self.held = 0
        self.gone = False


class MinuteCounter(Counter):
    """The running bucket and the six before it. Its time is one that only goes forward."""

    __slots__ = ("_buckets",)

    def __init__(self, standing: Standing) -> None:
        super().__init__(0, standing)
        self._buckets: deque[Bucket] = deque()

    def turn(self, tick_s: int) -> Bucket:
        """The bucket of this second; those that are over are dropped."""
        buckets = self._buckets
        start_s = tick_s - tick_s % BUCKET_S
        if buckets and buckets[-1].start_s >= start_s:
            return buckets[-1]
        oldest_s = start_s - (BUCKETS - 1) * BUCKET_S
        while buckets and buckets[0].start_s < oldest_s:
            gone = buckets.popleft()
            gone.gone = True
            self.used -= gone.used
            self.held -= gone.held
        bucket = Bucket(start_s)
        buckets.append(bucket)
        self.ends_s = start_s + BUCKETS * BUCKET_S
        return bucket

    def count_buckets(self, tick_s: int, used: dict[int, int]) -> None:
        """Take over what was used so far, by the second its bucket begins."""
        self.turn(tick_s)
        mine = {bucket.start_s: bucket for bucket in self._buckets}
        oldest_s = self._buckets[-1].start_s - (BUCKETS - 1) * BUCKET_S
        for bucket in self._buckets:
            bucket.used = 0
        for start_s, amount in used.items():
            if start_s >= oldest_s:
                # A bucket ahead of ours is another clock's: it counts as the running one.
                place = min(start_s, self._buckets[-1].start_s)
                bucket = mine.get(place) or mine.setdefault(place, Bucket(place))
                bucket.used += amount
        self._buckets = deque(sorted(mine.values(), key=lambda bucket: bucket.start_s))
        self.used = sum(bucket.used for bucket in self._buckets)

    def frees_s(self) -> int:
        """When the oldest bucket that has anything in it counts no more."""
        for bucket in self._buckets:
            if bucket.used or bucket.held:
                return bucket.start_s + BUCKETS * BUCKET_S
        return self.ends_s
