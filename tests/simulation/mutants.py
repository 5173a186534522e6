"""Defects made on purpose, one at a time: in a Lua text, or in Python. Each is something that a
change could break; a simulation that lets one pass tests nothing there.
"""

from contextlib import contextmanager
from unittest.mock import patch

from tests.simulation import lua, world
from tests.simulation.lua import HOST
from tollway.adapters.redis.leases import Leases
from tollway.adapters.redis.scripts import Scripts, load_scripts

# Name: script, what stands there, what stands there instead. `*`: in every script.
TEXTS = {
    "a void of an unknown id leaves no mark": (
        "settle",
        (
            "local lines = {}",
            "if not state and outcome == 'V' then return { 'OK', now_ms } end local lines = {}",
        ),
    ),
    "an end that is said twice counts twice": (
        "settle",
        (
            "if state and state ~= 'R' and state ~= 'X' then return { 'DONE', now_ms, state } end",
            "",
        ),
    ),
    "nobody looks at the epoch": (
        "*",
        ("if found[1] == ARGV[1] and found[2] == ARGV[2] then return", "if found[3] then return"),
    ),
    "a seed adds": (
        "seed",
        ("if string.find(name, '^u:') then call('HDEL', key, name) end", ""),
        ("call('HSET', key, 'u:' .. plain(bucket)", "call('HINCRBY', key, 'u:' .. plain(bucket)"),
    ),
    "a lease that runs out forgets what was used": (
        "*",
        ("  post(line, line.progress, place)\n", ""),
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
    "a second loss forgets who was awaited": (
        "join",
        ("if not listed[one] then owners[#owners + 1] = one end", ""),
    ),
}


def _mutated(name, scripts):
    where, *changes = TEXTS[name]
    found = []
    for script in scripts:
        text = script.text.decode()
        for old, new in changes if where in ("*", script.name) else ():
            text = text.replace(old, new)
        found.append(script._replace(text=text.encode()))
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
