"""The running admin API keeps its OpenAPI document: schemathesis makes examples, edge cases, random
calls and walks along the links, and checks every answer.

`make schema SECONDS=600` runs it for longer.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.admin_links import count_links, linked
from tests.fakes.gateway import GatewayTree
from tollway.web.admin.app import openapi_document

pytestmark = pytest.mark.slow
TOKEN = "a-token-for-the-conformance-of-the-api"
SECONDS = int(os.environ.get("TOLLWAY_SCHEMA_SECONDS", "0"))  # 0: the short run
# What the document cannot say (a model must exist, names are printable, a rate at least) is a 400
# with the field's name: a call that keeps the document may be refused.
NOT_CHECKED = ("positive_data_acceptance",)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[GatewayTree]:
    gateway = GatewayTree(tmp_path, admin_token=TOKEN)
    gateway.apply(
        {
            "tenants": [{"slug": "acme"}],
            "accounts": [{"email": "a@acme.example", "members": [{"tenant": "acme"}]}],
            "providers": [{"name": "parrot", "kind": "echo"}],
            "models": [{"name": "small", "targets": [{"provider": "parrot", "model": "echo"}]}],
        }
    )
    gateway.start()
    yield gateway
    gateway.close()


def test_every_answer_keeps_the_document(tree: GatewayTree, show: Callable[[str], None]) -> None:
    """No 5xx, no answer that the document does not describe, nothing served without a token, and
    what was deleted stays away: over all phases, with all checks but the one named."""
    document = tree.folder / "openapi.json"
    walked = linked(openapi_document())
    assert count_links(walked) > 100
    document.write_text(json.dumps(walked))
    size = ["--max-examples", "8", "--generation-deterministic"]
    if SECONDS:
        size = ["--max-examples", "100000", "--max-time", str(SECONDS)]
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            str(document),
            *("--url", tree.state["admin_url"]),
            *("--header", f"Authorization: Bearer {TOKEN}"),
            *("--exclude-checks", ",".join(NOT_CHECKED)),
            *("--workers", "1"),
            *("--request-timeout", "20"),
            "--no-color",
            *size,
        ],
        cwd=tree.folder,
        capture_output=True,
        text=True,
        timeout=SECONDS + 400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    counted = re.search(r"(\d+) generated", done.stdout)
    assert counted is not None
    show(f"{counted[1]} calls")
    assert int(counted[1]) > 1000
    assert "Traceback" not in tree.log.read_text()
