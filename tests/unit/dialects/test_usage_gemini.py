"""Gemini's counts as disjoint classes."""

import pytest

from tollway.dialects.usage_gemini import read_gemini_usage
from tollway.domain.usage import Usage, total_tokens


def usage(prompt=None, written=None, thoughts=None, total=None, **more):
    """An `usageMetadata`."""
    named = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": written,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": total,
        **more,
    }
    return {name: count for name, count in named.items() if count is not None}


def by(modality, count):
    """Tokens by what they are."""
    return [{"modality": "TEXT", "tokenCount": 1}, {"modality": modality, "tokenCount": count}]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (usage(5, 7, total=12), Usage(5, output=7)),
        (usage(5, 7, 4, 16), Usage(5, output=7, reasoning=4)),
        (usage(5, None, 4, 9), Usage(5, output=0, reasoning=4)),
        (usage(5, None, 4, 8), Usage(5, reasoning=4)),
        (usage(5), Usage(5)),
        (usage(None, 7), Usage(output=7)),
        (
            usage(50, 7, 4, 64, cachedContentTokenCount=40, toolUsePromptTokenCount=3),
            Usage(13, 40, None, 7, 4),
        ),
        (usage(5, 7, cachedContentTokenCount=6), Usage(5, output=7)),
        (usage(None, 7, toolUsePromptTokenCount=3), Usage(output=7)),
        (
            usage(50, 7, promptTokensDetails=by("AUDIO", 20)),
            Usage(30, output=7, audio=20),
        ),
        (
            usage(
                50,
                7,
                cachedContentTokenCount=25,
                promptTokensDetails=by("AUDIO", 20),
                cacheTokensDetails=by("AUDIO", 15),
            ),
            Usage(20, 25, output=7, audio=5),
        ),
        (usage(50, 7, promptTokensDetails=by("IMAGE", 20)), Usage(50, output=7)),
        (
            usage(5, 1300, candidatesTokensDetails=by("IMAGE", 1290)),
            Usage(5, output=10, image=1290),
        ),
        (usage(5, 7, candidatesTokensDetails=[5], promptTokensDetails=5), Usage(5, output=7)),
    ],
)
def test_classes(value, read):
    """No token is in two of them, and what is not reported is none."""
    assert read_gemini_usage(value) == read


@pytest.mark.parametrize(
    "value",
    [None, 5, [], {}, usage(total=5), usage(thoughts=5), usage(-1, True), usage("5", 1.5)],
)
def test_nothing_is_reported(value):
    """What cannot be true is none."""
    assert read_gemini_usage(value) is None


def test_the_total_is_kept():
    """All classes together are what Google counts."""
    value = usage(50, 7, 4, 64, cachedContentTokenCount=40, toolUsePromptTokenCount=3)
    assert total_tokens(read_gemini_usage(value)) == 64
