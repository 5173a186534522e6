"""What the locks promise: every pin hashed, no place named, all of pyproject.toml covered, and few
packages in what people install.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path("requirements")
DEFAULT_PACKAGES = 40
EVERY_EXTRA_PACKAGES = 70
# Extras that nobody serves with, or that bring one heavy thing for one provider.
LEFT_OUT = frozenset({"demo", "bedrock", "test", "bench"})

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)")


def read_lock(text: str) -> tuple[dict[str, str], list[str]]:
    """Pinned versions by canonical name, and what is wrong with the lock's form."""
    pins: dict[str, str] = {}
    complaints = []
    for number, entry in _entries(text):
        pin = _PIN.match(entry)
        if pin is None:
            complaints.append(f"line {number}: not a pin: {entry[:60]}")
            continue
        pins[canonicalize_name(pin[1])] = pin[2]
        if "--hash=sha256:" not in entry:
            complaints.append(f"line {number}: {pin[1]} has no hash")
        if "/" in entry or "@" in entry:
            complaints.append(f"line {number}: {pin[1]} names a place")
    return pins, complaints


def _entries(text: str) -> Iterator[tuple[int, str]]:
    """Each requirement with its continuation lines as one string, and where it begins."""
    begun, parts = 0, [""]
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        begun = begun or number
        parts.append(line.strip().rstrip("\\"))
        if not line.rstrip().endswith("\\"):
            yield begun, " ".join(parts).strip()
            begun, parts = 0, [""]


def uncovered(requirements: list[str], pins: dict[str, str]) -> Iterator[str]:
    """Requirements that a lock does not hold, or holds at a version they exclude."""
    for text in requirements:
        wanted = Requirement(text)
        version = pins.get(canonicalize_name(wanted.name))
        if version is None:
            yield f"{text} is not in it"
        elif version not in wanted.specifier:
            yield f"{text} is pinned to {version}"


def judge(project: dict[str, Any], locks: dict[str, str]) -> list[str]:
    """Everything wrong with the locks of a project; `locks` is text by name."""
    extras: dict[str, list[str]] = project["project"]["optional-dependencies"]
    groups: dict[str, list[str]] = project["dependency-groups"]
    dependencies: list[str] = project["project"]["dependencies"]
    pins, complaints = {}, []
    for name, text in locks.items():
        pins[name], wrong = read_lock(text)
        complaints += [f"{name}: {complaint}" for complaint in wrong]
    wanted = {
        "default": dependencies,
        "test": dependencies + extras["test"],
        "demo": extras["demo"] + groups["model"],
        "bench": extras["bench"],
        **{name: wanted for name, wanted in groups.items() if name != "model"},
    }
    served = sorted(extras.keys() - LEFT_OUT)
    if served:
        wanted["full"] = dependencies + [one for extra in served for one in extras[extra]]
    for name, requirements in wanted.items():
        complaints += [f"{name}: {one}" for one in uncovered(requirements, pins.get(name, {}))]
    limits = (
        ("default", DEFAULT_PACKAGES),
        ("full" if served else "default", EVERY_EXTRA_PACKAGES),
    )
    for name, limit in limits:
        if len(pins.get(name, ())) > limit:
            complaints.append(f"{name}: {len(pins[name])} packages, limit {limit}")
    return complaints


def main() -> int:
    locks = {path.stem: path.read_text("utf-8") for path in sorted(FOLDER.glob("*.txt"))}
    complaints = judge(tomllib.loads(Path("pyproject.toml").read_text("utf-8")), locks)
    counts = ", ".join(f"{name} {len(read_lock(text)[0])}" for name, text in locks.items())
    print(f"packages locked: {counts}")
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
