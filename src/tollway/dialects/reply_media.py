"""A whole answer that is no text: pictures, rankings, judgements; read but never changed. Errors
are read as everywhere (`reply.py`).
"""

import msgspec
from msgspec import Raw

from tollway.dialects.bounded import ABSENT, error_in, usage_in
from tollway.dialects.counts import count_of, details_of
from tollway.dialects.reply import Reply, decoded, read_error
from tollway.dialects.rules import first_byte
from tollway.dialects.usage import read_usage
from tollway.dialects.usage_media import read_media_usage
from tollway.domain.estimate import needs_size
from tollway.domain.usage import Usage

# Moderation is free of charge at OpenAI. It is known to use nothing, so nothing is estimated.
_FREE = Usage(input=0, output=0)


class _Listed(msgspec.Struct, gc=False):
    data: Raw = Raw()  # validated, not built: pictures are megabytes
    results: Raw = Raw()
    usage: Raw = ABSENT
    meta: Raw = ABSENT
    error: Raw = ABSENT


class _Transcription(msgspec.Struct, gc=False):
    text: str | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT


_load_transcription = msgspec.json.Decoder(_Transcription).decode
_load_listed = msgspec.json.Decoder(_Listed).decode


def read_moderation(body: bytes) -> Reply:
    """Judgements, or an error. What reports no usage used none."""
    found = decoded(_load_listed, body)
    if found is None or error_in(found.error) or not _is_list(found.results):
        return read_error(body)
    told = usage_in(found.usage)
    usage = read_usage(told) or read_media_usage(told)
    return Reply(True, usage or _FREE, 0, None, None)


def read_ranking(body: bytes) -> Reply:
    """A ranking (Voyage calls its list `data`), or an error."""
    found = decoded(_load_listed, body)
    if found is None or error_in(found.error):
        return read_error(body)
    if not (_is_list(found.results) or _is_list(found.data)):
        return read_error(body)
    usage = _ranking_usage(usage_in(found.usage), usage_in(found.meta))
    return Reply(True, usage, 0, None, None)


def read_pictures(body: bytes) -> Reply:
    """Pictures, or an error."""
    found = decoded(_load_listed, body)
    if found is None or error_in(found.error) or not _is_list(found.data):
        return read_error(body)
    return Reply(True, read_media_usage(usage_in(found.usage)), 0, None, None)


def read_transcription(body: bytes) -> Reply:
    """What was said, or an error. Usage may be a duration: then it is estimated from the text."""
    found = decoded(_load_transcription, body)
    if found is None or error_in(found.error) or found.text is None:
        return read_error(body)
    usage = read_media_usage(usage_in(found.usage))
    size = len(found.text.encode()) if needs_size(usage, len(body)) else 0
    return Reply(True, usage, size, None, None)


def _is_list(raw: Raw) -> bool:
    return first_byte(raw) == b"["


def _ranking_usage(usage: object, meta: object) -> Usage | None:
    """Jina and Voyage report `total_tokens` alone; Cohere counts searches, which are no tokens, and
    sometimes tokens beside them."""
    found = read_usage(usage)
    if found is not None:
        return found._replace(output=found.output or 0)
    read = count_of(usage, "total_tokens") if isinstance(usage, dict) else None
    if read is None and isinstance(meta, dict):
        read = count_of(details_of(meta, "tokens"), "input_tokens")
        if read is None:
            read = count_of(details_of(meta, "billed_units"), "input_tokens")
    return None if read is None else Usage(input=read, output=0)
