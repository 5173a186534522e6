"""Links between the operations of the admin API's document, for whoever walks it: what an answer
names is what the next call's path needs. They follow from the paths, so they stand here and not in
the document, where they would be noise.
"""

import copy
import re
from typing import Any

_PARAMETER = re.compile(r"\{(\w+)\}")
_METHODS = ("get", "post", "put", "patch", "delete")


def linked(document: dict[str, Any]) -> dict[str, Any]:
    """The document with links from every operation that makes or shows one thing (`POST things`,
    `GET things/{thing_id}`) to every operation whose path goes on from there."""
    made = copy.deepcopy(document)
    for path, item in made["paths"].items():
        if "post" in item and "201" in item["post"]["responses"]:
            _link(made, item["post"]["responses"]["201"], path)
        shown = _PARAMETER.search(path.rpartition("/")[2])
        if shown and "get" in item:
            _link(made, item["get"]["responses"]["200"], path.rpartition("/")[0])
    return made


def _link(document: dict[str, Any], response: dict[str, Any], collection: str) -> None:
    own = re.compile(re.escape(collection) + r"/\{(\w+)\}")
    for path, item in document["paths"].items():
        going_on = own.match(path)
        if going_on is None:
            continue
        wanted = _PARAMETER.findall(path)
        given = {going_on[1]: f"$response.body#/{_field(going_on[1])}"}
        for outer in _PARAMETER.findall(collection):
            given[outer] = f"$request.path.{outer}"
        if not set(wanted) <= set(given):
            given = {name: given[name] for name in wanted if name in given}
        for method in _METHODS:
            if method in item:
                operation = item[method]["operationId"]
                response.setdefault("links", {})[operation] = {
                    "operationId": operation,
                    "parameters": given,
                }


def _field(parameter: str) -> str:
    # A member is found by its account's id, a grant by its holder.
    return parameter if parameter in ("account_id", "holder") else "id"


def count_links(document: dict[str, Any]) -> int:
    """How many there are."""
    return sum(
        len(response.get("links", {}))
        for item in document["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict)
        for response in operation.get("responses", {}).values()
    )
