"""One operation, asked with every foreign id in every slot by everybody in tenant A: what comes
back must be what an id that does not exist gets, and the database must be as it was.
"""

import re
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.fakes.world import (
    EACH,
    KINDS,
    LEAK,
    MINE,
    NOBODYS_MODEL,
    PASSWORD,
    World,
    absent_like,
    named,
)
from tests.isolation.document import ANY, Operation, Slot, put, sample
from tollway.domain.policy import Action, Verdict, decide
from tollway.web.admin.paging import sealed

ACTORS = (
    "admin",
    "user",
    "viewer",
    "dual",
    "reader",
    "browser",
    "service_tenant_admin",
    "service_user",
    "service_viewer",
)
# What a body needs besides what its schema requires, to be right.
EXTRAS: Mapping[str, Mapping[str, Any]] = {
    "createGrant": {"model_id": NOBODYS_MODEL, "tenant_id": named("tenant", MINE, 0)},
    "createPrice": {"rates": {"input": "1"}},
    "changeMyPassword": {"current": PASSWORD, "password": "another long enough one"},
    "createCredential": {"api_key": "sk-something"},
    "createQuota": {"per": "key"},  # as a whole is what the platform has agreed
    "createWebhook": {"url": "https://hooks.example/way"},
}
# Slots that are no walk's business, and whose then.
ELSEWHERE = {
    ("addMember", "body:email"),  # test_people.py: an address is known to whoever knows it
}
_WORDS = ("model_name", "email")  # chosen by people: a foreign one is as good as any
_MADE = re.compile(
    rb'(?<=_)[0-9A-Za-z]{12,16}\b|(?<="last4":")[^"]*|tw_live_\w+|twp_\w+'
    rb'|whsec_[\w+/=]+|(?<=v)\d+(?=")'
)


class Case(NamedTuple):
    """One request: whose, and which foreign ids where."""

    who: str
    foreign: tuple[tuple[Slot, str], ...]


class Seen(NamedTuple):
    """What a client can tell of an answer, ids and the like masked."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]


_PAIRS, _REPEATS = 5, 20  # when times are measured afresh


@dataclass(slots=True)
class Walk:
    """The walk through one operation. `wrong` says what was not as it must be."""

    world: World
    operation: Operation
    wrong: list[str] = field(default_factory=list)
    cases: int = 0
    _absent: dict[Any, Seen] = field(default_factory=dict)
    _pairs: list[tuple["Case", "Case"]] = field(default_factory=list)
    _took: dict[bool, list[float]] = field(default_factory=lambda: {False: [], True: []})

    def run(self) -> list[str]:
        """What was wrong, at most a few."""
        for case in cases(self.world, self.operation):
            self._check(case)
            self.cases += 1
            if len(self.wrong) > 5:
                break
        self._compare_times()
        changed = self.world.changed()
        if changed:
            self.wrong.append(f"{self.operation.id}: at its end {sorted(changed)} are not as kept")
            self.world.restore()
        return self.wrong

    def _check(self, case: Case) -> None:
        slots = tuple(slot for slot, _ in case.foreign)
        seen = self._seen(case)
        ordered = any(slot.route == ("cursor",) for slot in slots)
        like = (case.who, slots, tuple(_form(value) for _, value in case.foreign))
        absent = None if ordered else self._absent.get(like)
        if absent is None:
            nowhere = tuple((slot, absent_like(value)) for slot, value in case.foreign)
            absent = self._seen(Case(case.who, nowhere), present=False)
            self._absent[like] = absent
            if len(self._pairs) < _PAIRS:
                self._pairs.append((case, Case(case.who, nowhere)))
        if seen != absent:
            self._say(case, f"{seen} but for an absent id {absent}")
        in_path = any(slot.where == "path" for slot in slots)
        right = seen.status == 404 or (seen.status == 403 and self._may_not(case.who))
        if in_path and not right:
            self._say(case, f"a path with another's id is answered {seen.status}")

    def _seen(self, case: Case, *, present: bool = True) -> Seen:
        world, before = self.world, self.world.mark()
        began = time.perf_counter()
        answer = ask(world, self.operation, case.who, dict(case.foreign))
        self._took[present].append(time.perf_counter() - began)
        values = [value for _, value in case.foreign]
        if world.mark() != before:
            self._written(case)
        if answer.status >= 500:
            self._say(case, f"{answer.status} {answer.body!r}")
        if LEAK in _without(answer.body, values):
            self._say(case, f"the answer tells of another's things: {answer.body!r}")
        return Seen(answer.status, _masked(answer.body, values), _told(answer, values))

    def _written(self, case: Case) -> None:
        """Somebody wrote: right only where a word was chosen, and in their own tenant."""
        changed = self.world.changed()
        words = all(slot.kind in _WORDS for slot, _ in case.foreign)
        if changed and not words:
            self._say(case, f"wrote to {sorted(changed)}")
        if changed and self.world.changed(LEAK.decode()):
            self._say(case, f"changed another's rows in {sorted(changed)}")
        if changed:
            self.world.restore()

    def _may_not(self, who: str) -> bool:
        """Whether this role may not do this at all, even in its own tenant."""
        actor, action = self.world.people[who].actor, Action(self.operation.action)
        tenant_id = self.world.mine["tenant"][0]
        verdict = decide(actor, action, tenant_id=tenant_id)
        return verdict is not Verdict.ALLOWED or actor.read_only

    def _compare_times(self) -> None:
        """The walk's own figures are of different callers, at different times: what they suggest is
        measured afresh, one beside the other."""
        if len(self._took[False]) < 8 or self._as_fast():
            return
        self._took = {False: [], True: []}
        for case, nowhere in self._pairs:
            for _ in range(_REPEATS):
                self._seen(case)
                self._seen(nowhere, present=False)
        if not self._as_fast():
            one, other = (statistics.median(self._took[there]) * 1e3 for there in (True, False))
            self.wrong.append(f"{self.operation.id}: {one:.2f} ms, {other:.2f} ms where absent")

    def _as_fast(self) -> bool:
        ratio = statistics.median(self._took[True]) / statistics.median(self._took[False])
        return 0.4 < ratio < 2.5

    def _say(self, case: Case, what: str) -> None:
        placed = ", ".join(f"{slot.name}={value}" for slot, value in case.foreign)
        self.wrong.append(f"{self.operation.id} by {case.who} with {placed}: {what}"[:1000])


def cases(world: World, operation: Operation) -> Iterator[Case]:
    """Every slot alone, and all of the path together (things that do belong together), by
    everybody, with every foreign id."""
    groups = [(slot,) for slot in operation.slots if (operation.id, slot.name) not in ELSEWHERE]
    path = tuple(operation.at("path"))
    if len(path) > 1:
        groups.append(path)
    for who in ACTORS:
        for group in groups:
            for number in range(min(len(_pool(world, slot)) for slot in group)):
                yield Case(
                    who, tuple((slot, _placed(world, slot, group, number)) for slot in group)
                )


def ask(
    world: World,
    operation: Operation,
    who: str | None,
    placed: Mapping[Slot, str],
    *,
    extra: Mapping[str, Any] | None = None,
    **request: Any,
) -> Any:
    """The operation, right and on the caller's own things, but for what is placed."""
    fill = Own(world, who or "user")
    path = operation.path
    for slot in operation.at("path"):
        name = slot.route[0]
        path = path.replace(f"{{{name}}}", placed.get(slot, fill[slot.kind]))
    query = {
        slot.route[0]: sealed(value) if slot.route == ("cursor",) else value
        for slot, value in placed.items()
        if slot.where == "query"
    }
    return world.ask(
        who, operation.method, path, query=query, body=body_of(operation, fill, placed)
    )


