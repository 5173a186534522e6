"""What a model's requests use as a rule: what one of them stands for in line until it has told what
it used. A wrong guess is set off then; until then it keeps whoever has several under way behind
others, or before them.
"""

from tollway.domain.estimate import estimated_input
from tollway.domain.output_history import UNKNOWN_TOKENS
from tollway.domain.usage import Usage

_ENOUGH = 8
_SMOOTH = 1 / 16  # of each, in the mean; at first all count alike
_MOST = 8.0  # times what its size says: more is an exception, and nothing to go by


class TurnHistory:
    """One model's, by its means: input as a part of what sizes say, and tokens written."""

    __slots__ = ("_part", "_seen", "_written")

    def __init__(self) -> None:
        self._seen = 0
        self._part = 1.0
        self._written = 0.0

    def learn(self, body_bytes: int, choices: int, usage: Usage) -> None:
        """A request of this size, with so many answers, used so much."""
        read = (usage.input or 0) + (usage.cached_input or 0) + (usage.cache_write or 0)
        written = ((usage.output or 0) + (usage.reasoning or 0)) / choices
        part = min(read / max(estimated_input(body_bytes), 1), _MOST)
        self._seen += 1
        weight = max(_SMOOTH, 1 / self._seen)
        self._part += weight * (part - self._part)
        self._written += weight * (written - self._written)

    def expected(self, body_bytes: int, choices: int, most: int | None) -> int:
        """The tokens of a request of this size, each of its answers `most` at most."""
        few = self._seen < _ENOUGH
        written = UNKNOWN_TOKENS if few else self._written
        if most is not None:
            written = min(most, written)
        read = estimated_input(body_bytes) * (1.0 if few else self._part)
        return round(read + written * choices)
