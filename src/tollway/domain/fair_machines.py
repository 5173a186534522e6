"""Which part of an account each machine has that uses it: by the weights of the tenants whose
requests come there, each tenant's weight split as its requests are. Pure, and the same on every
machine that knows the same reports.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tollway.domain.fair_commons import (
    AT_ONCE,
    PART,
    REQUESTS_A_MINUTE,
    SLOTS,
    TOKENS_A_MINUTE,
    Cells,
)
from tollway.domain.fair_share import Capacity

_MINUTE_S = 60.0
_GROWS = 1.25  # what a machine uses that nobody waits at, so that it may use more
_EVENLY = 0.1
_FLOOR = 0.05  # of all weights, for whoever waits: what it had before may be nothing


@dataclass(frozen=True, slots=True)
class Report:
    """One machine at one account. `went` and `services` are a second's, of late: requests, and by
    tenant its weight and its tokens over that weight. `slots`: how many at once it lets in."""

    running: int
    waiting: int
    slots: int
    went: float
    services: Mapping[str, tuple[float, float]]

    @property
    def idle(self) -> bool:
        """Whether it has no use for the account."""
        return not (self.running or self.waiting)

    @property
    def backlog(self) -> float:
        """What its tenants want, over what they had."""
        return 1.0 + self.waiting / max(self.went, 1.0)

    def use(self, capacity: Capacity) -> float:
        """Its part of what the account takes, as far as it uses it."""
        tokens = sum(weight * service for weight, service in self.services.values())
        used = (
            (self.running, capacity.at_once),
            (self.went * _MINUTE_S, capacity.requests_per_minute),
            (tokens * _MINUTE_S, capacity.tokens_per_minute),
        )
        return max([0.0, *(amount / most for amount, most in used if most)])


class Part(NamedTuple):
    """What one machine has: of the rates, and of what runs at once (None: that is not bounded)."""

    rate: float
    slots: int | None


def say_capacity(cells: Cells, capacity: Capacity) -> None:
    """Put what the account takes where it is read for other machines."""
    cells[AT_ONCE] = capacity.at_once or 0
    cells[REQUESTS_A_MINUTE] = capacity.requests_per_minute or 0
    cells[TOKENS_A_MINUTE] = capacity.tokens_per_minute or 0


def said_capacity(cells: Cells) -> Capacity:
    """What was put there."""
    return Capacity(
        int(cells[AT_ONCE]) or None,
        int(cells[REQUESTS_A_MINUTE]) or None,
        int(cells[TOKENS_A_MINUTE]) or None,
    )


def parted(cells: Cells, capacity: Capacity) -> Capacity:
    """What of it is this machine's."""
    part, slots = cells[PART], int(cells[SLOTS])
    if not part:
        return capacity
    requests, tokens = (
        None if rate is None else max(1, int(rate * part))
        for rate in (capacity.requests_per_minute, capacity.tokens_per_minute)
    )
    at_once = capacity.at_once
    if at_once is not None:
        at_once = min(at_once, slots) if slots else at_once
    return Capacity(at_once, requests, tokens)


def part_of(machine: str, reports: Mapping[str, Report], capacity: Capacity) -> Part | None:
    """One machine's. None: all of it, as no other has a use for it, or as there is no
    end to it. A machine that has none itself
    may begin with one request; nothing is kept for it."""
    busy = {name: report for name, report in reports.items() if not report.idle}
    if capacity.unknown or not busy.keys() - {machine}:
        return None
    if machine not in busy:
        return Part(0.5 / (len(busy) + 1), None if capacity.at_once is None else 1)
    parts = _parts(busy, capacity)
    if capacity.at_once is None:
        return Part(parts[machine], None)
    targets = whole_parts(max(capacity.at_once, 1), parts)
    return Part(parts[machine], _reachable(machine, busy, targets, capacity.at_once))


def splits(reports: Mapping[str, Report]) -> dict[str, dict[str, float]]:
    """How each tenant's weight is split over the machines that its requests come to: by what it
    wants there, and a little of it evenly, so that it has enough everywhere to want more with."""
    demands: dict[str, dict[str, float]] = {}
    for name, report in reports.items():
        for tenant, (_, service) in report.services.items():
            demands.setdefault(tenant, {})[name] = service * report.backlog
    found: dict[str, dict[str, float]] = {name: {} for name in reports}
    for tenant, wants in demands.items():
        total, even = sum(wants.values()), 1 / len(wants)
        for name, want in wants.items():
            found[name][tenant] = (1 - _EVENLY) * want / total + _EVENLY * even
    return found


def weights_of(reports: Mapping[str, Report]) -> dict[str, float]:
    """Each machine's: what of its tenants' weights is there."""
    found = {
        name: sum(reports[name].services[tenant][0] * part for tenant, part in parts.items())
        for name, parts in splits(reports).items()
    }
    floor = _FLOOR * sum(found.values()) or 1.0
    return {name: max(weight, floor) for name, weight in found.items()}


def filled(wants: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """One whole, shared by weight among those who want more than their part, others having what
    they want; by name, weight and want. What nobody wants is shared by weight too."""
    parts: dict[str, float] = {}
    left, open_ = 1.0, dict(wants)
    while open_:
        total = sum(weight for weight, _ in open_.values())
        modest = {
            name: want for name, (weight, want) in open_.items() if want < left * weight / total
        }
        if not modest:
            parts |= {name: left * weight / total for name, (weight, _) in open_.items()}
            return parts
        for name, want in modest.items():
            parts[name] = want
            left -= want
            del open_[name]
    total = sum(weight for weight, _ in wants.values())
    return {name: part + left * wants[name][0] / total for name, part in parts.items()}


def whole_parts(total: int, parts: Mapping[str, float]) -> dict[str, int]:
    """The same in whole numbers, largest remainders first; one at least for each, which is more
    than there is only where there are more machines than that."""
    found = {name: max(1, int(total * part + 1e-9)) for name, part in parts.items()}
    order = sorted(parts, key=lambda name: (int(total * parts[name]) - total * parts[name], name))
    for name in order:
        if sum(found.values()) < total:
            found[name] += 1
    while sum(found.values()) > total and max(found.values()) > 1:
        most = max(found, key=lambda name: (found[name], name))
        found[most] -= 1
    return found


def _parts(busy: Mapping[str, Report], capacity: Capacity) -> dict[str, float]:
    weights = weights_of(busy)
    return filled(
        {
            name: (
                weights[name],
                1.0 if report.waiting else min(1.0, report.use(capacity) * _GROWS),
            )
            for name, report in busy.items()
        }
    )


def _reachable(
    machine: str, busy: Mapping[str, Report], targets: Mapping[str, int], total: int
) -> int:
    """What the machine may go up to now: what others still have running is not free yet, and who
    grows too takes its part of what is."""
    own, target = busy[machine], targets[machine]
    has = own.slots or own.running
    if target <= has:
        return target
    taken = sum(max(report.running, report.slots) for report in busy.values())
    growing = sum(
        max(0, targets[name] - (report.slots or report.running)) for name, report in busy.items()
    )
    free = max(0, total - taken)
    return max(1, min(target, has + free * (target - has) // growing))
