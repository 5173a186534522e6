"""Where keys lie in a cluster: which slot a key's tag is, which node has which slots, and how nodes
are addressed. Nothing is sent from here.
"""

from binascii import crc_hqx
from collections.abc import Sequence
from typing import Any, NamedTuple

SLOTS = 16_384
_SCHEMES = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
_PORT = 6379


class Address(NamedTuple):
    """Of a node, as the cluster announces it."""

    host: str
    port: int


class Range(NamedTuple):
    """Slots from the first to the last, and the master that has them."""

    first: int
    last: int
    master: Address


class ClusterUrl:
    """`redis+cluster://[user:password@]host:port,host:port[?option=value]`, or `rediss+cluster`.
    `seeds` are the nodes that are named. Raises ValueError."""

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        if scheme not in _SCHEMES:
            raise ValueError(f"not a cluster's scheme: {scheme}")
        rest, mark, query = rest.partition("?")
        login, at, hosts = rest.rpartition("@")
        hosts, _, database = hosts.partition("/")
        if database not in {"", "0"}:
            raise ValueError("a cluster has database 0 only")
        self._before = f"{_SCHEMES[scheme]}://{login}{at}"
        self._after = mark + query
        self.seeds = [address_of(host) for host in hosts.split(",")]

    def of(self, node: Address) -> str:
        """The URL of one node, with the same login and options."""
        host = f"[{node.host}]" if ":" in node.host else node.host
        return f"{self._before}{host}:{node.port}/0{self._after}"


def is_cluster(url: str) -> bool:
    """Whether the URL is a cluster's."""
    return url.partition("://")[0] in _SCHEMES


def address_of(text: str, host: str = "") -> Address:
    """Of `host:port`. `host`: who is meant where none is named. Raises ValueError."""
    name, colon, port = text.strip().rpartition(":")
    if not colon or text.endswith("]"):
        name, port = text.strip(), str(_PORT)
    name = name.strip("[]") or host
    if not name or not port.isdigit():
        raise ValueError(f"no address of a node: {text!r}")
    return Address(name, int(port))


def slot_of(key: bytes) -> int:
    """By the tag in its first braces, else by the whole key."""
    first = key.find(b"{")
    last = key.find(b"}", first + 1)
    if first >= 0 and last > first + 1:
        key = key[first + 1 : last]
    return crc_hqx(key, 0) % SLOTS


def read_slots(answer: Sequence[Any], host: str) -> list[Range]:
    """What `CLUSTER SLOTS` says. `host` is the one that was asked: it may not know its own name."""
    found = []
    for first, last, master, *_ in answer:
        name = (master[0] or b"").decode()
        found.append(
            Range(first, last, Address(name if name not in {"", "?"} else host, master[1]))
        )
    return sorted(found)
