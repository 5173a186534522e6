"""Token counts where no provider gave one. Used for admission and for endings without usage,
where the row says `estimated`; never where the provider reported usage.
"""

# Mean UTF-8 bytes of one token in English text and code with byte-level BPE vocabularies.
DEFAULT_BYTES_PER_TOKEN = 4.0


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


def _ceil_div(count: int, size: float) -> int:
    whole = int(count / size)
    return whole if whole * size >= count else whole + 1
