"""The simulated server: it answers commands that come over simulated connections, one at a time,
and can lose all its data or the last of it. What it carried out is told to whoever watches.
"""

from collections.abc import Callable
from hashlib import sha1
from random import Random

from tests.simulation.data import CommandError, Data
from tests.simulation.lua import host


class Server:
    """`watch` hears of each script: its name, keys, words, reply, and how much it wrote."""

    def __init__(self, now_s: Callable[[], float], chance: Random, watch: Callable[..., None]):
        self.data = Data(now_s)
        self.run_id = ""
        self.is_up = True
        self._chance = chance
        self._watch = watch
        self._texts: dict[bytes, bytes] = {}
        self._copies: list = []
        self.begin_again()

    def begin_again(self) -> None:
        """Another start: other scripts to load, another name."""
        self.run_id = f"{self._chance.getrandbits(64):016x}"
        self._texts.clear()

    def lose_all(self) -> None:
        """Started again, empty."""
        self.data.restore(({}, {}))
        self._copies.clear()
        self.begin_again()

    def note(self) -> None:
        """What a replica has by now."""
        self._copies = [*self._copies[-5:], self.data.copy()]

    def fall_back(self) -> bool:
        """A replica takes over that has not heard the last; False: there is none."""
        if not self._copies:
            return False
        self.data.restore(self._copies.pop(self._chance.randrange(len(self._copies))))
        self._copies.clear()
        self.begin_again()
        return True

    def answer(self, words: list[bytes]) -> bytes:
        """One command, carried out now; its reply as it goes over the wire."""
        name = words[0]
        if name == b"EVALSHA":
            return self._evaluate(words)
        if name == b"SCRIPT":
            digest = sha1(words[2]).hexdigest().encode()
            self._texts[digest] = words[2]
            return _packed(digest)
        if name == b"INFO":
            return _packed(f"run_id:{self.run_id}\r\nmaxmemory_policy:noeviction\r\n".encode())
        if name == b"PING":
            return b"+PONG\r\n"
        if name == b"DEL":
            return _packed(self.data.delete(*[word.decode() for word in words[1:]]))
        raise CommandError(f"not simulated: {name!r}")

    def _evaluate(self, words):
        text = self._texts.get(words[1])
        if text is None:
            return b"-NOSCRIPT No matching script.\r\n"
        count, rest = int(words[2]), [word.decode() for word in words[3:]]
        before = self.data.writes
        reply = host().run(self.data, text, count, rest)
        self._watch(text, rest[:count], rest[count:], reply, self.data.writes - before)
        return _packed(reply)


def _packed(reply):
    if isinstance(reply, list):
        return b"*%d\r\n%b" % (len(reply), b"".join(map(_packed, reply)))
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    return b"$%d\r\n%b\r\n" % (len(reply), reply)
