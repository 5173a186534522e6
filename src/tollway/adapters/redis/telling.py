"""What is said of a hold that was asked for: that it has ended, or that it holds more. Nobody waits
for the answers.
"""

from collections.abc import Callable
from functools import partial

from tollway.adapters.redis.leases import Leases
from tollway.adapters.redis.lines import Booked, Part, Word, end_words, extend_words
from tollway.adapters.redis.link import Answer, Reply
from tollway.adapters.redis.outbox import Notice, Outbox
from tollway.adapters.redis.scripts import Scripts
from tollway.domain.quota import Sizes


class Telling:
    """`owner` names the journal of which `written` is the end."""

    def __init__(
        self,
        outbox: Outbox,
        leases: Leases,
        scripts: Scripts,
        *,
        owner: str,
        written: Callable[[], tuple[int, int]],
    ) -> None:
        self._outbox = outbox
        self._leases = leases
        self._registry = leases.registry
        self._scripts = scripts
        self._owner = owner
        self._written = written

    def end(self, booked: Booked, part: Part, actual: Sizes | None) -> None:
        """It has used so much; None: nothing."""
        say = partial(self._say_end, actual, self._written())
        self._outbox.add(Notice(booked, part, say))

    def more(self, booked: Booked, *, strict: bool) -> None:
        """It holds what its lines say; `strict`: rules of this precision may say no."""
        say = partial(self._say_more, strict)
        for part in booked.parts:
            self._outbox.add(Notice(booked, part, say, _hear_more))

    def _say_end(
        self, actual: Sizes | None, place: tuple[int, int], booked: Booked, part: Part
    ) -> Answer:
        outcome = "V" if actual is None else "S"
        words: list[Word] = [booked.id, booked.epoch, outcome, self._owner, *place]
        words += end_words(part, actual)
        return self._registry.call(self._scripts.settle, part.keys, words, lazy=True)

    def _say_more(self, strict: bool, booked: Booked, part: Part) -> Answer | None:
        if not self._leases.has(booked):
            return None
        words = extend_words(part, strict=strict)
        return self._registry.call(self._scripts.extend, part.keys, words, lazy=True)


def _hear_more(booked: Booked, part: Part, reply: Reply) -> None:
    if reply[0] == b"BOUND":
        booked.bound = part.lines[reply[2] - 1], reply[3], reply[4]
