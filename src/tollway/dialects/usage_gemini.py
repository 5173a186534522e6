"""Gemini's `usageMetadata` -> disjoint token classes: what was cached stands inside the prompt,
thoughts and the prompts of its own tools beside what they belong to.

Source: Google's UsageMetadata. Its JSON leaves out what is 0, so an answer that is not counted has
what the total leaves for it. Pictures that were read cost what words cost and stay among the
input; sounds that were read, and pictures that were made, have prices of their own.
"""

from tollway.dialects.counts import count_of, disjoint, sum_of
from tollway.domain.usage import Usage


def read_gemini_usage(value: object) -> Usage | None:
    """The classes of a decoded `usageMetadata`, or None when it reports neither input nor output.
    Counts are of the whole answer so far: a stream's last ones are all of it."""
    if not isinstance(value, dict):
        return None
    prompt, thought = count_of(value, "promptTokenCount"), count_of(value, "thoughtsTokenCount")
    written, tools = (
        count_of(value, "candidatesTokenCount"),
        count_of(value, "toolUsePromptTokenCount"),
    )
    total = count_of(value, "totalTokenCount")
    if written is None and prompt is not None and total is not None:
        rest = total - prompt - (thought or 0) - (tools or 0)
        written = rest if rest >= 0 else None
    if prompt is None and written is None:
        return None
    heard = _of(value, "promptTokensDetails", "AUDIO")
    if heard is not None:
        heard = max(heard - (_of(value, "cacheTokensDetails", "AUDIO") or 0), 0)
    plain_in, (cached, audio) = disjoint(prompt, count_of(value, "cachedContentTokenCount"), heard)
    plain_out, (image,) = disjoint(written, _of(value, "candidatesTokensDetails", "IMAGE"))
    if plain_in is not None:
        plain_in = sum_of(plain_in, tools)
    return Usage(plain_in, cached, None, plain_out, thought, audio, image)


def _of(value: dict[str, object], name: str, modality: str) -> int | None:
    """The tokens of one modality."""
    details = value.get(name)
    for one in details if isinstance(details, list) else ():
        if isinstance(one, dict) and one.get("modality") == modality:
            return count_of(one, "tokenCount")
    return None
