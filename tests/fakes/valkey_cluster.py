"""A real cluster of three masters on loopback: where tags lie, slots move, nodes go."""

import atexit
import socket
import time
from binascii import crc_hqx
from contextlib import ExitStack, contextmanager
from functools import cache

from tests.fakes.valkey import Valkey

_NODES = 3
_SLOTS = 16_384
_START_S = 10.0
# As `SHIFTED`, with a time for each tag: a script sees the keys of one only.
SHIFTED_TAGS = """
local host = { pcall = redis.pcall }
host.call = function(name, ...)
  local asked = name == 'TIME' or name == 'EXPIREAT'
  local now = asked and redis.pcall('GET', 'now:' .. string.match(KEYS[1], '{.*}'))
  if type(now) ~= 'string' then return redis.call(name, ...) end
  if name == 'TIME' then return { now, '0' } end
  local key, at = ...
  return redis.call('EXPIRE', key, string.format('%.0f', at - now))
end
"""
TAGS = ("registry", "platform", "ten_a", "ten_b", "prv_a", "prv_b")


def slot_of(tag: str) -> int:
    """Where a tag's keys lie."""
    return crc_hqx(tag.encode(), 0) % _SLOTS


class ValkeyCluster:
    """`url` names two of the nodes. The first third of the slots is the first node's, and so on."""

    def __init__(self, *options: str) -> None:
        self.nodes: list[Valkey] = []
        self.ports = _free_ports(2 * _NODES)[:_NODES]
        buses = _free_ports(2 * _NODES)[_NODES:]
        for port, bus in zip(self.ports, buses, strict=True):
            self.nodes.append(Valkey(*_settings(port, bus), *options))
        self._buses = buses
        self._owners: dict[str, Valkey] = {}
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in self.ports[:2])
        self._join()

    def node_of(self, tag: str) -> Valkey:
        """The node that has the tag now."""
        if tag not in self._owners:
            slot = slot_of(tag)
            self._owners[tag] = next(node for node in self.nodes if self._owns(node, slot))
        return self._owners[tag]

    def run(self, tag: str, *words: str | int) -> bytes:
        """One command where the tag lies."""
        return self.node_of(tag).run(*words)

    def flush(self) -> None:
        """Every node empty."""
        for node in self.nodes:
            node.run("FLUSHALL")

    def set_time(self, at_s: int) -> None:
        """What time it is, for every tag that tests use."""
        for tag in TAGS:
            self.run(tag, "SET", f"now:{{{tag}}}", at_s)

    def begin_move(self, tag: str, to: Valkey) -> Valkey:
        """The tag's slot is on its way; answers the node it leaves."""
        slot, left = slot_of(tag), self.node_of(tag)
        assert to.run("CLUSTER", "SETSLOT", slot, "IMPORTING", _id_of(left)) == b"+OK\r\n"
        assert left.run("CLUSTER", "SETSLOT", slot, "MIGRATING", _id_of(to)) == b"+OK\r\n"
        return left

    def move_keys(self, tag: str, left: Valkey, to: Valkey, most: int = 1_000_000) -> int:
        """So many of its keys, one after the other; answers how many there were."""
        port = self.ports[self.nodes.index(to)]
        keys = left.run("CLUSTER", "GETKEYSINSLOT", slot_of(tag), most).split(b"\r\n")[2::2]
        for key in keys:
            found = left.run("MIGRATE", "127.0.0.1", port, key.decode(), 0, 5000)
            assert found in (b"+OK\r\n", b"+NOKEY\r\n"), found
        return len(keys)

    def end_move(self, tag: str, left: Valkey, to: Valkey) -> None:
        """It has arrived."""
        for node in (to, left, *(one for one in self.nodes if one not in (to, left))):
            found = node.run("CLUSTER", "SETSLOT", slot_of(tag), "NODE", _id_of(to))
            assert found == b"+OK\r\n", found
        self._owners.clear()

    def move(self, tag: str, to: Valkey) -> None:
        """The tag's slot, with all its keys."""
        left = self.begin_move(tag, to)
        while self.move_keys(tag, left, to):
            pass
        self.end_move(tag, left, to)

    def restart(self, node: Valkey) -> None:
        """Gone with its data, and back."""
        node.kill()
        node.start()
        self._until_ok()

    @contextmanager
    def frozen(self):
        """All of it takes what is sent and says nothing."""
        with ExitStack() as stack:
            for node in self.nodes:
                stack.enter_context(node.frozen())
            yield

    def stop(self) -> None:
        """End all, with their folders."""
        for node in self.nodes:
            node.stop()

    def _join(self) -> None:
        first = self.nodes[0]
        for number, node in enumerate(self.nodes):
            low, high = number * _SLOTS // _NODES, (number + 1) * _SLOTS // _NODES - 1
            assert node.run("CLUSTER", "ADDSLOTSRANGE", low, high) == b"+OK\r\n"
            assert node.run("CLUSTER", "SET-CONFIG-EPOCH", number + 1) == b"+OK\r\n"
        for port, bus in list(zip(self.ports, self._buses, strict=True))[1:]:
            assert first.run("CLUSTER", "MEET", "127.0.0.1", port, bus) == b"+OK\r\n"
        self._until_ok()

    def _until_ok(self) -> None:
        deadline = time.monotonic() + _START_S
        while not all(self._is_ok(node) for node in self.nodes):
            if time.monotonic() > deadline:
                raise TimeoutError("the cluster did not come together")
            time.sleep(0.02)

    def _is_ok(self, node: Valkey) -> bool:
        info = node.run("CLUSTER", "INFO")
        known = node.run("CLUSTER", "NODES")
        return (
            b"cluster_state:ok" in info
            and f"cluster_known_nodes:{_NODES}".encode() in info
            and b"cluster_slots_ok:16384" in info
            and b"handshake" not in known
        )

    @staticmethod
    def _owns(node: Valkey, slot: int) -> bool:
        for line in node.run("CLUSTER", "NODES").decode().splitlines():
            if "myself" in line:
                for text in line.split(" ")[8:]:
                    low, _, high = text.partition("-")
                    if low.isdigit() and int(low) <= slot <= int(high or low):
                        return True
        return False


def _id_of(node: Valkey) -> str:
    return node.run("CLUSTER", "MYID").split(b"\r\n")[1].decode()


def _settings(port: int, bus: int) -> list[str]:
    words = {
        "bind": "127.0.0.1",
        "port": str(port),
        "cluster-enabled": "yes",
        "cluster-port": str(bus),
        "cluster-node-timeout": "1000",
        "cluster-require-full-coverage": "no",
        "maxmemory-policy": "noeviction",
    }
    return [word for name, value in words.items() for word in (f"--{name}", value)]


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@cache
def cluster() -> ValkeyCluster:
    """This process's cluster, for tests that leave it running."""
    running = ValkeyCluster()
    atexit.register(running.stop)
    return running
