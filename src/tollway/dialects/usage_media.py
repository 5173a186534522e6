"""The `usage` object of OpenAI's pictures and transcriptions -> disjoint token classes.

Sources: OpenAI's ImagesResponse.usage (`input_tokens_details`, `output_tokens_details`) and
Transcription.usage (`input_token_details`; one of the type `duration` has no tokens). What is
absent or cannot be true is "not reported", never 0.
"""

from tollway.dialects.counts import count_of, details_of, disjoint, sum_of
from tollway.domain.usage import Usage


def read_media_usage(value: object) -> Usage | None:
    """The classes of a decoded `usage` value, or None when it reports neither input nor output."""
    if not isinstance(value, dict):
        return None
    total_in, total_out = count_of(value, "input_tokens"), count_of(value, "output_tokens")
    if total_in is None and total_out is None:
        return None
    into = details_of(value, "input_tokens_details") or details_of(value, "input_token_details")
    out = details_of(value, "output_tokens_details")
    plain_in, (cached, audio, seen) = disjoint(
        total_in,
        count_of(into, "cached_tokens"),
        count_of(into, "audio_tokens"),
        count_of(into, "image_tokens"),
    )
    plain_out, (drawn,) = disjoint(total_out, count_of(out, "image_tokens"))
    return Usage(plain_in, cached, None, plain_out, None, audio, sum_of(seen, drawn))
