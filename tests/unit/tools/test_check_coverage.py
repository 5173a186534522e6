"""The coverage gates: how figures are added up and judged."""

from typing import Any

from tools.check_coverage import add_up, judge, weakest


def entry(branches: int, taken: int) -> dict[str, Any]:
    return {
        "summary": {
            "num_branches": branches,
            "covered_branches": taken,
            "missing_branches": branches - taken,
            "num_statements": 10,
            "covered_lines": 5,
        }
    }


REPORT = {
    "files": {
        "src/tollway/domain/a.py": entry(10, 10),
        "src/tollway/domain/b.py": entry(10, 8),
        "src/tollway/config.py": entry(0, 0),
        "tools/x.py": entry(1, 0),
    }
}


def test_files_are_added_up_by_floor() -> None:
    """A folder is a floor, a module at the root is its own, what is outside does not count."""
    floors = add_up(REPORT)
    assert set(floors) == {"domain", "config"}
    assert floors["domain"].percent == 90.0
    assert floors["config"].percent == 50.0


def test_a_floor_below_its_gate_or_without_figures_fails() -> None:
    """A gate on something that was never measured is a failure, not a pass."""
    floors = add_up(REPORT)
    assert judge(floors, {"domain": 90}) == []
    assert len(judge(floors, {"domain": 91})) == 1
    assert len(judge(floors, {"gone": 1})) == 1


def test_the_worst_files_of_gated_floors_are_named() -> None:
    """The report says where to look."""
    assert weakest(REPORT, {"domain": 95}, 5) == ["  src/tollway/domain/b.py: 2 missed"]
