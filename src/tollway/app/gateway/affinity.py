"""One conversation, one target: providers read what they have read before for a part of the price,
and keep it where it was read. A conversation is known by the cache key or the end user it names,
else by its first two messages; those of two tenants are never the same.
"""

from hashlib import blake2b

import msgspec
from msgspec import Raw

from tollway.app.gateway.exchange import Exchange
from tollway.domain.routing import sticky_place

_NAMED = ("prompt_cache_key",)
_FIRST = ("system", "instructions", "messages", "input")
_messages = msgspec.json.Decoder(list[Raw]).decode


def stick(exchange: Exchange) -> None:
    """Put the conversation's target first, among those whose turn it could be: they have the lowest
    priority number that there is."""
    targets = exchange.targets
    lowest = min(target.priority for target, _ in targets)
    equals = [place for place, (target, _) in enumerate(targets) if target.priority == lowest]
    if len(equals) < 2:
        return
    names = [f"{targets[place][1].id}|{targets[place][0].model}" for place in equals]
    weights = [targets[place][0].weight for place in equals]
    first = equals[sticky_place(conversation(exchange), names, weights)]
    exchange.targets = [targets[first], *targets[:first], *targets[first + 1 :]]


def conversation(exchange: Exchange) -> bytes:
    """What stays the same from one request of a conversation to its next: 32 bytes."""
    assert exchange.principal is not None
    digest = blake2b(exchange.principal.tenant_id.encode(), digest_size=32)
    fields = exchange.ask.fields
    named = [fields[name] for name in _NAMED if name in fields]
    if exchange.labels.end_user is not None:
        named.append(Raw(exchange.labels.end_user.encode()))
    for value in named or _beginning(fields):
        digest.update(b"\0" + bytes(value))
    return digest.digest()


def _beginning(fields: dict[str, Raw]) -> list[Raw]:
    found: list[Raw] = []
    for name in _FIRST:
        value = fields.get(name)
        if value is None:
            continue
        found += _messages(value)[:2] if bytes(value).startswith(b"[") else [value]
    return found
