"""The Lua texts, one script for each transition, each with what all share in front. A script is
known by the digest of its text, so gateways of two versions run side by side.
"""

from hashlib import sha1
from importlib import resources
from typing import NamedTuple

# All that a script takes from the server: a simulator brings a table of its own.
SERVER = "local host = { call = redis.call, pcall = redis.pcall }\n"
_SHARING = ("reserve", "settle", "extend", "renew", "seed", "look")
_ALONE = ("open", "join", "enlist")


class Script(NamedTuple):
    """One text, and what the server calls it."""

    name: str
    text: bytes
    sha: bytes


class Scripts(NamedTuple):
    """All of them."""

    reserve: Script
    settle: Script
    extend: Script
    renew: Script
    seed: Script
    look: Script
    open: Script
    join: Script
    enlist: Script


def load_scripts(host: str = SERVER) -> Scripts:
    """The scripts as they are sent; `host` is the Lua that defines the table `host`."""
    shared = host + _read("counter")
    texts = [shared + _read(name) for name in _SHARING] + [host + _read(name) for name in _ALONE]
    return Scripts(*map(_script, (*_SHARING, *_ALONE), texts))


def _script(name: str, text: str) -> Script:
    body = text.encode()
    # The server's own name for a text; nothing secret hangs on it.
    digest = sha1(body, usedforsecurity=False).hexdigest()
    return Script(name, body, digest.encode())


def _read(name: str) -> str:
    return (resources.files(__package__) / "scripts" / f"{name}.lua").read_text("utf-8")
