"""How long to wait before asking again, as a provider says it: in milliseconds (OpenAI's header
and Azure's), or `retry-after` in seconds or as a date. Anything else is ignored. Also before it
says so: in answers whose headers tell that nothing is left (OpenAI's and Groq's `x-ratelimit-*`
with durations, Anthropic's `anthropic-ratelimit-*` with times).
"""

import re
from collections.abc import Sequence
from datetime import datetime

from tollway.domain.http_date import read_http_date

MAX_RETRY_AFTER_S = 60.0
_MILLISECONDS = (b"retry-after-ms", b"x-ms-retry-after-ms")
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


def retry_after_s(headers: Sequence[tuple[bytes, bytes]], now_s: float) -> float | None:
    """Seconds to wait, from 0 to 60, or None when the provider did not say. A date counts from
    the provider's own `date`, since its clock may not be ours; `now_s`, in UTC, stands in for it.
    """
    facts = dict(headers)
    for name in _MILLISECONDS:
        milliseconds = plain_number(facts.get(name))
        if milliseconds is not None:
            return min(milliseconds / 1000, MAX_RETRY_AFTER_S)
    said = facts.get(b"retry-after")
    seconds = plain_number(said)
    if seconds is None and said is not None:
        seconds = _until_date(said, facts.get(b"date"), now_s)
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


def _until_date(text: bytes, sent: bytes | None, now_s: float) -> float | None:
    at_s = read_http_date(text.decode("latin-1"), now_s)
    if at_s is None:
        return None
    sent_s = None if sent is None else read_http_date(sent.decode("latin-1"), now_s)
    return max(0.0, at_s - (now_s if sent_s is None else sent_s))


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
