"""How long to wait before asking again, as a provider says it: `retry-after-ms`, or `retry-after`
in seconds. A date needs a clock and is left to the caller's default; anything else is ignored. Also
before it says so: in answers whose headers tell that nothing is left (OpenAI's and Groq's
`x-ratelimit-*` with durations, Anthropic's `anthropic-ratelimit-*` with times).
"""

import re
from collections.abc import Sequence
from datetime import datetime

MAX_RETRY_AFTER_S = 60.0
_LEFT = tuple(
    pair
    for what in (b"requests", b"tokens")
    for pair in (
        (b"x-ratelimit-remaining-" + what, b"x-ratelimit-reset-" + what),
        (b"anthropic-ratelimit-%b-remaining" % what, b"anthropic-ratelimit-%b-reset" % what),
    )
)
_DURATION = re.compile(
    rb"(?:(\d{1,4})h)?(?:(\d{1,4})m(?!s))?(?:(\d{1,6}(?:\.\d{1,9})?)s)?(?:(\d{1,9})ms)?"
)


def retry_after_s(headers: Sequence[tuple[bytes, bytes]]) -> float | None:
    """Seconds to wait, at most 60, or None when the provider did not say."""
    facts = dict(headers)
    milliseconds = plain_number(facts.get(b"retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, MAX_RETRY_AFTER_S)
    seconds = plain_number(facts.get(b"retry-after"))
    return None if seconds is None else min(seconds, MAX_RETRY_AFTER_S)


def used_up_s(headers: Sequence[tuple[bytes, bytes]], now_s: float) -> float | None:
    """Seconds until an account has room again that says it has none, at most 60; None: it has, or
    does not say when. `now_s` is UTC."""
    facts, waits = dict(headers), []
    for left, reset in _LEFT:
        if facts.get(left) == b"0" and reset in facts:
            wait_s = seconds_until(facts[reset], now_s)
            if wait_s is not None:
                waits.append(wait_s)
    return min(max(waits), MAX_RETRY_AFTER_S) if waits else None


def seconds_until(text: bytes, now_s: float) -> float | None:
    """Of a duration (`6m0s`, `20ms`) or a time with its zone; None for what is neither. `now_s` is
    UTC."""
    if len(text) > 40:
        return None
    found = _DURATION.fullmatch(text)
    if found is not None and text:
        hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
        return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
    try:
        at = datetime.fromisoformat(text.decode("ascii"))
    except ValueError:
        return None
    return None if at.tzinfo is None else max(0.0, at.timestamp() - now_s)


def plain_number(text: bytes | None) -> float | None:
    """Digits with a point at most; None for everything else."""
    if text is None or not text.replace(b".", b"", 1).isdigit() or len(text) > 12:
        return None
    return float(text)
