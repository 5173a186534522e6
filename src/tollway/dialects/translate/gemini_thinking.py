"""How much a Gemini model may think: in tokens in its second generation, in levels since its third.
Which generation a model is of stands in its name; a name without one is the newest's.

Sources: Google's page on thinking, and its table of efforts for clients of OpenAI's dialect.
"""

import re
from typing import Any

from tollway.dialects.translate.talk import Reasoning

_GENERATION = re.compile(r"gemini-(\d{1,3})(?:\.(\d{1,3}))?")
_NEWEST = (999, 0)
_THINKING, _LEVELS = (2, 5), (3, 0)  # the first generations that think, and that take levels
_LEAST_BUDGET, _MOST_BUDGET = 512, 24_576  # what every model of 2.5 takes
_LEAST_OF_PRO = 128
_EFFORTS = {
    "minimal": (1024, "LOW"),  # not every model knows a level below
    "low": (1024, "LOW"),
    "medium": (8192, "MEDIUM"),
    "high": (_MOST_BUDGET, "HIGH"),
    "xhigh": (_MOST_BUDGET, "HIGH"),
    "max": (_MOST_BUDGET, "HIGH"),
}


def generation_of(model: str) -> tuple[int, int]:
    """Such as (2, 5); (0, 0) for models that are no Gemini."""
    found = _GENERATION.search(model)
    if found is None:
        return _NEWEST if "gemini" in model else (0, 0)
    return int(found[1]), int(found[2] or 0)


def thinking_of(reasoning: Reasoning | None, model: str) -> tuple[dict[str, Any], bool]:
    """The `thinkingConfig`, empty for whatever the model does by itself; and whether what is wanted
    is not what one gets."""
    if reasoning is None:
        return {}, False
    generation = generation_of(model)
    if generation < _THINKING:
        return {}, reasoning.effort != "none"
    if reasoning.effort == "none":
        return _unthinking(model, generation)
    said = _amount(reasoning, levels=generation >= _LEVELS)
    if reasoning.shown:
        said["includeThoughts"] = True
    return said, False


def _unthinking(model: str, generation: tuple[int, int]) -> tuple[dict[str, Any], bool]:
    """Most models cannot but think: then as little as they can."""
    if generation >= _LEVELS:
        return {"thinkingLevel": "LOW"}, True
    if "flash" in model:
        return {"thinkingBudget": 0}, False
    return {"thinkingBudget": _LEAST_OF_PRO}, True


def _amount(reasoning: Reasoning, *, levels: bool) -> dict[str, Any]:
    effort = _EFFORTS.get(reasoning.effort)
    if effort is not None:
        return {"thinkingLevel": effort[1]} if levels else {"thinkingBudget": effort[0]}
    if reasoning.budget is not None:
        return {"thinkingBudget": min(max(reasoning.budget, _LEAST_BUDGET), _MOST_BUDGET)}
    if reasoning.adaptive and not levels:
        return {"thinkingBudget": -1}
    return {}
