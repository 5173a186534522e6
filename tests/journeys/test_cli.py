"""A house for a tenant in three ways, as a new administrator of the platform makes one: through the
API, with the commands, and from a file. Whatever the way, the gateway serves it and it is the same.
"""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from openai import OpenAI

from tests.fakes.gateway import GatewayTree

EXAMPLE = Path("examples/two-tenants.yaml").absolute()


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[GatewayTree]:
    gateway = GatewayTree(tmp_path, workers=1)
    gateway.start()
    yield gateway
    gateway.close()


def by_api(tree: GatewayTree, slug: str) -> str:
    """With a token and a URL alone; the key's text."""
    token = (tree.data_dir / "admin.token").read_text().strip()

    def post(path: str, **body: Any) -> Any:
        request = urllib.request.Request(
            f"{tree.state['admin_url']}/api/v1{path}",
            json.dumps(body).encode(),
            {"authorization": f"Bearer {token}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    tenant = post("/tenants", slug=slug, name="A house")["id"]
    post(f"/tenants/{tenant}/members", email=f"ada@{slug}.example", name="Ada", role="tenant_admin")
    project = post(f"/tenants/{tenant}/projects", name="search")["id"]
    provider = post("/providers", name="parrot", kind="echo", tenant_id=tenant)["id"]
    targets = [{"provider_id": provider, "model": "echo"}]
    post("/models", name="chat", tenant_id=tenant, targets=targets)
    made = post(f"/tenants/{tenant}/keys", name="bot", project_id=project, models=["chat"])
    return str(made["key"])


def by_commands(tree: GatewayTree, slug: str) -> str:
    """On the gateway's machine, where nothing else has to be given."""
    of = ("--tenant", slug)
    tree.run("tenants", "create", slug, "--name", "A house")
    person = ("members", "create", f"ada@{slug}.example", "--name", "Ada", "--role", "tenant_admin")
    tree.run(*person, *of)
    tree.run("projects", "create", "search", *of)
    tree.run("providers", "create", "parrot", "--kind", "echo", *of)
    tree.run("models", "create", "chat", "--target", "parrot/echo", *of)
    key = ("keys", "create", "bot", "--project", "search", "--models", "chat")
    return str(json.loads(tree.run(*key, *of, "-o", "json"))["key"])


def by_file(tree: GatewayTree, slug: str) -> str:
    """One file, applied beside the database."""
    tree.apply(
        {
            "tenants": [{"slug": slug, "name": "A house"}],
            "accounts": [
                {
                    "email": f"ada@{slug}.example",
                    "name": "Ada",
                    "members": [{"tenant": slug, "role": "tenant_admin"}],
                }
            ],
            "projects": [{"tenant": slug, "name": "search"}],
            "providers": [{"tenant": slug, "name": "parrot", "kind": "echo"}],
            "models": [
                {
                    "tenant": slug,
                    "name": "chat",
                    "targets": [{"provider": "parrot", "model": "echo"}],
                }
            ],
            "keys": [{"tenant": slug, "name": "bot", "project": "search", "models": ["chat"]}],
        }
    )
    return tree.keys[-1]


def house_of(text: str, slug: str) -> Any:
    """What a file says of one tenant, with its slug taken out."""
    content = yaml.safe_load(text)
    own = {
        kind: [entry for entry in entries if slug in json.dumps(entry)]
        for kind, entries in content.items()
    }
    return json.loads(json.dumps(own).replace(slug, "SLUG"))


def test_three_ways_to_the_same_house(tree: GatewayTree) -> None:
    """Each key opens at once, and `get` tells the three houses apart by their names alone. Given
    back to `apply`, that changes nothing."""
    ways = {"house-a": by_api, "house-b": by_commands, "house-c": by_file}
    for slug, way in ways.items():
        key = way(tree, slug)
        for _ in range(4):  # on either worker
            client = OpenAI(base_url=tree.base_url, api_key=key, max_retries=0)
            answer = client.chat.completions.create(
                model="chat", messages=[{"role": "user", "content": f"Hello, {slug}"}]
            )
            assert answer.choices[0].message.content == f"Hello, {slug}"
            client.close()
    text = tree.run("get", "-o", "yaml")
    first, *others = (house_of(text, slug) for slug in ways)
    assert {kind: len(entries) for kind, entries in first.items()} == dict.fromkeys(
        ("tenants", "accounts", "projects", "providers", "models", "keys"), 1
    )
    assert others == [first, first]
    path = tree.folder / "all.yaml"
    path.write_text(text)
    assert tree.run("apply", "-f", str(path), "--dry-run").count("not of a file until now") == 14
    tree.run("apply", "-f", str(path))
    assert "nothing to change" in tree.run("apply", "-f", str(path), "--dry-run", "--prune")
    assert tree.run("get", "-o", "yaml") == text


def test_the_example_is_served_and_applied_twice(tree: GatewayTree) -> None:
    """What `make seed` does: over the API the second time, and nothing is different."""
    assert "+ key acme/search-backend" in tree.run("apply", "-f", str(EXAMPLE))
    token = f"file:{tree.data_dir / 'admin.token'}"
    url = tree.state["admin_url"]
    again = tree.run("apply", "-f", str(EXAMPLE), "--url", url, "--token", token)
    assert again == "= 20 unchanged\nThere was nothing to change.\n"
    assert tree.run("get", "--url", url, "--token", token) == tree.run("get")
    assert "the chain is whole" in tree.run("audit", "verify")
    rows = json.loads(tree.run("audit", "list", "--action", "file.applied", "-o", "json"))
    assert [(row["via"], row["changes"]) for row in rows] == [("cli", {"create": 20})]
