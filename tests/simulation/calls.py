"""Calls of every script at random: such as gateways make, in an order none would make them, with
fields broken now and then. Names are few, so that calls meet.
"""

from tests.simulation.lua import loaded

TAG = "tw1:{ten_a}:"
REGISTRY = [f"tw1:{{registry}}:{name}" for name in ("epoch", "owners", "awaited", "facts")]
COUNTERS = {"c": "day|86400", "m": "minute|0", "l": "running|0"}
BEGAN_S = 2_200_000_800  # far ahead: a real server must not find that a window is long over
WINDOW = (BEGAN_S - 3600, BEGAN_S + 90)


class Calls:
    """`epochs`: of the tag as it is, as it was, and none; `now_s` is moved by `draw`."""

    def __init__(self, chance):
        self.chance = chance
        self.now_s = BEGAN_S
        self.epochs = ["e1", "e1", "e1", "e1", "e2"]
        self.kinds = {}
        scripts = loaded()
        self._makers = [
            (scripts.reserve, self._reserve, 8),
            (scripts.settle, self._settle, 6),
            (scripts.extend, self._extend, 3),
            (scripts.renew, self._renew, 3),
            (scripts.seed, self._seed, 4),
            (scripts.look, self._look, 2),
            (scripts.open, self._open, 1),
            (scripts.join, self._join, 3),
            (scripts.enlist, self._enlist, 1),
        ]

    def draw(self):
        """A script's name, its keys and words; or None and a command that breaks something."""
        chance = self.chance
        if chance.random() < 0.1:
            self.now_s += chance.choice((1, 5, 11, 31))
        if chance.random() < 0.02:
            field = chance.choice(("u:0", "h:0", "f", "fu", "x", f"u:{self._bucket()}"))
            value = chance.choice(("NaN", "-1", "1e3", "", "9007199254740993", "7"))
            return None, ["HSET", self._key(self._kind()), field, value], []
        scripts = [(script, make) for script, make, _ in self._makers]
        script, make = chance.choices(scripts, [weight for _, _, weight in self._makers])[0]
        keys, words = make()
        return script.name, keys, [str(word) for word in words]

    # One maker each.

    def _reserve(self):
        chance, id_ = self.chance, self._id()
        kinds = chance.sample(list(COUNTERS), chance.randrange(1, 4))
        self.kinds[id_] = kinds
        words = [*self._epoch(), id_, 30_000, int(chance.random() < 0.15)]
        for kind in kinds:
            amount = chance.randrange(0, 8)
            words += [kind, *self._window(kind), amount, chance.choice((amount, amount, -1))]
            words += [chance.choice((5, 40, 400)), self._flag(0.1), self._flag(0.5)]
            words += [chance.randrange(0, amount + 1), self._bucket() if kind == "m" else 0]
        return self._keys(id_, kinds), words

    def _settle(self):
        chance, id_ = self.chance, self._id()
        kinds = self._kinds(id_)
        words = [*self._epoch(), id_, chance.choice(("e1", "e1", "")), chance.choice("SSV")]
        words += [chance.choice("ab"), *self._place(), 600]
        for kind in kinds:
            bucket = self._bucket() if kind == "m" else 0
            words += [kind, self._window(kind)[1], bucket, chance.randrange(0, 9)]
        return self._keys(id_, kinds), words

    def _extend(self):
        id_ = self._id()
        kinds = self._kinds(id_)
        words = self._epoch()
        for _ in kinds:
            words += [
                self.chance.randrange(0, 20),
                self._flag(0.5),
                self.chance.choice((3, 9, 400)),
            ]
        return self._keys(id_, kinds), words

    def _renew(self):
        words = [*self._epoch(), 30_000]
        for _ in range(self.chance.randrange(1, 4)):
            id_ = self._id()
            kinds = self._kinds(id_)
            words += [id_, len(kinds), *[self.chance.randrange(0, 5) for _ in kinds]]
        return self._keys("", [])[:2], words

    def _seed(self):
        chance, kind = self.chance, self._kind()
        asker = chance.choice("ab")
        words = [*self._epoch(), kind, self._window(kind)[1], chance.choice((0, 0, 3)), 5000]
        words += [chance.choice(("", asker)), asker, (self.now_s + chance.randrange(-40, 5)) * 1000]
        places = chance.sample("ab", chance.randrange(0, 3))
        words.append(len(places))
        for owner in places:
            words += [owner, *self._place()]
        used = chance.randrange(0, 3)
        words.append(used)
        for back in range(used):
            begin_s = self._bucket() - 10 * back if kind == "m" else WINDOW[0]
            words += [begin_s, chance.randrange(0, 30)]
        return [*self._keys("", [])[:2], self._key(kind)], words

    def _look(self):
        kind = self._kind()
        return [*self._keys("", [])[:2], self._key(kind)], [*self._epoch(), kind]

    def _open(self):
        return [TAG + "epoch"], ["e1", "run"]

    def _join(self):
        chance = self.chance
        owner = chance.choice(("a~1", "a~2", "b~1"))
        words = ["run", f"e{chance.randrange(1000)}", owner, chance.choice(("", "left", "e1"))]
        words += [30_000, 45_000, chance.choice(("", "", "", "e1")), owner[0]]
        words += [chance.choice(("-", self.now_s - 9)), *self._place(), chance.choice(("", "b"))]
        return REGISTRY, [*words, *chance.sample(("a~1", "a~2", "b~1"), chance.randrange(0, 3))]

    def _enlist(self):
        return REGISTRY[:1], [*self._epoch(), "ten_a"]

    # Words.

    def _epoch(self):
        return [self.chance.choice(self.epochs), "run"]

    def _id(self):
        return f"{self.chance.choice('ab')}~1-{self.chance.randrange(12)}"

    def _kinds(self, id_):
        return self.kinds.get(id_, ["c"])

    def _kind(self):
        return self.chance.choice(list(COUNTERS))

    def _key(self, kind):
        return f"{TAG}count:{COUNTERS[kind]}"

    def _keys(self, id_, kinds):
        return [TAG + "epoch", TAG + "leases", f"{TAG}hold:{id_}", *map(self._key, kinds)]

    def _window(self, kind):
        return {"c": WINDOW, "m": (self._bucket(), self._bucket() + 10), "l": (0, 1 << 33)}[kind]

    def _bucket(self):
        return self.now_s - self.now_s % 10

    def _place(self):
        return [self.chance.randrange(0, 2), self.chance.randrange(0, 9) * 100]

    def _flag(self, likely):
        return int(self.chance.random() < likely)
