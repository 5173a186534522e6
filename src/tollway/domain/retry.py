"""How long to wait before asking again, as a provider says it: `retry-after-ms`, or `retry-after`
in seconds. A date needs a clock and is left to the caller's default; anything else is ignored.
"""

from collections.abc import Sequence

MAX_RETRY_AFTER_S = 60.0


def retry_after_s(headers: Sequence[tuple[bytes, bytes]]) -> float | None:
    """Seconds to wait, at most 60, or None when the provider did not say."""
    facts = dict(headers)
    milliseconds = _number(facts.get(b"retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, MAX_RETRY_AFTER_S)
    seconds = _number(facts.get(b"retry-after"))
    return None if seconds is None else min(seconds, MAX_RETRY_AFTER_S)


def _number(text: bytes | None) -> float | None:
    if text is None or not text.replace(b".", b"", 1).isdigit() or len(text) > 12:
        return None
    return float(text)
