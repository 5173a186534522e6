"""A cluster as one server: a link to each master, and each call goes to the one that has its keys.
What a node answers instead (it is elsewhere, it is on its way) is followed within the call's
deadline. Nothing is asked of a node before the registry knows its data.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count

from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from tollway.adapters.redis.link import (
    Answer,
    Call,
    LinkError,
    ServerFacts,
    Word,
    fail,
)
from tollway.adapters.redis.node import NodeLink, RelayedCall
from tollway.adapters.redis.scripts import Script, Scripts
from tollway.adapters.redis.slots import (
    SLOTS,
    Address,
    ClusterUrl,
    Range,
    address_of,
    read_slots,
    slot_of,
)

_log = logging.getLogger(__name__)
_MAP_S = 1.0  # the map is read again after this, and at once when it was wrong
_PAUSE_S = 0.02
_TIMEOUT_S = 1.0
_MEET_S = 1.0
_AGAIN_S = 0.005
_HOPS = 40
_RUN = "cluster"  # of a call: which server it is decides where nodes are met, not here


class ClusterLink:
    """`on_up` runs on every new connection to a master whose data the registry does not know; what
    it raises of LinkError ends the connection. `on_ready` is called whenever more can be asked."""

    def __init__(
        self,
        url: str,
        scripts: Scripts,
        *,
        on_up: Callable[[ServerFacts], Awaitable[None]],
        on_ready: Callable[[], None],
        deadline_s: float = 0.1,
    ) -> None:
        self._url = ClusterUrl(url)
        self._scripts = scripts
        self._on_up = on_up
        self._on_ready = on_ready
        self._deadline_s = deadline_s
        self._nodes: dict[Address, NodeLink] = {}
        self._running: dict[Address, asyncio.Task[None]] = {}
        self._map: list[Range] = []
        self._owners: list[NodeLink | None] = [None] * SLOTS
        self._routes: dict[Word, NodeLink | None] = {}
        self._believed: set[str] = set()
        self._turn = count()
        self._stale = asyncio.Event()
        self._all_tried = asyncio.Event()
        self._said = ""

    @property
    def ready(self) -> bool:
        """Whether some calls can be made."""
        return any(node.ready for node in self._nodes.values())

    @property
    def whole(self) -> bool:
        """Whether every slot's master can be asked."""
        return all(owner is not None and owner.ready for owner in self._masters())

    @property
    def histories(self) -> str:
        """Which data is connected to, as far as we see: to be believed by the registry."""
        return " ".join(node.history for node in self._nodes.values() if node.history)

    def believe(self, histories: str) -> None:
        """The registry knows these: its epoch is theirs."""
        self._believed.update(histories.split())
        for node in self._nodes.values():
            node.trusted = node.history in self._believed

    def reaches(self, key: bytes) -> bool:
        """Whether the node that has the key can be asked."""
        node = self._route(key)
        return node is not None and node.ready

    def call(
        self, script: Script, keys: Sequence[Word], args: Sequence[Word], *, lazy: bool = False
    ) -> Answer:
        """One script; the future fails with LinkError. `lazy`: nobody waits for it."""
        node = self._route(keys[0])
        # To join is how a node comes to be trusted.
        if node is None or not (node.answering or script is self._scripts.join):
            return _failed()
        return node.call(script, keys, args, lazy=lazy)

    def command(self, *words: Word) -> Answer:
        """A plain command; its first key is the second word."""
        node = self._route(words[1])
        return _failed() if node is None or not node.answering else node.command(*words)

    async def run(self) -> None:
        """Forever: know the map, and be connected to every master."""
        try:
            while True:
                try:
                    await self._look_around()
                except (RedisError, OSError, LinkError, TimeoutError, ValueError) as error:
                    self._say(f"{type(error).__name__}: {error}")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stale.wait(), _MAP_S)
                await asyncio.sleep(_PAUSE_S)
                self._stale.clear()
        finally:
            await self._end(list(self._running))

    # The map.

    async def _look_around(self) -> None:
        found = await self._ask_map()
        if found != self._map:
            await self._take(found)
        await asyncio.gather(*(node.prove() for node in self._nodes.values() if node.ready))

    async def _ask_map(self) -> list[Range]:
        nodes = [(address, node) for address, node in self._nodes.items() if node.connected]
        if nodes:
            address, node = nodes[next(self._turn) % len(nodes)]
            return read_slots(await node.command(b"CLUSTER", b"SLOTS"), address.host)
        seeds = [*self._url.seeds, *self._nodes]
        seed = seeds[next(self._turn) % len(seeds)]
        return await asyncio.wait_for(_map_of(self._url.of(seed), seed.host), _TIMEOUT_S)

    async def _take(self, found: list[Range]) -> None:
        if not found:
            raise LinkError("the cluster has no slots")
        masters = {one.master for one in found}
        for address in sorted(masters - self._nodes.keys()):
            self._begin(address)
        owners: list[NodeLink | None] = [None] * SLOTS
        for first, last, master in found:
            owners[first : last + 1] = [self._nodes[master]] * (last + 1 - first)
        self._map, self._owners, self._said = found, owners, ""
        self._routes.clear()
        await self._end([address for address in self._nodes if address not in masters])

    def _begin(self, address: Address) -> None:
        node = NodeLink(
            self._url.of(address),
            self._scripts,
            address=address,
            cluster=self,
            on_ready=self._on_ready,
            deadline_s=self._deadline_s,
        )
        self._nodes[address] = node
        self._running[address] = asyncio.create_task(node.run())

    async def _end(self, gone: list[Address]) -> None:
        tasks = [self._running.pop(address) for address in gone]
        for address in gone:
            self._nodes.pop(address)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _masters(self) -> Iterator[NodeLink | None]:
        yield from dict.fromkeys(self._owners)

    # A node's life.

    async def up(self, node: NodeLink) -> None:
        """It is connected and has said what it is; to be trusted the registry must know it."""
        self.tried()
        with suppress(TimeoutError):
            # At the start all are met before the first is used: one may have to be refused.
            await asyncio.wait_for(self._all_tried.wait(), _MEET_S)
        unfit = [one.policy for one in self._nodes.values() if one.policy not in {"", "noeviction"}]
        node.trusted = node.history in self._believed and not unfit
        while not node.trusted:
            await self._on_up(ServerFacts(_RUN, unfit[0] if unfit else "", node.history))

    def tried(self) -> None:
        """Some node was connected to, or cannot be."""
        if all(node.tried for node in self._nodes.values()):
            self._all_tried.set()

    # A call's life.

    def _route(self, key: Word) -> NodeLink | None:
        try:
            return self._routes[key]
        except KeyError:
            slot = slot_of(key if isinstance(key, bytes) else str(key).encode())
            node = self._routes[key] = self._owners[slot]
            return node

    def relay(self, node: NodeLink, call: Call, text: str) -> bool:
        """Follow what a node answers instead; False: it is an answer like any other."""
        word, *rest = text.split(" ")
        if word in {"MOVED", "CLUSTERDOWN"}:
            self._stale.set()
        if word not in {"MOVED", "ASK", "TRYAGAIN"}:
            return False
        relayed = call if isinstance(call, RelayedCall) else RelayedCall(call, node.elsewhere)
        relayed.hops += 1
        if relayed.hops > _HOPS:
            fail(relayed, text)
        elif word == "TRYAGAIN":
            asyncio.get_running_loop().call_later(_AGAIN_S, node.take, relayed)
        else:
            to = self._nodes.get(address_of(rest[1], node.address.host))
            if to is None or not to.answering:
                fail(relayed, text)
            else:
                to.take(relayed, asking=word == "ASK")
        return True

    def _say(self, trouble: str) -> None:
        if trouble != self._said:
            _log.warning("the cluster's map cannot be read", extra={"error": trouble})
        self._said = trouble


def _failed() -> Answer:
    future: Answer = asyncio.get_running_loop().create_future()
    future.set_exception(LinkError("the node cannot be asked"))
    future.exception()
    return future


async def _map_of(url: str, host: str) -> list[Range]:
    pool = ConnectionPool.from_url(url, protocol=2, retry=Retry(NoBackoff(), 0))
    connection = pool.connection_class(**pool.connection_kwargs)
    try:
        await connection.connect_check_health()
        await connection.send_command("CLUSTER", "SLOTS")
        return read_slots(await connection.read_response(), host)
    finally:
        with suppress(RedisError, OSError):
            await connection.disconnect(nowait=True)
