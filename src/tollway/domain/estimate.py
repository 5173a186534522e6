"""Token counts where no provider gave one. Used for admission and for endings without usage,
where the row says `estimated`; never where the provider reported usage: that is only doubted here.
"""

from tollway.domain.usage import Usage, most_written

# Mean UTF-8 bytes of one token in English text and code with byte-level BPE vocabularies.
DEFAULT_BYTES_PER_TOKEN = 4.0
# More bytes to a token than any answer has in the vocabularies in use, by its mean: prose has up to
# 13 (Georgian), lines of indented braces alone 25. Long runs of one character have more, so that
# much is left to them.
_MOST_BYTES_PER_TOKEN = 32
_RUNS_BYTES = 4096


def estimated_output(
    content_events: int, content_bytes: int, bytes_per_token: float = DEFAULT_BYTES_PER_TOKEN
) -> int:
    """Output tokens of a cut stream: the larger of what events and bytes suggest.

    Every content event carries at least one token, so events bound from below; providers that
    bundle several tokens in an event are caught by the bytes.
    """
    return max(content_events, _ceil_div(content_bytes, bytes_per_token))


def estimated_input(body_bytes: int, bytes_per_token: float = DEFAULT_BYTES_PER_TOKEN) -> int:
    """Input tokens of a request whose provider reported none, from the size of its JSON body."""
    return _ceil_div(body_bytes, bytes_per_token)


def is_understated(usage: Usage, content_bytes: int) -> bool:
    """Whether so many bytes of content cannot be so few tokens."""
    more = content_bytes - _RUNS_BYTES
    return more > 0 and more > most_written(usage) * _MOST_BYTES_PER_TOKEN


def needs_size(usage: Usage | None, most_bytes: int) -> bool:
    """Whether the content of an answer of at most so many bytes must be measured: it is estimated
    by its size, or what is reported could be too little for it."""
    return usage is None or is_understated(usage, most_bytes)


def _ceil_div(count: int, size: float) -> int:
    whole = int(count / size)
    return whole if whole * size >= count else whole + 1
