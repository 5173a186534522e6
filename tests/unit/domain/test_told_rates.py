"""What an account says of its rates, and what is made of it."""

from random import Random

import pytest

from tollway.domain.fair_share import UNLIMITED, Capacity, FairQueue, Rate
from tollway.domain.learned_capacity import LearnedCapacity
from tollway.domain.told_rates import ToldRate, told_rates

NOW_S = 1_795_003_200.0  # 2026-11-18T12:00:00Z
FULL = ToldRate(0.0, float("inf"))


def openai(what, limit, left, reset):
    """Three headers of one rate."""
    return [
        (f"x-ratelimit-{part}-{what}".encode(), value.encode("latin-1"))
        for part, value in (("limit", limit), ("remaining", left), ("reset", reset))
    ]


def anthropic(what, limit, left, reset):
    """The same in Anthropic's names."""
    return [
        (f"anthropic-ratelimit-{what}-{part}".encode(), value.encode())
        for part, value in (("limit", limit), ("remaining", left), ("reset", reset))
    ]


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ([], (None, None)),
        # A minute's window of OpenAI's: half of it is back in half a minute.
        (openai("requests", "600", "300", "30s"), (ToldRate(10.0, 30.0), None)),
        (openai("tokens", "60000", "0", "1m0s"), (None, ToldRate(1000.0, 0.0))),
        # Requests of Groq's are a day's.
        (
            openai("requests", "14400", "14370", "2m59.56s"),
            (ToldRate(30 / 179.56, 14370 * 179.56 / 30), None),
        ),
        (openai("requests", "9", "9", "0s"), (FULL, None)),
        (openai("requests", "9", "12", "1s"), (FULL, None)),
        (
            [*anthropic("requests", "50", "49", "2026-11-18T12:00:02Z"), (b"server", b"x")],
            (ToldRate(0.5, 98.0), None),
        ),
        (anthropic("tokens", "80", "40", "2026-11-18T13:00:20+01:00"), (None, ToldRate(2.0, 20.0))),
        # What is no number, no time, or past, says nothing.
        (openai("requests", "many", "3", "1s"), (None, None)),
        (openai("requests", "9", "-3", "1s"), (None, None)),
        (openai("requests", "9", "nan", "1s"), (None, None)),
        (openai("requests", "9", "3", "soon"), (None, None)),
        (openai("requests", "9", "3", "0s"), (None, None)),
        (openai("requests", "9", "3", "\xff"), (None, None)),
        (anthropic("requests", "9", "3", "2026-11-18T11:59:00Z"), (None, None)),
        (openai("requests", "9", "3", "1s")[:2], (None, None)),
        (openai("requests", "9", "3", "1s")[1:], (None, None)),
    ],
)
def test_headers_give_a_pace(headers, told):
    """What was used, over the time until all is back."""
    found = told_rates(headers, NOW_S)
    for rate, wanted in zip(found, told, strict=True):
        assert (rate is None) == (wanted is None)
        assert rate is None or tuple(rate) == pytest.approx(tuple(wanted))


def test_a_rate_bounds_while_little_is_left():
    """It begins with less than ten seconds of its own pace, and ends with more than twenty."""
    learned, changes = LearnedCapacity(), []

    def told(left_s, what=0):
        rates = [None, None]
        rates[what] = ToldRate(2.0, left_s)
        learned.told(rates, 100.0)
        changes.append(learned.changes)
        return learned.capacity(UNLIMITED)

    assert told(11.0) == UNLIMITED
    assert told(9.0) == Capacity(None, 114)  # a twentieth slower than it says
    assert told(15.0) == Capacity(None, 114)
    assert changes == [0, 1, 1]  # the same again is no news
    assert told(5.0, what=1) == Capacity(None, 114, 114)
    assert told(21.0) == Capacity(None, None, 114)
    assert learned.capacity(Capacity(3, 7, 200)) == Capacity(3, 7, 114)
    assert told(float("inf"), what=1) == UNLIMITED


