"""What a prompt may tell the echo provider to do: `[[tokens=20 gap_ms=5 status=429]]`.

A block counts only when every word in it is `name=value` with a known name; all other brackets are
ordinary text and are echoed. docs/echo.md lists the names. Bounds keep a prompt from making the
process work or wait without end.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

MAX_TOKENS = 100_000
MAX_WAIT_MS = 600_000

_BLOCK = re.compile(r"\[\[([^\[\]]{1,500})\]\]")
_BOUNDS = {
    "tokens": (0, MAX_TOKENS),
    "delay_ms": (0, MAX_WAIT_MS),
    "gap_ms": (0, MAX_WAIT_MS),
    "status": (400, 599),
    "retry_after": (0, 86_400),
    "cut": (0, MAX_TOKENS),
    "stall": (0, MAX_TOKENS),
    "error_event": (0, MAX_TOKENS),
}
_NAMES = frozenset({*_BOUNDS, "usage", "id", "on"})


class DirectiveError(ValueError):
    """A known directive has a value that cannot be; the message says which and what it takes."""


@dataclass(frozen=True, slots=True)
class Script:
    """How one answer is given. `cut`, `stall` and `error_event` count tokens sent before it."""

    tokens: int | None = None  # None: as many as the prompt has words
    delay_ms: int = 0  # before the response head
    gap_ms: int = 0  # between tokens
    status: int | None = None
    retry_after: int | None = None  # seconds
    cut: int | None = None
    stall: int | None = None
    error_event: int | None = None
    usage: bool = True
    id: str | None = None


PLAIN = Script()


def read_script(text: str, model: str) -> tuple[str, Script]:
    """The text without its directive blocks, and what they say for this model together.

    `on=MODEL` limits a block to one target model. Raises `DirectiveError`.
    """
    if "[[" not in text:
        return text, PLAIN
    rest, words = read_words(text, _NAMES, model)
    return rest, _script(words) if words else PLAIN


def read_words(text: str, names: Collection[str], model: str) -> tuple[str, dict[str, str]]:
    """The text without blocks made of these names only, and their values; a later one wins."""
    found: dict[str, str] = {}

    def take(match: re.Match[str]) -> str:
        pairs = [word.partition("=") for word in match.group(1).split()]
        if not pairs or not all(equals and name in names for name, equals, _ in pairs):
            return match.group(0)
        values = {name: value for name, _, value in pairs}
        if values.pop("on", model) == model:
            found.update(values)
        return " "

    return _BLOCK.sub(take, text), found


def _script(words: dict[str, str]) -> Script:
    numbers = {name: _number(name, words[name]) for name in words if name in _BOUNDS}
    return Script(
        tokens=numbers.get("tokens"),
        delay_ms=numbers.get("delay_ms", 0),
        gap_ms=numbers.get("gap_ms", 0),
        status=numbers.get("status"),
        retry_after=numbers.get("retry_after"),
        cut=numbers.get("cut"),
        stall=numbers.get("stall"),
        error_event=numbers.get("error_event"),
        usage=_usage(words.get("usage", "full")),
        id=words.get("id"),
    )


def _number(name: str, text: str) -> int:
    low, high = _BOUNDS[name]
    # Longer digit strings are refused before `int` spends time on them.
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high):
        raise DirectiveError(f"'{name}' takes a whole number from {low} to {high}.")
    return int(text)


def _usage(text: str) -> bool:
    if text not in ("full", "none"):
        raise DirectiveError("'usage' takes full or none.")
    return text == "full"
