"""The simulated server does what a real one does: the same replies to the same calls of every
script, and the same data afterwards. Without that the simulation would prove nothing.
"""

import socket
from collections import Counter
from random import Random

import hiredis
import pytest

from tests.conftest import Show
from tests.fakes.valkey import server
from tests.simulation.calls import BEGAN_S, Calls
from tests.simulation.data import Data
from tests.simulation.lua import host, loaded
from tollway.adapters.redis.scripts import load_scripts

pytestmark = pytest.mark.slow

CALLS = 2000
# Expiries stay the server's: the dates of these calls are far ahead.
SHIFTED_TIME = """
local host = { pcall = redis.pcall }
host.call = function(name, ...)
  if name == 'TIME' then return { redis.call('GET', 'test:now'), '0' } end
  return redis.call(name, ...)
end
"""


class Real:
    """A Valkey whose time is `test:now`."""

    def __init__(self):
        self._reader = hiredis.Reader()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(server().url.removeprefix("unix://"))
        self.ask("FLUSHALL")
        self._shas = {
            one.name: self.ask("SCRIPT", "LOAD", one.text) for one in load_scripts(SHIFTED_TIME)
        }

    def ask(self, *words):
        """One command; its answer, errors too."""
        self._socket.sendall(hiredis.pack_command(words))
        while (answer := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(65_536))
        return answer

    def run(self, name, keys, words):
        """One script."""
        return self.ask("EVALSHA", self._shas[name], len(keys), *keys, *words)

    def dump(self):
        """All keys with what they hold, and when they end if that is a date."""
        found = {}
        for key in sorted(self.ask("KEYS", "tw1:*")):
            kind = self.ask("TYPE", key)
            ends_s = self.ask("EXPIRETIME", key)
            found[key.decode()] = (self._value(key, kind), ends_s if ends_s > BEGAN_S else None)
        return found

    def close(self):
        """Done."""
        self._socket.close()

    def _value(self, key, kind):
        if kind == b"hash":
            flat = [word.decode() for word in self.ask("HGETALL", key)]
            return dict(zip(flat[::2], flat[1::2], strict=True))
        if kind == b"zset":
            flat = [word.decode() for word in self.ask("ZRANGE", key, 0, -1, "WITHSCORES")]
            return list(zip(flat[::2], map(float, flat[1::2]), strict=True))
        assert kind == b"set", kind
        return sorted(word.decode() for word in self.ask("SMEMBERS", key))


class Simulated:
    """The same on the simulation's data. Keys end by a clock that stands, as the real one nearly
    does."""

    def __init__(self):
        self.now_s = BEGAN_S
        self.data = Data(lambda: 0.0)
        self.data.commands["TIME"] = lambda: (str(self.now_s), "0")
        self._texts = {script.name: script.text for script in loaded()}

    def run(self, name, keys, words):
        """One script."""
        return host().run(self.data, self._texts[name], len(keys), [*keys, *words])

    def dump(self):
        """All keys."""
        found = {}
        for key in self.data.scan():
            value, ends_s = self.data.keys[key], self.data.ends_s.get(key, 0)
            kind = type(value).__name__
            if kind == "_Sorted":
                value = [(one, value[one]) for one in self.data.zrange(key, 0, -1)]
            elif kind == "_Set":
                value = sorted(value)
            found[key] = (value, ends_s if ends_s > BEGAN_S else None)
        return found


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_replies_and_the_same_data(seed: int, show: Show) -> None:
    """2,000 calls a seed, of every script; every answer compared, and every tenth time all data."""
    calls, real, simulated, made = Calls(Random(seed)), Real(), Simulated(), Counter()
    try:
        for number in range(CALLS):
            name, keys, words = calls.draw()
            simulated.now_s = calls.now_s
            real.ask("SET", "test:now", calls.now_s)
            if name is None:
                real.ask(*keys)
                simulated.data.commands[keys[0]](*keys[1:])
                continue
            expected, found = real.run(name, keys, words), simulated.run(name, keys, words)
            assert found == expected, (number, name, keys, words)
            made[name, _verdict(found)] += 1
            if number % 10 == 0:
                assert simulated.dump() == real.dump(), (number, name, keys, words)
        assert simulated.dump() == real.dump()
    finally:
        real.close()
    verdicts = {f"{name} {verdict}" for name, verdict in made}
    assert {f"{name} OK" for name in ("reserve", "settle", "extend", "renew", "seed")} <= verdicts
    assert {"reserve BOUND", "settle DONE", "look OK", "open OK"} <= verdicts
    show(f"{sum(made.values())} calls, {len(made)} kinds of answers alike")


def _verdict(reply):
    return reply[0].decode() if isinstance(reply[0], bytes) and len(reply[0]) < 6 else "-"
