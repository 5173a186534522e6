"""Limits as response headers, in the form that OpenAI's clients know: `x-ratelimit-limit-requests`,
`-remaining-`, `-reset-` (how long until it is whole again, like `6m0s`), and the same for tokens.
"""

from collections.abc import Iterable
from functools import lru_cache
from math import ceil

from tollway.domain.allowance import Allowance
from tollway.domain.quota import Metric

_NAMES = {
    metric: tuple(
        f"x-ratelimit-{word}-{metric}".encode() for word in ("limit", "remaining", "reset")
    )
    for metric in Metric
}


def allowance_headers(allowances: Iterable[Allowance]) -> list[tuple[bytes, bytes]]:
    """Three headers for each limit; two for one that never resets."""
    headers = []
    for metric, limit, remaining, resets_in_s in allowances:
        of_limit, of_rest, of_reset = _NAMES[metric]
        headers.append((of_limit, b"%d" % limit))
        headers.append((of_rest, b"%d" % remaining))
        if resets_in_s is not None:
            headers.append((of_reset, _duration(ceil(resets_in_s))))
    return headers


@lru_cache(maxsize=4096)
def _duration(whole: int) -> bytes:
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    if hours:
        return b"%dh%dm%ds" % (hours, minute, second)
    return b"%dm%ds" % (minute, second) if minute else b"%ds" % second
