"""One master of a cluster: a link that can be handed the calls of others, and whose data must be
known before it is trusted with any.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from tollway.adapters.redis.link import (
    STRIKES,
    Answer,
    Call,
    Link,
    LinkError,
    ServerFacts,
    fail,
    packed,
)
from tollway.adapters.redis.scripts import Scripts
from tollway.adapters.redis.slots import Address

_PAUSE_S = 0.05
_ASKING = packed((b"ASKING",))


class RelayedCall(Call):
    """A call that another node is asked for. It keeps its deadline, by a timer of its own: that of
    the link knows only its own order."""

    __slots__ = ("hops",)

    def __init__(self, call: Call, elsewhere: Answer) -> None:
        super().__init__(call.frame, call.future, call.script)
        self.hops = 0
        self.deadline = call.deadline
        # The link that was asked first has done its part: it must not count this as a failure.
        call.future = elsewhere
        asyncio.get_running_loop().call_at(call.deadline, fail, self, "no answer in time")


class Peers(Protocol):
    """What a node is one of."""

    async def up(self, node: "NodeLink") -> None:
        """It is connected, and ready when this returns. Raises LinkError."""

    def tried(self) -> None:
        """Some node was connected to, or cannot be."""

    def relay(self, node: "NodeLink", call: Call, text: str) -> bool:
        """Follow what a node answers instead; False: it is an answer like any other."""
        ...


class NodeLink(Link):
    """`history` names the data that is connected to; empty while there is none."""

    def __init__(
        self,
        url: str,
        scripts: Scripts,
        *,
        address: Address,
        cluster: Peers,
        on_ready: Callable[[], None],
        deadline_s: float,
    ) -> None:
        super().__init__(url, scripts, on_up=self._met, on_ready=on_ready, deadline_s=deadline_s)
        self.address = address
        self.trusted = False
        self.tried = False
        self.history = ""
        self.policy = ""
        self.elsewhere: Answer = asyncio.get_running_loop().create_future()
        self.elsewhere.set_result([])
        self._cluster = cluster

    @property
    def connected(self) -> bool:
        """Whether it has said what it is."""
        return bool(self.history)

    @property
    def answering(self) -> bool:
        """Whether it may be asked, and has answered lately."""
        return self.trusted and self._strikes < STRIKES

    def take(self, call: RelayedCall, *, asking: bool = False) -> None:
        """Ask for a call of another node; `asking`: its keys are on their way here."""
        if self._transport is None:
            fail(call, "not connected")
        if call.future.done():
            return
        loop = asyncio.get_running_loop()
        if asking:
            # Answers come in order: this one's goes to nobody.
            self._queued.append(Call(_ASKING, loop.create_future(), None))
        self._queued.append(call)
        if not self._flushing:
            self._flushing = True
            loop.call_soon(self._flush)

    async def prove(self) -> None:
        """Whether the data is still the same: a replica that took over meanwhile may have lost
        some, also when this node is master again."""
        with suppress(LinkError):
            text: Any = await self.command(b"INFO", b"replication")
            if self.history and _history(text, self.history) != self.history:
                self._drop()

    def _drop(self) -> None:
        self.trusted = False
        if self._transport is not None:
            self._transport.close()

    async def _met(self, facts: ServerFacts) -> None:
        self.policy = facts.memory_policy
        # It may have started, and not yet know whether it may serve. It tells nobody when.
        while not await self._serves():  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(_PAUSE_S)
        self.history = f"{facts.run_id[:20]}{facts.history[:20]}"
        self.tried = True
        await self._cluster.up(self)

    async def _serves(self) -> bool:
        text: Any = await self.command(b"CLUSTER", b"INFO")
        return b"cluster_state:ok" in text

    async def _probe(self) -> None:
        if not await self._serves():
            raise LinkError("the cluster is down")

    def _disconnected(self) -> None:
        self.trusted, self.tried, self.history = False, True, ""
        super()._disconnected()
        self._cluster.tried()

    def _refused(self, call: Call, error: Exception) -> None:
        if not self._cluster.relay(self, call, str(error)):
            super()._refused(call, error)

    def _say(self, trouble: str) -> None:
        super()._say(f"{self.address.host}:{self.address.port}: {trouble}")


def _history(text: bytes, known: str) -> str:
    for line in text.decode().splitlines():
        name, _, value = line.partition(":")
        if name == "master_replid":
            return known[:20] + value[:20]
    return known
