"""The data of one simulated server: the commands that scripts use, on Python's own types, with keys
that expire by the virtual clock. Values are text, as the server keeps them.
"""

from collections.abc import Callable


class CommandError(Exception):
    """What the server answers with an error."""


WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


class Data:
    """All keys. `now_s` is the server's clock, in seconds."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self.keys: dict[str, object] = {}
        self.ends_s: dict[str, float] = {}
        self.writes = 0
        self.commands: dict[str, Callable[..., object]] = {
            name.upper(): getattr(self, name)
            for name in dir(type(self))
            if name.isalpha() and name.islower() and name not in ("copy", "restore")
            if callable(getattr(self, name))
        }

    def copy(self) -> tuple[dict[str, object], dict[str, float]]:
        """All there is, as it is now."""
        keys = {
            key: one if isinstance(one, str) else type(one)(one) for key, one in self.keys.items()
        }
        return keys, dict(self.ends_s)

    def restore(self, state: tuple[dict[str, object], dict[str, float]]) -> None:
        """As it was then."""
        self.keys, self.ends_s = dict(state[0]), dict(state[1])

    # Keys.

    def set(self, key, value):
        self.writes += 1
        self.keys[key] = value
        self.ends_s.pop(key, None)
        return True

    def get(self, key):
        value = self._of(key, str)
        return False if value is None else value

    def delete(self, *keys):
        found = 0
        for key in keys:
            if self._live(key):
                del self.keys[key]
                self.ends_s.pop(key, None)
                found += 1
        self.writes += found
        return found

    def expire(self, key, seconds):
        return self._end(key, self._now_s() + int(seconds))

    def expireat(self, key, at_s):
        return self._end(key, int(at_s))

    def time(self):
        now_us = round(self._now_s() * 1_000_000)
        return str(now_us // 1_000_000), str(now_us % 1_000_000)

    def scan(self):
        """Not a command: every key that has not expired, for those who look from outside."""
        return [key for key in list(self.keys) if self._live(key)]

    # Hashes.

    def hget(self, key, field):
        fields = self._of(key, dict)
        return False if fields is None else fields.get(field, False)

    def hmget(self, key, *names):
        fields = self._of(key, dict)
        if fields is None:
            return (False,) * len(names)
        return tuple([fields.get(name, False) for name in names])

    def hgetall(self, key):
        fields = self._of(key, dict)
        if not fields:
            return ()
        return tuple([word for pair in fields.items() for word in pair])

    def hset(self, key, *words):
        fields = self._made(key, dict)
        before = len(fields)
        fields.update(zip(words[::2], words[1::2], strict=True))
        self.writes += 1
        return len(fields) - before

    def hdel(self, key, *names):
        fields = self._of(key, dict)
        if fields is None:
            return 0
        found = sum(fields.pop(name, None) is not None for name in names)
        self.writes += found
        if not fields:
            self.delete(key)
        return found

    def hincrby(self, key, field, amount):
        fields = self._made(key, dict)
        try:
            value = int(fields.get(field, "0")) + int(amount)
        except ValueError:
            raise CommandError("ERR hash value is not an integer") from None
        fields[field] = str(value)
        self.writes += 1
        return value

    # Sets, sorted and not.

    def sadd(self, key, *members):
        found = self._made(key, _Set)
        before = len(found)
        found.update(dict.fromkeys(members))
        self.writes += 1
        return len(found) - before

    def srem(self, key, *members):
        found = self._of(key, _Set)
        if found is None:
            return 0
        gone = [found.pop(member, self) for member in members]
        self.writes += 1
        if not found:
            self.delete(key)
        return sum(one is not self for one in gone)

    def smembers(self, key):
        return tuple(self._of(key, _Set) or ())

    def scard(self, key):
        return len(self._of(key, _Set) or ())

    def zadd(self, key, *words):
        scores = self._made(key, _Sorted)
        before = len(scores)
        for score, member in zip(words[::2], words[1::2], strict=True):
            scores[member] = float(score)
        self.writes += 1
        return len(scores) - before

    def zrem(self, key, *members):
        scores = self._of(key, _Sorted)
        if scores is None:
            return 0
        found = sum(scores.pop(member, None) is not None for member in members)
        self.writes += found
        if not scores:
            self.delete(key)
        return found

    def zrange(self, key, first, last):
        found = _ordered(self._of(key, _Sorted) or {})
        last = int(last)
        return tuple(found[int(first) : len(found) if last == -1 else last + 1])

    def zrangebyscore(self, key, low, high, *limit):
        scores = self._of(key, _Sorted) or {}
        low, high = float(low), float(high)
        found = _ordered({one: at for one, at in scores.items() if low <= at <= high})
        if limit:
            found = found[int(limit[1]) : int(limit[1]) + int(limit[2])]
        return tuple(found)

    def zremrangebyscore(self, key, low, high):
        found = self.zrangebyscore(key, low, high)
        return self.zrem(key, *found) if found else 0

    # Inside.

    def _live(self, key):
        end_s = self.ends_s.get(key)
        if end_s is not None and end_s <= self._now_s():
            self.keys.pop(key, None)
            del self.ends_s[key]
        return key in self.keys

    def _of(self, key, kind):
        if key in self.ends_s and not self._live(key):
            return None
        value = self.keys.get(key)
        if value is not None and type(value) is not kind:
            raise CommandError(WRONG_TYPE)
        return value

    def _made(self, key, kind):
        value = self._of(key, kind)
        if value is None:
            value = self.keys[key] = kind()
        return value

    def _end(self, key, at_s):
        if not self._live(key):
            return 0
        self.writes += 1
        self.ends_s[key] = at_s
        return 1


class _Set(dict):
    """In the order of the additions: the server's own order is nobody's business."""


class _Sorted(dict):
    """Members with their scores."""


def _ordered(scores):
    return [member for _, member in sorted((score, member) for member, score in scores.items())]
