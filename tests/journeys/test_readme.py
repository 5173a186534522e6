"""The README's "A house for each tenant", typed as it stands: only ports, and what it says to put
in place of dots, are filled in.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.gateway import GatewayTree
from tollway.domain.key import KEY_PATTERN

ROOT = Path(__file__).parents[2]
_ID = re.compile(r'"id": ?"((ten|prj|prv)_[^"]+)"')


def blocks(kind: str) -> list[str]:
    """The section's blocks of one language, in order."""
    page = (ROOT / "README.md").read_text()
    section = page[page.index("## A house for each tenant") :]
    section = section[: section.index("\n## ", 1)]
    return re.findall(rf"```{kind}\n(.*?)```", section, re.S)


def commands(block: str) -> list[str]:
    """What stands behind the `$`, lines that go on joined."""
    joined = re.sub(r"\\\n\s*", "", block)
    joined = joined.replace(';\n  -H "Auth', '; -H "Auth')
    found: list[str] = []
    for line in joined.splitlines():
        if line.startswith("$ "):
            found.append(line[2:])
        else:
            found[-1] += "\n" + line
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[GatewayTree]:
    gateway = GatewayTree(tmp_path)
    gateway.start()
    (tmp_path / "tollway-data").symlink_to(gateway.data_dir)
    yield gateway
    gateway.close()


def typed(tree: GatewayTree, text: str) -> str:
    """What a shell prints for it, in the folder above `tollway-data`."""
    text = text.replace("http://127.0.0.1:5001", tree.url)
    text = text.replace("http://127.0.0.1:5000", tree.state["admin_url"])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tree.folder)}
    done = subprocess.run(
        ["bash", "-c", text],
        env=environment,
        cwd=tree.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout


def answered(tree: GatewayTree, printed: str) -> None:
    """The section's request works with the key that was shown."""
    (key,) = set(re.findall(KEY_PATTERN, printed))
    (ask,) = commands(blocks("console")[1])
    answer = json.loads(typed(tree, ask.replace("tw_live_…", key)))
    assert answer["choices"][0]["message"]["content"] == "Hello"


def test_with_commands(tree: GatewayTree) -> None:
    """The last one shows a key that opens at once."""
    printed = [typed(tree, line) for line in commands(blocks("console")[0])]
    assert len(printed) == 6
    answered(tree, printed[-1])


def test_from_a_file(tree: GatewayTree) -> None:
    """Shown, made, and nothing to do the second time."""
    (tree.folder / "house.yaml").write_text(blocks("yaml")[0])
    assert not re.findall(KEY_PATTERN, typed(tree, "tollway apply -f house.yaml --dry-run"))
    answered(tree, typed(tree, "tollway apply -f house.yaml"))
    assert "nothing to change" in typed(tree, "tollway apply -f house.yaml")


def test_over_the_api(tree: GatewayTree) -> None:
    """Each answer has the id that the next lines need."""
    function, *calls = commands(blocks("console")[2])
    ids: dict[str, str] = {}
    printed = ""
    assert len(calls) == 6
    for call in calls:
        for kind, known in ids.items():
            call = call.replace(f"{kind}_…", known)
        assert "…" not in call.partition("#")[0]
        printed = typed(tree, f"{function}\n{call}")
        ids |= {kind: found for found, kind in _ID.findall(printed)}
    answered(tree, printed)
