"""What machines tell each other of the providers' accounts that they share, some times a second and
beside the requests: what runs and waits, what each tenant has used, what is learned. Each then
finds its own part. While others cannot be heard, all go on with the parts they had last.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tollway.app.ports_sharing import MachineBoard, MachinesAccount, Reports, ReportsError
from tollway.domain.fair_commons import (
    BLAMED_S,
    BLOCKED_S,
    CHANGES,
    ELSEWHERE,
    GOOD,
    LEARNED,
    MOST,
    PART,
    SLOTS,
    WENT,
    Cells,
)
from tollway.domain.fair_machines import Report, part_of, said_capacity, splits
from tollway.domain.learned_capacity import LearnedCapacity

_SMOOTH = 0.3  # of each exchange, in what is used a second
_GONE_S = 3.0  # a machine that has said nothing new
_SAME_S = 0.5  # two complaints that are one, as told over a network
_STEPS = 64  # parts are in so many steps, so that they do not change all the time
_LEAST = 0.01  # of what a tenant uses a second, in tokens over its weight, to be worth telling


@dataclass(slots=True)
class _Last:
    """One account here, as it was told last."""

    at_s: float
    went: float
    used: dict[str, float]
    went_per_s: float = 0.0
    services: dict[str, float] = field(default_factory=dict)
    # What was heard from others is not told as our own: it would come back later each time.
    heard_until_s: float = 0.0
    heard_blamed_s: float = 0.0


@dataclass(slots=True)
class _Other:
    """Another machine: what it said last, and when that was new."""

    beat: Any
    heard_s: float = float("-inf")  # what was there before us may be of one that is gone
    fresh: bool = False


class Machines:
    """This machine's part in it. `name` is no other's."""

    def __init__(self, board: MachineBoard, name: str) -> None:
        self.name = name
        self._board = board
        self._last: dict[str, _Last] = {}
        self._own: dict[str, Report] = {}
        self._met: dict[str, _Other] = {}
        self._others: dict[str, _Other] = {}  # of them, those that live
        self._beat = 0

    def report(self, now_s: float) -> dict[str, Any]:
        """What is to be told of all accounts that are in use."""
        self._beat += 1
        told = {}
        self._own = {}
        accounts = self._board.accounts()
        self._last = {place: last for place, last in self._last.items() if place in accounts}
        for place, account in accounts.items():
            last = self._measured(place, account, now_s)
            numbers = account.numbers
            running, waiting = account.standing()
            own_rest = numbers[BLOCKED_S] > last.heard_until_s
            rests_s = max(0.0, numbers[BLOCKED_S] - now_s) if own_rest else 0.0
            own_blame = numbers[BLAMED_S] and numbers[BLAMED_S] != last.heard_blamed_s
            if not (running or waiting or last.services or rests_s):
                continue
            tenants = account.tenants()
            services = {one: (tenants[one][0], per_s) for one, per_s in last.services.items()}
            slots = int(numbers[SLOTS])
            self._own[place] = Report(running, waiting, slots, last.went_per_s, services)
            told[place] = {
                "running": running,
                "waiting": waiting,
                "slots": slots,
                "went": last.went_per_s,
                "tenants": services,
                "rests_s": rests_s,
                "learned": numbers[LEARNED],
                "blamed_s": now_s - numbers[BLAMED_S] if own_blame else None,
            }
        return {"beat": f"{self.name}{self._beat}", "accounts": told}

    def hear(self, reports: Mapping[str, Any], now_s: float) -> None:
        """What all have told; take up what follows."""
        for name, report in reports.items():
            if name == self.name:
                continue
            other = self._met.setdefault(name, _Other(report["beat"]))
            other.fresh = report["beat"] != other.beat
            if other.fresh:
                other.beat, other.heard_s = report["beat"], now_s
        self._met = {name: other for name, other in self._met.items() if name in reports}
        self._others = {
            name: other for name, other in self._met.items() if now_s - other.heard_s < _GONE_S
        }
        living = {name: reports[name]["accounts"] for name in self._others}
        for place, account in self._board.accounts().items():
            if place not in self._last:
                continue  # made just now
            told = {name: accounts[place] for name, accounts in living.items() if place in accounts}
            if told or account.numbers[PART] or account.numbers[ELSEWHERE]:
                self._take_up(place, account, told, now_s=now_s)

    def _measured(self, place: str, account: MachinesAccount, now_s: float) -> _Last:
        used = {tenant: total for tenant, (_, total) in account.tenants().items()}
        went = account.numbers[WENT]
        last = self._last.get(place)
        if last is None:
            last = self._last[place] = _Last(now_s, went, used)
            return last
        passed_s = max(now_s - last.at_s, 0.001)
        last.went_per_s += _SMOOTH * ((went - last.went) / passed_s - last.went_per_s)
        for tenant, total in used.items():
            per_s = max(0.0, total - last.used.get(tenant, 0.0)) / passed_s
            before = last.services.get(tenant, 0.0)
            smooth = before + _SMOOTH * (per_s - before)
            if smooth > _LEAST:
                last.services[tenant] = smooth
            else:
                last.services.pop(tenant, None)
        last.at_s, last.went, last.used = now_s, went, used
        return last

    def _take_up(
        self, place: str, account: MachinesAccount, told: Mapping[str, Any], *, now_s: float
    ) -> None:
        reports = {
            name: Report(
                one["running"],
                one["waiting"],
                one["slots"],
                one["went"],
                {tenant: (said[0], said[1]) for tenant, said in one["tenants"].items()},
            )
            for name, one in told.items()
        }
        if place in self._own:
            reports[self.name] = self._own[place]
        if not account.lock():
            return
        try:
            before = account.numbers[CHANGES]
            fresh = [one for name, one in told.items() if self._others[name].fresh]
            _learn(account.numbers, self._last[place], fresh, now_s=now_s)
            account.split(splits(reports).get(self.name, {}) if told else {})
            _part(self.name, account, reports)
            news = account.numbers[CHANGES] != before
        finally:
            account.unlock()
        if news:
            account.wake()


class Exchange:
    """Between machines: of the worker that speaks for its own."""

    def __init__(self, machines: Machines, reports: Reports) -> None:
        self._machines = machines
        self._reports = reports

    async def turn(self) -> None:
        """Say how it stands here, and take up what others say. Without them all goes on."""
        loop = asyncio.get_running_loop()
        with suppress(ReportsError):
            heard = await self._reports.swap(self._machines.report(loop.time()))
            self._machines.hear(heard, loop.time())

    async def leave(self) -> None:
        """This machine is no part of it any more."""
        with suppress(ReportsError):
            await self._reports.swap(None)


def _learn(numbers: Cells, last: _Last, fresh: Sequence[Any], *, now_s: float) -> None:
    """Until when others were told to leave it alone, and how many at once they found it to take."""
    for one in fresh:
        until_s = now_s + one["rests_s"]
        if one["rests_s"] and until_s > numbers[BLOCKED_S] + _SAME_S:
            last.heard_until_s = until_s
            LearnedCapacity(numbers).rest(until_s)
        if one["blamed_s"] is None or not one["learned"]:
            continue
        blamed_s = now_s - one["blamed_s"]
        if blamed_s > numbers[BLAMED_S] + _SAME_S:
            numbers[BLAMED_S] = last.heard_blamed_s = blamed_s
            numbers[MOST] = numbers[LEARNED] = one["learned"]
            numbers[GOOD] = 0
            numbers[CHANGES] += 1


def _part(machine: str, account: MachinesAccount, reports: Mapping[str, Report]) -> None:
    numbers = account.numbers
    running = sum(one.running for name, one in reports.items() if name != machine)
    numbers[ELSEWHERE] = running
    part = part_of(machine, reports, said_capacity(numbers))
    rate, slots = (0.0, 0) if part is None else (_step(part.rate), part.slots or 0)
    if (rate, slots) != (numbers[PART], int(numbers[SLOTS])):
        numbers[PART], numbers[SLOTS] = rate, slots
        numbers[CHANGES] += 1


def _step(rate: float) -> float:
    """Rounded down, so that all together are not more than all of it."""
    return max(1, int(rate * _STEPS)) / _STEPS
