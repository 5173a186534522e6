"""The shipped Lua texts, run as they are by Lua 5.1: one runtime in a process, each text compiled
once. What a script calls goes to the data that stands in `Host.data`.
"""

from functools import cache

from lupa.lua51 import LuaRuntime

from tests.simulation.data import CommandError, Data
from tollway.adapters.redis import scripts

HOST = "local host = SIMULATED\n"
_ABOUT = """
local ask = ...
local LISTS = { HGETALL = 1, HMGET = 1, ZRANGE = 1, ZRANGEBYSCORE = 1, SMEMBERS = 1, TIME = 1 }
SIMULATED = {}
SIMULATED.call = function(name, ...)
  local command = COMMANDS[name]
  if LISTS[name] then return { command(...) } end
  return command(...)
end
SIMULATED.pcall = function(...)
  local found, answer = pcall(SIMULATED.call, ...)
  if found then return answer end
  return { err = tostring(answer) }
end
return function(text) return assert(loadstring(text)) end, function(script, keys, ...)
  local words = { ... }
  KEYS, ARGV = {}, {}
  for i = 1, keys do KEYS[i] = words[i] end
  for i = keys + 1, #words do ARGV[i - keys] = words[i] end
  local answer = script()
  return #answer, unpack(answer)
end
"""


class Host:
    """The runtime, and how scripts of it reach data."""

    def __init__(self) -> None:
        self._runtime = LuaRuntime(unpack_returned_tuples=True)
        self._compile, self._run = self._runtime.execute(_ABOUT)
        self._compiled = {}
        self._commands = self._runtime.table()
        self._runtime.globals().COMMANDS = self._commands
        self._data = None

    def run(self, data: Data, text: bytes, keys: int, words: list[str]) -> list:
        """One script, at once; its reply as it goes over the wire (no nested tables)."""
        if data is not self._data:
            self._serve(data)
        script = self._compiled.get(text)
        if script is None:
            script = self._compiled[text] = self._compile(text.decode())
        found = self._run(script, keys, *words)
        return [_replied(one) for one in found[1:]] if isinstance(found, tuple) else []

    def _serve(self, data):
        self._data = data
        for name, command in data.commands.items():
            self._commands["DEL" if name == "DELETE" else name] = _textual(command, name)


def _textual(command, name):
    """A command that takes what Lua gives: its numbers as text."""
    del name

    def called(*words):
        return command(*[one if type(one) is str else _text(one) for one in words])

    return called


def _text(number):
    if isinstance(number, (int, float)):
        return "%.17g" % number  # noqa: UP031 - it is what the server does with a number
    raise CommandError("ERR arguments must be strings or integers")


def _replied(one):
    if type(one) is str:
        return one.encode()
    if one is None or one is False:
        return None
    return int(one)


@cache
def host() -> Host:
    """This process's."""
    return Host()


@cache
def loaded(text: str = HOST) -> scripts.Scripts:
    """The shipped texts for a host, read once."""
    return scripts.load_scripts(text)
