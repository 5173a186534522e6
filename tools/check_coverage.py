"""Holds each floor named in pyproject.toml (`tool.tollway.coverage`) to its share of branches.

Reads the `.coverage` file that a pytest run left; a branch counts as in coverage.py's own report.
"""

import json
import subprocess
import sys
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPORT = Path(".coverage-report.json")  # not `.coverage.*`: coverage would combine it
PREFIX = "src/tollway/"


@dataclass(slots=True)
class Floor:
    """What one floor's files add up to."""

    branches: int = 0
    taken: int = 0
    lines: int = 0
    run: int = 0

    @property
    def percent(self) -> float:
        """Branches taken, in percent; a floor without branches is judged by its lines."""
        whole, part = (self.branches, self.taken) if self.branches else (self.lines, self.run)
        return 100.0 * part / whole if whole else 100.0


def add_up(report: dict[str, Any]) -> dict[str, Floor]:
    """The figures of a coverage JSON report by floor (first folder or module under the package)."""
    floors: dict[str, Floor] = defaultdict(Floor)
    for path, entry in report["files"].items():
        if not path.startswith(PREFIX):
            continue
        floor = floors[path.removeprefix(PREFIX).partition("/")[0].removesuffix(".py")]
        figures = entry["summary"]
        floor.branches += figures["num_branches"]
        floor.taken += figures["covered_branches"]
        floor.lines += figures["num_statements"]
        floor.run += figures["covered_lines"]
    return dict(floors)


def judge(floors: dict[str, Floor], gates: dict[str, float]) -> list[str]:
    """The floors below their gate, and gates whose floor no file belongs to."""
    complaints = []
    for name, gate in gates.items():
        if name not in floors:
            complaints.append(f"{name}: nothing was measured")
        elif floors[name].percent < gate:
            complaints.append(f"{name}: {floors[name].percent:.1f} % of branches, gate {gate} %")
    return complaints


def weakest(report: dict[str, Any], gates: dict[str, float], count: int) -> list[str]:
    """The files of gated floors with the most branches missed."""
    missed = [
        (entry["summary"]["missing_branches"], path)
        for path, entry in report["files"].items()
        if path.removeprefix(PREFIX).partition("/")[0] in gates
    ]
    return [f"  {path}: {number} missed" for number, path in sorted(missed)[::-1][:count] if number]


def main() -> int:
    gates = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["tool"]["tollway"]["coverage"]
    command = [sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(REPORT)]
    subprocess.run(command, check=True)
    report = json.loads(REPORT.read_text("utf-8"))
    floors = add_up(report)
    for name, floor in sorted(floors.items()):
        gate = f", gate {gates[name]} %" if name in gates else ""
        print(f"{name}: {floor.taken} of {floor.branches} branches, {floor.percent:.1f} %{gate}")
    complaints = judge(floors, gates)
    for line in complaints + (weakest(report, gates, 10) if complaints else []):
        print(line)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