def test_what_was_said_long_ago_counts_no_more():
    """A minute after the last word of it."""
    learned = LearnedCapacity()
    learned.forget(1e9)
    learned.told((ToldRate(0.001, 0.0), None), 100.0)
    assert learned.capacity(UNLIMITED) == Capacity(None, 1)  # never none at all
    learned.forget(160.0)
    assert learned.capacity(UNLIMITED) == Capacity(None, 1)
    learned.forget(160.1)
    assert learned.capacity(UNLIMITED) == UNLIMITED


def test_no_more_comes_at_once_than_is_left():
    """Whatever was counted here; a rate that has less to give already stays as it is."""
    cells = [0.0, 0.0]
    rate = Rate(60, cells, 0)
    rate.leave(9.0, 100.0)
    assert rate.ready_s(100.0) == 100.0
    rate.leave(0.0, 100.0)
    assert rate.ready_s(100.0) == pytest.approx(101.0)
    rate.take(3, 100.0)
    rate.leave(4.0, 100.0)
    assert rate.ready_s(100.0) == pytest.approx(104.0)


def test_what_runs_is_on_its_way():
    """The account has not counted it yet when it says what is left."""
    queue = FairQueue(Capacity(None, 60, 600), 0.0)
    for _ in range(2):
        assert queue.enter("a", 1.0, tokens=1, now_s=0.0)
    queue.leave_of_rates((ToldRate(1.0, 3.0), ToldRate(10.0, 9.0)), 0.0)
    assert queue.ready_s(0.0) == 0.0  # one more
    queue.leave_of_rates((ToldRate(1.0, 2.0), None), 0.0)
    assert queue.ready_s(0.0) == pytest.approx(1.0)
    queue.leave_of_rates((FULL, ToldRate(10.0, 0.0)), 0.0)
    assert queue.ready_s(0.0) == pytest.approx(1.0)


class Bucket:
    """An account that gives back evenly what was used."""

    def __init__(self, limit, window_s):
        self.limit, self.per_s = limit, limit / window_s
        self.used, self.since_s = 0.0, 0.0

    def ask(self, amount, now_s):
        """Whether it took it, and what it says then."""
        self.used = max(0.0, self.used - (now_s - self.since_s) * self.per_s)
        self.since_s = now_s
        took = self.used + amount <= self.limit
        self.used += amount * took
        left, reset_ms = int(self.limit - self.used), int(self.used / self.per_s * 1000)
        names = openai("requests", f"{self.limit}", f"{left}", f"{reset_ms}ms")
        return took, told_rates(names, NOW_S)[0]


@pytest.mark.parametrize("window_s", [20.0, 60.0, 600.0])
@pytest.mark.parametrize("demand", [0.5, 1.5, 4.0])
def test_an_account_is_used_up_and_not_overrun(window_s, demand):
    """Over ten of its windows: none refused, and nearly all used where there is the demand."""
    chance, account = Random(7), Bucket(600, window_s)
    learned = LearnedCapacity()
    queue = FairQueue(UNLIMITED, 0.0)
    now_s, waiting, went, refused, changes = 0.0, 0, 0, 0, 0.0
    while now_s < 10 * window_s:
        now_s += chance.expovariate(demand * account.per_s)
        waiting += 1
        learned.forget(now_s)
        while waiting and queue.enter("a", 1.0, tokens=1, now_s=now_s):
            waiting -= 1
            took, told = account.ask(1, now_s)
            went, refused = went + took, refused + (not took)
            learned.told((told, None), now_s)
            if learned.changes != changes:
                changes = learned.changes
                queue.resize(learned.capacity(UNLIMITED), now_s)
            queue.leave_of_rates((told, None), now_s)
            queue.done("a", 1.0, more_tokens=0)
    assert refused == 0
    most = account.limit + 10 * window_s * account.per_s
    assert went >= min(0.9 * most, went + waiting)