def body_of(operation: Operation, fill: Mapping[str, str], placed: Mapping[Slot, str]) -> Any:
    """A right body, with what is placed in it; None where there is none."""
    if operation.body is None:
        return None
    body = sample(operation.body, fill, operation.path)
    for name, value in EXTRAS.get(operation.id, {}).items():
        body = {**body, name: value}
    for slot, value in placed.items():
        if slot.where == "body":
            body = put(operation.body, body, slot.route, value, fill=fill, path=operation.path)
    return body


class Own(dict):
    """A caller's own ids by kind."""

    def __init__(self, world: World, who: str) -> None:
        super().__init__()
        self._world, self._who = world, who

    def __missing__(self, kind: str) -> str:
        if kind in _WORDS:
            return "fresh@people.example" if kind == "email" else f"fresh-{kind}"
        return self._world.id_for(self._who, "project" if kind == ANY else kind)


def _form(value: str) -> str:
    """What two ids of one sort share."""
    return re.split("[_:]", value, maxsplit=1)[0]


def _placed(world: World, slot: Slot, group: tuple[Slot, ...], number: int) -> str:
    """All the things there are belong to the first tenant."""
    first = slot.kind == "tenant" and len(group) > 1
    return _pool(world, slot)[0 if first else number]


def _pool(world: World, slot: Slot) -> list[str]:
    if slot.kind in _WORDS:
        return world.theirs[slot.kind][:4]  # one word is like another, and each is a write
    if slot.kind != ANY:
        return world.theirs[slot.kind]
    kinds = [kind for kind in KINDS if kind not in _WORDS]
    return [world.theirs[kind][number % EACH] for number, kind in enumerate(kinds)]


def _masked(body: bytes, values: list[str]) -> bytes:
    return _MADE.sub(b"<made>", _without(body, values))


def _without(body: bytes, values: list[str]) -> bytes:
    for value in values:
        body = body.replace(value.encode(), b"<placed>")
    return body


def _told(answer: Any, values: list[str]) -> tuple[tuple[str, str], ...]:
    told = []
    for name, value in sorted(answer.headers.items()):
        if name not in ("x-request-id", "date", "content-length"):
            told.append((name, _masked(value.encode() + b'"', values).decode()))
    return tuple(told)
