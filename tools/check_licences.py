"""Every package of the default install has a licence we may ship beside, and stands in NOTICE."""

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.utils import canonicalize_name

from tools.check_locks import read_lock

LOCK = Path("requirements/default.txt")
NOTICE = Path("NOTICE")
# Permissive families. Anything else is a decision for a person.
ALLOWED = re.compile(r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Zlib)\b", re.I)


def licence_of(found: Distribution) -> str:
    """What a package says of its licence, in the first of the three places that says anything."""
    fields = found.metadata
    if "License-Expression" in fields:
        return fields["License-Expression"]
    classified = [
        text.rpartition(" :: ")[2]
        for text in fields.get_all("Classifier") or []
        if text.startswith("License ::")
    ]
    if classified or "License" not in fields:
        return "; ".join(classified)
    return fields["License"].strip().partition("\n")[0]


def judge(name: str, licence: str | None, noticed: set[str]) -> str | None:
    """What is wrong with one package. `licence` is None when the package is not installed."""
    if canonicalize_name(name) not in noticed:
        return f"{name}: not named in {NOTICE}"
    if licence is not None and not ALLOWED.search(licence):
        return f"{name}: licence '{licence}' needs a decision"
    return None


def main() -> int:
    pins, _ = read_lock(LOCK.read_text("utf-8"))
    lines = NOTICE.read_text("utf-8").splitlines()
    noticed: set[str] = {canonicalize_name(line.split()[0]) for line in lines if line.strip()}
    complaints, absent = [], []
    for name in pins:
        try:
            licence = licence_of(distribution(name))
        except PackageNotFoundError:
            licence = None
            absent.append(name)
        complaint = judge(name, licence, noticed)
        if complaint:
            complaints.append(complaint)
    skipped = f"; not installed here, skipped: {', '.join(absent)}" if absent else ""
    print(f"licences: {len(pins) - len(absent)} read{skipped}")
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
