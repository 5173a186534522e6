"""Pages that lie: links to files that are gone, paths in backticks that do not exist, decisions
without a status, changelog fragments nobody will find.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

PAGES = ("*.md", "docs/**/*.md", "changelog.d/*.md")
DECISIONS = Path("docs/decisions")
FRAGMENTS = Path("changelog.d")
KINDS = ("added", "changed", "fixed", "removed", "security")
STATUSES = ("accepted", "proposed", "superseded")

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"`((?:src|tests|tools|docs|bench|requirements|changelog\.d)/[\w./*-]+)`")
_DECISION = re.compile(r"^\d{4}-[a-z0-9-]+\.md$")
_FRAGMENT = re.compile(rf"^[a-z0-9-]+\.({'|'.join(KINDS)})\.md$")


def dead_links(page: Path, text: str) -> Iterator[str]:
    """Relative links whose file is missing."""
    for target in _LINK.findall(text):
        path = target.partition("#")[0]
        here = path and "://" not in path and not path.startswith("mailto:")
        if here and not (page.parent / path).exists():
            yield f"{page}: link to {target}"


def dead_paths(page: Path, text: str, root: Path) -> Iterator[str]:
    """Files and folders of the tree that a page names and the tree does not have."""
    for path in _PATH.findall(text):
        found = any(root.glob(path)) if "*" in path else (root / path).exists()
        if not found:
            yield f"{page}: names {path}"


def wrong_decisions(folder: Path) -> Iterator[str]:
    """Decision records with a strange name, a number used twice, or no status."""
    seen: dict[str, str] = {}
    for page in sorted(folder.glob("*.md")):
        if not _DECISION.match(page.name):
            yield f"{page}: a decision is named NNNN-title.md"
            continue
        number = page.name[:4]
        if number in seen:
            yield f"{page}: number {number} is taken by {seen[number]}"
        seen[number] = page.name
        if not re.search(rf"^Status: ({'|'.join(STATUSES)})", page.read_text("utf-8"), re.M):
            yield f"{page}: no line 'Status: {'|'.join(STATUSES)}'"


def wrong_fragments(folder: Path) -> Iterator[str]:
    """Changelog fragments whose name says no kind."""
    for page in sorted(folder.glob("*")):
        if not _FRAGMENT.match(page.name):
            yield f"{page}: a fragment is named ISSUE.KIND.md, KIND one of {', '.join(KINDS)}"


def main() -> int:
    root = Path()
    pages = sorted({page for pattern in PAGES for page in root.glob(pattern)})
    complaints = [*wrong_decisions(DECISIONS), *wrong_fragments(FRAGMENTS)]
    for page in pages:
        text = page.read_text("utf-8")
        complaints += [*dead_links(page, text), *dead_paths(page, text, root)]
    print(f"docs: {len(pages)} pages, {len(complaints)} wrong")
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
