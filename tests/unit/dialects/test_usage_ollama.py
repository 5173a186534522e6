"""Ollama's counts in disjoint classes."""

import pytest

from tollway.dialects.usage_ollama import read_ollama_usage
from tollway.domain.usage import Usage


@pytest.mark.parametrize(
    ("value", "usage"),
    [
        ({"prompt_eval_count": 5, "eval_count": 2, "total_duration": 7}, Usage(5, output=2)),
        ({"prompt_eval_count": 5}, Usage(5)),
        ({"eval_count": 0}, Usage(output=0)),
        ({"prompt_eval_count": -1, "eval_count": "2"}, None),
        ({}, None),
    ],
)
def test_classes(value, usage):
    """What is no count is not known."""
    assert read_ollama_usage(value) == usage
