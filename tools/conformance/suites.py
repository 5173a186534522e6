"""The vendors' own test-suites, from the source distributions that the lock pins: straight at the
mock, and through the gateway in front of it. Nothing of them is kept.
"""

import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from tools.conformance.event_front import event_front
from tools.conformance.mock import VENV, mock_of
from tools.conformance.model import MissingError
from tools.conformance.stage import Upstream, gateway

_LOCK = Path("requirements/conformance.txt")
_TESTS = Path("tests/api_resources")
_TIMEOUT_S = 600
# What the suites ask by name, as their files have it.
_MODEL_NAME = re.compile(r'(?:model(?:_id)?=|\.retrieve\(\s*)"([^"]+)"')
_DEPRECATED = re.compile(r'"(claude-[\w.-]+)":')
_CONFTEST_KEY = re.compile(r'^api_key = "[^"]+"$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Suite:
    """Which tests of a vendor are run. `base` is what its client wants after the gateway's URL,
    `below` what the gateway wants after the mock's."""

    vendor: str
    kind: str
    files: Sequence[str]
    chosen: str
    base: str
    below: str
    named_in: str = ""  # a file of the library whose names of models are asked as well
    adjusted: Sequence[tuple[str, str]] = ()  # values that hide the rest of a test, for a third run
    default_model: str | None = None  # the tenant's, for what a test leaves out


SUITES = (
    Suite(
        "openai",
        "openai",
        (
            "chat/test_completions.py",
            "test_completions.py",
            "test_embeddings.py",
            "test_models.py",
            "test_responses.py",
        ),
        "create or (test_models and not delete)",
        "/v1",
        "",
        adjusted=(
            (r"\bconversation=\"[^\"]*\"", "conversation=None"),
            (r"\bprevious_response_id=\"[^\"]*\"", "previous_response_id=None"),
            (r"\bprompt=\{(?:[^{}]|\{[^{}]*\})*\}", "prompt=None"),
        ),
        default_model="gpt-6-astra",
    ),
    Suite(
        "anthropic",
        "anthropic",
        ("test_messages.py", "test_models.py"),
        "",
        "",
        "/v1",
        "src/anthropic/resources/messages/messages.py",
    ),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test in each run: why it failed, or None where it passed."""

    suite: str
    endpoint: str
    name: str
    straight: str | None
    through: str | None
    adjusted: str | None = None


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """What one suite found."""

    package: str
    version: str
    tests: Sequence[Outcome]


def run_suites(say: Callable[[str], None]) -> list[SuiteRun]:
    """Every suite, both ways."""
    return [_run(suite, say) for suite in SUITES]


def _run(suite: Suite, say: Callable[[str], None]) -> SuiteRun:
    with tempfile.TemporaryDirectory(prefix="conformance-") as scratch:
        source, version = _fetch(suite.vendor, Path(scratch))
        _take_key_from_environment(source / "tests" / "conftest.py")
        with mock_of(suite.vendor) as bare, event_front(bare) as mock:
            straight = _pytest(suite, source, mock, "not-checked")
            say(f"{suite.vendor} {version} straight: {_passed(straight)} of {len(straight)}")
            upstream = Upstream(mock + suite.below, _models(suite, source), suite.kind)
            with gateway([upstream], suite.default_model) as tree:
                through = _pytest(suite, source, tree.url + suite.base, tree.key)
                say(f"{suite.vendor} {version} gateway: {_passed(through)} of {len(through)}")
                adjusted = through
                if suite.adjusted:
                    _adjust(suite, source)
                    adjusted = _pytest(suite, source, tree.url + suite.base, tree.key)
                    say(f"{suite.vendor} {version} adjusted: {_passed(adjusted)}")
    tests = [
        Outcome(suite.vendor, _endpoint(name), name, why, _of(through, name), _of(adjusted, name))
        for name, why in straight.items()
    ]
    return SuiteRun(suite.vendor, version, tests)


def _fetch(package: str, scratch: Path) -> tuple[Path, str]:
    """The unpacked source distribution that the lock pins by hash, and its version."""
    entry = re.search(rf"^{package}==.*?(?:[^\\]\n|\Z)", _LOCK.read_text("utf-8"), re.M | re.S)
    assert entry is not None, f"{package} is not in {_LOCK}"
    wanted = scratch / "wanted.txt"
    wanted.write_text(entry[0], "utf-8")
    done = subprocess.run(
        [
            str(VENV / "bin" / "python"), "-m", "pip", "download", "--quiet",
            "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:",
            "--no-build-isolation", "--require-hashes", "-d", str(scratch), "-r", str(wanted),
        ],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )  # fmt: skip
    archives = list(scratch.glob("*.tar.gz"))
    if done.returncode or not archives:
        raise MissingError(f"the sources of {package} cannot be had: {done.stderr[-500:]}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(scratch, filter="data")
    name = archives[0].name.removesuffix(".tar.gz")
    return scratch / name, name.rpartition("-")[2]


def _take_key_from_environment(conftest: Path) -> None:
    """The one change to a suite: its made-up key would open no gateway."""
    text, count = _CONFTEST_KEY.subn(
        'api_key = os.environ["CONFORMANCE_KEY"]', conftest.read_text("utf-8")
    )
    assert count == 1, f"{conftest.name} sets its key in another way now"
    conftest.write_text(text, "utf-8")


def _adjust(suite: Suite, source: Path) -> None:
    for path in (source / _TESTS / file for file in suite.files):
        text = path.read_text("utf-8")
        for pattern, value in suite.adjusted:
            text = re.sub(pattern, value, text)
        path.write_text(text, "utf-8")


def _of(found: dict[str, str | None], name: str) -> str | None:
    return found.get(name, "not run")


def _models(suite: Suite, source: Path) -> dict[str, str]:
    texts = [(source / _TESTS / file).read_text("utf-8") for file in suite.files]
    names = [name for text in texts for name in _MODEL_NAME.findall(text)]
    if suite.named_in:
        names += _DEPRECATED.findall((source / suite.named_in).read_text("utf-8"))
    return {name: name for name in names}


def _pytest(suite: Suite, source: Path, url: str, key: str) -> dict[str, str | None]:
    """Why each test failed, or None, by its name."""
    found = source / "found.xml"
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = {"TEST_API_BASE_URL": url, "CONFORMANCE_KEY": key, "PYTHONPATH": "src"}
    command = [
        str((VENV / "bin" / "python").absolute()), "-m", "pytest", "-q", "-n", "2",
        "-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings=default",
        f"--junitxml={found}", "-k", suite.chosen,
    ]  # fmt: skip
    subprocess.run(
        [*command, *(str(_TESTS / file) for file in suite.files)],
        cwd=source,
        env={**kept, **environment},
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    return dict(_read(found)) if found.exists() else {}


def _read(found: Path) -> list[tuple[str, str | None]]:
    cases = []
    for case in ET.parse(found).iter("testcase"):
        if case.find("skipped") is not None:
            continue
        wrong = case.find("failure") if case.find("error") is None else case.find("error")
        name = f"{case.get('classname')}.{case.get('name')}".removeprefix("tests.api_resources.")
        why = None if wrong is None else " ".join((wrong.get("message") or "?").split())
        cases.append((name, why))
    return cases


def _passed(found: dict[str, str | None]) -> int:
    return sum(why is None for why in found.values())


def _endpoint(name: str) -> str:
    """Which endpoint a test asks, by its name."""
    if "count_tokens" in name:
        return "count_tokens"
    return name.partition(".Test")[0].replace(".test_", " ").removeprefix("test_")
