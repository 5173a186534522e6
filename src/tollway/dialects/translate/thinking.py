"""Claude's thinking, wherever the model is served: what is asked as `thinking`, and when it may be
asked at all. Source: Anthropic's API reference, "Extended thinking"; Amazon takes the same object.
"""

from typing import Any

from tollway.dialects.translate.talk import Reasoning, Talk, Thinking, ToolUse, joined

_LEAST_BUDGET = 1024  # of thinking
# Tokens of thinking that an effort comes to, for models that want a number.
_BUDGETS = {
    "minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_768, "max": 65_536,
}  # fmt: skip


def thinking_of(reasoning: Reasoning | None, most: int) -> dict[str, Any] | None:
    """A budget must leave room for the answer; where it cannot, the model does not think."""
    if reasoning is None:
        return None
    if reasoning.effort == "none":
        return {"type": "disabled"}
    display = {"display": reasoning.display} if reasoning.display else {}
    if reasoning.adaptive:
        return {"type": "adaptive", **display}
    budget = reasoning.budget or _BUDGETS.get(reasoning.effort)
    if budget is None:
        return None
    budget = min(budget, most - _LEAST_BUDGET)
    if budget < _LEAST_BUDGET:
        return None
    return {"type": "enabled", "budget_tokens": budget, **display}


def may_think(talk: Talk) -> bool:
    """Not while a call is forced, nor in the middle of calls that were made without a thought of
    the provider's own: both it refuses."""
    if talk.tool_choice is not None and talk.tool_choice.mode in ("any", "named"):
        return False
    turns = joined(talk.messages)
    spoken = next((turn for turn in reversed(turns) if turn.role == "assistant"), None)
    if spoken is None or not any(isinstance(part, ToolUse) for part in spoken.parts):
        return True
    return any(
        isinstance(part, Thinking) and (part.sealed or part.signature) for part in spoken.parts
    )
