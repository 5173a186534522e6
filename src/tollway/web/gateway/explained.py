"""An explanation as JSON values, the refusal as the client would be told it."""

import json
from typing import Any

from tollway.app.gateway.explain import Asked, Explanation, LimitFound, TargetFound
from tollway.dialects.registry import ENDPOINTS
from tollway.dialects.uploads import form_like
from tollway.domain.ids import KeyId
from tollway.web.gateway.problems import render_refusal


def asked_of(question: dict[str, Any]) -> Asked | None:
    """What is asked to be explained; None: there is no such endpoint. Header names in lower
    case."""
    endpoint = ENDPOINTS.get(str(question["endpoint"]).encode())
    if endpoint is None:
        return None
    headers = tuple(
        (str(name).encode("latin-1", "replace"), str(value).encode("latin-1", "replace"))
        for name, value in question["headers"]
    )
    body = str(question["body"]).encode()
    peer_ip = question["peer_ip"]
    if endpoint.file is not None:
        body, kind = form_like(body, endpoint.file)
        headers += ((b"content-type", kind),)
    return Asked(KeyId(str(question["key_id"])), endpoint, body, headers, peer_ip)


def explanation_values(found: Explanation) -> dict[str, Any]:
    """As it travels, and as the admin API shows it to whoever may see all of it."""
    refusal = None
    if found.refused is not None:
        status, _, body = render_refusal(found.refused, "openai")
        error = json.loads(body)["error"]
        refusal = {
            "phase": found.at,
            "status": status,
            "code": error["code"],
            "message": error["message"],
        }
    return {
        "principal": found.principal,
        "model": found.model,
        "cache": found.cache,
        "limits": [_limit(limit) for limit in found.limits],
        "targets": [_target(target) for target in found.targets],
        "refusal": refusal,
    }


def _limit(limit: LimitFound) -> dict[str, Any]:
    return limit._asdict()


def _target(target: TargetFound) -> dict[str, Any]:
    return {**target._asdict(), "limits": [_limit(limit) for limit in target.limits]}
