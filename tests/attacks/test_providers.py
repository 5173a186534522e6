"""Table F of the attack list and G-60: each row is held by a test that is there and says so."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.attacks.providers import GOAL_60, PARTLY, ROWS

ROOT = Path(__file__).parents[2]
ALL = {*range(83, 89), *range(90, 94), *range(95, 99), *range(100, 103)}  # with the list's own gaps
PHASES = {"connect", "TLS", "headers", "first token", "mid", "before usage", "after usage"}


@cache
def docstrings_in(path: str) -> dict[str, str]:
    """By test; what stands in a comment above a group of tests counts for none."""
    tree = ast.parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        node.name: ast.get_docstring(node) or ""
        for node in ast.walk(tree)
        if isinstance(node, kinds)
    }


def said_of(place: str) -> str:
    """The test's docstring; it must exist."""
    path, _, name = place.partition("::")
    assert name in docstrings_in(path), place
    return docstrings_in(path)[name]


def rows_in(text: str) -> set[int]:
    """The rows that a docstring names: `Row 87`, `Rows 83, 88 and 93`, `Rows 90 to 93`."""
    rows: set[int] = set()
    for found in re.findall(r"(?:[Rr]ows?|Attack) ([0-9]+(?:(?:, | and | to )[0-9]+)*)", text):
        for part in re.split(r", | and ", found):
            first, _, last = part.partition(" to ")
            rows.update(range(int(first), int(last or first) + 1))
    return rows


def test_every_row_is_held() -> None:
    """By tests that exist."""
    assert ROWS.keys() == ALL
    assert PARTLY.keys() <= ALL
    for row, held in ROWS.items():
        assert held, row
        assert row in {number for place in held for number in rows_in(said_of(place))}, row


@pytest.mark.parametrize("phase", sorted(PHASES))
def test_every_phase_is_held(phase: str) -> None:
    """G-60 likewise."""
    assert GOAL_60.keys() == PHASES
    assert any("G-60" in said_of(place) for place in GOAL_60[phase])
    assert all(said_of(place) for place in GOAL_60[phase])
