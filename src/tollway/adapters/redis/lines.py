"""A hold as the scripts see it: lines in parts, one part for each tag, and the words of each call.

A tag is what must lie on one server of a cluster: a tenant, a provider, a model, or the platform.
"""

from collections.abc import Iterable, Iterator, Sequence

from tollway.domain.hold import Hold, Rule
from tollway.domain.quota import UPSTREAM_SCOPES, Metric, Scope, Sizes
from tollway.domain.window import Window, window_at

KEPT_S = 600  # an outcome, for whoever says it again
_LAYOUT = "tw1"  # of the keys; another one counts apart
_BEGUN = Sizes(requests=1)
Word = bytes | str | int


class Tag:
    """The keys of one tag that are not counters."""

    __slots__ = ("epoch", "leases", "name", "prefix")

    def __init__(self, name: str) -> None:
        self.name = name
        self.prefix = f"{_LAYOUT}:{{{name}}}:"
        self.epoch = (self.prefix + "epoch").encode()
        self.leases = (self.prefix + "leases").encode()


REGISTRY = Tag("registry")


class Place:
    """Where a rule counts in the window it stands in: its `cell`."""

    __slots__ = ("key", "kind", "start_s", "stop_s", "tag")

    def __init__(self, tag: Tag, rule: Rule, window: Window) -> None:
        self.tag = tag
        self.start_s, self.stop_s = window
        self.kind = _kind(rule)
        start_s = self.start_s if self.kind == "c" else 0
        self.key = f"{tag.prefix}count:{rule.counter}|{start_s}".encode()


class Line:
    """One rule of a hold that is asked for or in. `books`: no earlier line is on the same counter.
    `held` is all that is held on the counter for it; `bucket_s` where."""

    __slots__ = ("amount", "books", "bucket_s", "fresh", "held", "limit", "place", "rule")

    def __init__(self, rule: Rule, place: Place, amount: int, limit: int) -> None:
        self.rule = rule
        self.place = place
        self.amount = amount
        self.limit = limit
        self.fresh = False
        self.books = True
        self.held = amount
        self.bucket_s = 0


class Part:
    """The lines under one tag. `keys` are those of the scripts, in their order."""

    __slots__ = ("keys", "lines", "tag")

    def __init__(self, tag: Tag, id_: str) -> None:
        self.tag = tag
        self.lines: list[Line] = []
        self.keys = [tag.epoch, tag.leases, f"{tag.prefix}hold:{id_}".encode()]

    def add(self, line: Line) -> None:
        """One more. Of two lines on one counter the first holds the most of both."""
        for other in self.lines:
            if other.place.key == line.place.key:
                other.held = max(other.held, line.amount)
                line.books, line.held = False, 0
                break
        self.lines.append(line)
        self.keys.append(line.place.key)


class Booked:
    """A hold that is in, or on its way: what its `bookings` is. `epoch` is empty for one that was
    let in without the server; `progress` is what it has used so far, as far as is known; `bound`
    what an extension ran into."""

    __slots__ = ("bound", "epoch", "hold", "id", "parts", "progress", "since")

    def __init__(self, id_: str, hold: Hold, parts: Sequence[Part], since: float) -> None:
        self.id = id_
        self.hold = hold
        self.parts = parts
        self.since = since
        self.epoch = ""
        self.progress = _BEGUN
        self.bound: tuple[Line, int, int] | None = None

    def lines(self) -> Iterator[Line]:
        """Of all parts."""
        for part in self.parts:
            yield from part.lines


def tag_of(rule: Rule) -> str:
    """Which tag a rule's counters are under."""
    quota = rule.quota
    if quota.scope is Scope.PLATFORM:
        return "platform"
    if quota.scope in UPSTREAM_SCOPES:
        return str(quota.scope_id)
    return str(quota.tenant_id)


def window_of(rule: Rule, at_s: int) -> Window:
    """The rule's window of a second that need not be the admission's."""
    return window_at(rule.quota.period, rule.zone, at_s)


def reserve_words(booked: Booked, part: Part, *, lease_ms: int, adopt: bool) -> list[Word]:
    """After epoch and run."""
    words: list[Word] = [booked.id, lease_ms, int(adopt)]
    for line in part.lines:
        place = line.place
        words += (
            place.kind,
            place.start_s,
            place.stop_s,
            line.amount,
            line.held if line.books else -1,
            line.limit,
            int(line.rule.shadow),
            int(line.fresh),
            used_so_far(line, booked.progress),
            line.bucket_s,
        )
    return words


def end_words(part: Part, actual: Sizes | None) -> list[Word]:
    """After owner and place; None: void."""
    words: list[Word] = [KEPT_S]
    for line in part.lines:
        place = line.place
        used = 0 if actual is None or not line.books else actual[line.rule.metric]
        words += (place.kind, place.stop_s, line.bucket_s, used)
    return words


def extend_words(part: Part, *, strict: bool) -> list[Word]:
    """After epoch and run."""
    words: list[Word] = []
    for line in part.lines:
        refusable = strict and line.rule.strict and not line.rule.shadow
        words += (line.held, int(refusable), line.limit)
    return words


def renew_words(pairs: Iterable[tuple[Booked, Part]]) -> list[Word]:
    """After the lease."""
    words: list[Word] = []
    for booked, part in pairs:
        progress = booked.progress
        words += (booked.id, len(part.lines))
        words += [used_so_far(line, progress) for line in part.lines]
    return words


def used_so_far(line: Line, progress: Sizes) -> int:
    """What the line is booked with if its lease runs out."""
    return progress[line.rule.metric] if line.books and line.place.kind != "l" else 0


def _kind(rule: Rule) -> str:
    if rule.minute:
        return "m"
    return "l" if rule.quota.metric is Metric.CONCURRENCY else "c"
