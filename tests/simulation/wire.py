"""Connections as the driver's own, over a network that is slow, silent or gone. Order is kept, as
by TCP: what is lost is lost with all that was sent after it, until the connection ends.
"""

import asyncio
from collections.abc import Callable
from random import Random
from types import SimpleNamespace

import hiredis

from tests.simulation.server import Server

_NEXT_S = 1e-7  # two timers of one instant have no order


class Way:
    """From one gateway to the server. `delay_s` is the longest of a usual way; `silent` swallows
    what is sent, `mute` what is answered; `down` refuses connections."""

    def __init__(self, server: Server, chance: Random, count: Callable[[str], None]) -> None:
        self.server = server
        self.chance = chance
        self.count = count
        self.delay_s = 0.0005
        self.silent = self.mute = self.down = False
        self.links: list[Connection] = []

    @property
    def pool(self) -> SimpleNamespace:
        """What the link makes its connections with."""
        return SimpleNamespace(connection_class=Connection, connection_kwargs={"way": self})

    def cut(self) -> None:
        """Every connection ends; what is on its way may arrive or not."""
        for one in list(self.links):
            one.end()

    def take_s(self) -> float:
        """How long one way takes now."""
        return self.chance.uniform(0.0001, self.delay_s)


class Connection:
    """One of them, and its own transport. `lost_after`: it has ended, and who was to hear."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._loop = asyncio.get_running_loop()
        self._protocol = None
        self._reader = hiredis.Reader()
        self._there_s = self._back_s = 0.0
        self._ended = self._stalled = False
        self._writer = SimpleNamespace(transport=self)

    async def connect_check_health(self) -> None:
        """As the driver's: raises OSError, or takes for ever."""
        way = self._way
        await asyncio.sleep(way.take_s())
        if way.silent or way.mute:
            await asyncio.sleep(3600)
        if way.down or not way.server.is_up:
            raise ConnectionRefusedError("nobody listens")
        way.links.append(self)

    async def disconnect(self, *, nowait: bool) -> None:
        """From our side."""
        del nowait
        self._forget()

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        """Who hears the answers."""
        self._protocol = protocol

    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self._ended

    def write(self, data: bytes) -> None:
        """Some whole commands."""
        self._reader.feed(data)
        some = []
        while (words := self._reader.gets()) is not False:
            some.append(words)
        if self._way.silent or self._stalled:
            self._stalled = True
            self._way.count("lost request")
            return
        self._there_s = max(self._there_s + _NEXT_S, self._loop.time() + self._way.take_s())
        self._loop.call_at(self._there_s, self._arrive, some, self._way.server.run_id)

    def end(self) -> None:
        """The other side, or something between, has closed it."""
        if not self._ended:
            self._forget()
            if self._protocol is not None:
                self._loop.call_soon(self._protocol.connection_lost, None)

    def _arrive(self, some, run_id):
        way = self._way
        if not way.server.is_up or way.server.run_id != run_id:
            return
        if self._ended:
            if way.chance.random() < 0.5:
                way.count("lost request")
                return
            way.count("late request")
        answers = [way.server.answer(words) for words in some]
        if self._ended or way.mute or self._stalled:
            self._stalled = True
            way.count("lost reply")
            return
        self._back_s = max(self._back_s + _NEXT_S, self._loop.time() + way.take_s())
        self._loop.call_at(self._back_s, self._return, b"".join(answers))

    def _return(self, answers):
        if self._ended:
            self._way.count("lost reply")
        elif self._protocol is not None:
            self._protocol.data_received(answers)

    def _forget(self):
        self._ended = True
        if self in self._way.links:
            self._way.links.remove(self)
