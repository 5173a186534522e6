"""What an account says of its own rates in the headers of its answers: how much of one is left, and
when all of it will be back. OpenAI, Azure and Groq give durations (`x-ratelimit-*`), Anthropic
gives times (`anthropic-ratelimit-*`).

Nobody says how long the window is: OpenAI's is a minute, that of Groq's requests a day. But what
was used comes back until the reset, which is a pace, however long it takes.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tollway.domain.retry import plain_number, seconds_until

_RATES = (b"requests", b"tokens")
_PARTS = (b"limit", b"remaining", b"reset")
_PLACES = {
    name: (rate, part)
    for rate, what in enumerate(_RATES)
    for part, called in enumerate(_PARTS)
    for name in (
        b"x-ratelimit-%b-%b" % (called, what),
        b"anthropic-ratelimit-%b-%b" % (what, called),
    )
}
_SOONEST_S = 0.001  # what is to be back at once says nothing of a pace


class ToldRate(NamedTuple):
    """So much comes back each second; `left_s`: what is left, in seconds of that (infinite: nothing
    was used)."""

    per_s: float
    left_s: float


_FULL = ToldRate(0.0, float("inf"))


def told_rates(
    headers: Sequence[tuple[bytes, bytes]], now_s: float
) -> tuple[ToldRate | None, ToldRate | None]:
    """Of requests and of tokens; None: not said, or not in numbers. `now_s` is UTC."""
    found: list[list[bytes | None]] = [[None] * 3, [None] * 3]
    for name, value in headers:
        place = _PLACES.get(name)
        if place is not None:
            found[place[0]][place[1]] = value
    requests, tokens = (_told(parts, now_s) for parts in found)
    return requests, tokens


def _told(parts: Sequence[bytes | None], now_s: float) -> ToldRate | None:
    limit, left, reset = parts
    most, remaining = plain_number(limit), plain_number(left)
    if most is None or remaining is None:
        return None
    used = most - remaining
    if used <= 0:
        return _FULL
    until_s = None if reset is None else seconds_until(reset, now_s)
    if until_s is None or until_s < _SOONEST_S:
        return None
    return ToldRate(used / until_s, remaining * until_s / used)
