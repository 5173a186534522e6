"""From a price to a bill: what a request costs stands in its row, from the first request on."""

import json
from pathlib import Path

from openai import OpenAI

from tests.fakes.gateway import GatewayTree
from tests.journeys.test_cli import by_commands


def test_a_price_becomes_a_cost(tmp_path: Path) -> None:
    """Before there is a price the cost is unknown, not 0; from then on each request has its own."""
    tree = GatewayTree(tmp_path, workers=1)
    tree.start()
    try:
        key = by_commands(tree, "acme")
        client = OpenAI(base_url=tree.base_url, api_key=key, max_retries=0)

        def ask() -> int:
            answer = client.chat.completions.create(
                model="chat", messages=[{"role": "user", "content": "[[tokens=7]]"}]
            )
            assert answer.usage is not None
            return 3 * answer.usage.prompt_tokens * 1000 + 5 * 7 * 1000

        def report() -> dict[str, object]:
            [row] = json.loads(tree.run("usage", "-o", "json", "--tenant", "acme"))
            return {name: row[name] for name in ("requests", "cost_usd")}

        ask()
        assert report() == {"requests": 1, "cost_usd": None}
        tree.run(
            *("prices", "create", "echo", "--rate", "input=3", "--rate", "output=5"),
            *("--provider-kind", "echo"),
        )
        nusd = ask() + ask()
        assert report() == {"requests": 3, "cost_usd": f"{nusd / 1e9:.9f}".rstrip("0")}
        client.close()
    finally:
        tree.close()
