"""Defects made on purpose, one at a time: in a Lua text, or in Python. Each is something that a
change could break; a simulation that lets one pass tests nothing there.
"""

from contextlib import contextmanager
from hashlib import sha1
from unittest.mock import patch

from tests.simulation import lua, world
from tests.simulation.lua import HOST
from tollway.adapters.redis.leases import Leases
from tollway.adapters.redis.scripts import Script, Scripts, load_scripts

# Name: script, what stands there, what stands there instead. `*`: in every script.
TEXTS = {
    "an end that is said twice counts twice": (
        "settle",
        (
            "if state and state ~= 'R' and state ~= 'X' then return { 'DONE', now_ms, state } end",
            "",
        ),
    ),
    "a seed adds": (
        "seed",
        ("if string.find(name, '^u:') then call('HDEL', key, name) end", ""),
        ("call('HSET', key, 'u:' .. plain(bucket)", "call('HINCRBY', key, 'u:' .. plain(bucket)"),
    ),
    "a lease never runs out": ("reserve", ("\nreap()\n", "\n")),
    "a limit is passed by one": (
        "reserve",
        ("line.amount <= line.limit)", "line.amount <= line.limit + 1)"),
    ),
    "an end leaves its hold": ("settle", ("    hold_more(line, -line.amount)\n", "")),
    "what was seeded counts again when it is told": (
        "*",
        ("if counted(found[4], place.segment, place.offset) then return end", ""),
    ),
    "nobody is awaited after a loss": (
        "join",
        ("local awaited, absent = call('SCARD', KEYS[3]), 0", "local awaited, absent = 0, 0"),
    ),
}


def _mutated(name, scripts):
    where, *changes = TEXTS[name]
    found = []
    for script in scripts:
        text = script.text.decode()
        for old, new in changes if where in ("*", script.name) else ():
            text = text.replace(old, new)
        body = text.encode()
        found.append(Script(script.name, body, sha1(body).hexdigest().encode()))
    assert found != list(scripts), f"{name}: there is nothing to change"
    return Scripts(*found)


async def _nothing(_):
    """Live holds are not put in again."""


@contextmanager
def mutant(name):
    """The defect stands while this is open."""
    if name == "live holds are not put in again":
        with patch.object(Leases, "adopt_all", _nothing):
            yield
        return
    changed = _mutated(name, load_scripts(HOST))
    with (
        patch.object(world, "loaded", lambda: changed),
        patch.object(lua, "loaded", lambda *_: changed),
        patch("tests.simulation.process.loaded", lambda *_: changed),
    ):
        yield


NAMES = (*TEXTS, "live holds are not put in again")
