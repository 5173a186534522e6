"""`tollway explain`: what the gateway would do with a request, and why. Over the admin API."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from tollway.cli.access import Reach, admin_api, reach_options
from tollway.cli.outcomes import REFUSED, CommandError
from tollway.cli.printing import output_option, plain, written
from tollway.domain.key import split_key

_MESSAGE = {"messages": [{"role": "user", "content": "Hello"}]}


@click.command(name="explain")
@click.option("--key", required=True, help="The key's id, or its text: only the id is sent.")
@click.option("--tenant", "tenant_id", metavar="ID", help="Whose key it is, if that is not you.")
@click.option("--model", help="A short chat request to this model.")
@click.option(
    "--request",
    "file",
    type=click.Path(allow_dash=True),
    help="A request's body, as JSON; -: stdin.",
)
@click.option("--endpoint", default="/v1/chat/completions", show_default=True)
@click.option("--end-user", help="Who the application says asks.")
@click.option("--address", help="The client's address, for keys that are bound to some.")
@output_option("text", "json", "yaml")
@reach_options
def command(*, key: str, output: str, model: str | None, file: str | None, **given: Any) -> None:
    """Show whether a request would pass, which limits it meets and where it would go. Nothing is
    sent, held or billed. Exit code 1 when it would be refused."""
    parts = split_key(key)
    told = {name: given.pop(name) for name in ("tenant_id", "endpoint", "end_user", "address")}
    with admin_api(Reach(**given)) as client:
        body = {"key_id": key if parts is None else parts[0], "request": _request(model, file)}
        found = client.ask("POST", "/explain", body={**told, **body}).body
    print(written(found, output) if output != "text" else _text(found))
    if not found["admitted"]:
        sys.exit(REFUSED)


def _request(model: str | None, file: str | None) -> dict[str, Any]:
    if (model is None) == (file is None):
        raise CommandError("Give --model for a short chat request, or --request FILE.")
    if file is None:
        return {"model": model, **_MESSAGE}
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        found = json.loads(text)
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise CommandError(f"{file} holds no JSON object.")
    return found


def _text(found: dict[str, Any]) -> str:
    lines = []
    refusal = found["refusal"]
    if refusal is None:
        lines.append("The request would pass.")
    else:
        lines.append(f"Refused in {refusal['phase']}: {refusal['status']} {refusal['code'] or ''}")
        lines.append(f"  {refusal['message']}")
    if found["model"] is not None:
        model = found["model"]
        lines.append(f"Model   {model['name']} ({model['id']}), {model['strategy']}")
        if model["fallbacks"]:
            lines.append(f"        in its place: {', '.join(model['fallbacks'])}")
    if found["cache"] is not None:
        lines.append(f"Cache   {found['cache']}")
    lines += [_limit("Limit ", limit) for limit in found["limits"]]
    for rank, target in enumerate(found["targets"], 1):
        cost = target["expected_cost_usd"]
        price = "not priced" if cost is None else f"about {cost} USD"
        lines.append(f"Target  {rank}. {target['provider']} {target['model'] or ''}: {price}")
        if target["problem"]:
            lines.append(f"          passed over: {target['problem']}")
        lines += [_limit("          ", limit) for limit in target["limits"]]
    return "\n".join(map(plain, lines))


def _limit(head: str, limit: dict[str, Any]) -> str:
    left = "?" if limit["remaining"] is None else limit["remaining"]
    marks = [limit["mode"]] if limit["mode"] != "enforce" else []
    marks += ["BINDS"] if limit["binds"] else []
    resets = f", resets {limit['resets_at']}" if limit["resets_at"] else ""
    tail = f" [{', '.join(marks)}]" if marks else ""
    return f"{head}  {limit['text']}: {left} left, asks {limit['asks']}{resets}{tail}"
