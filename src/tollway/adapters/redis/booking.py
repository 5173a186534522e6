"""From a hold to what is asked of the server: where each rule counts at a second, and whether its
counter can be known to be 0 where the server has none.
"""

import os
from itertools import count

from tollway.adapters.redis.lines import Booked, Line, Part, Place, Tag, tag_of, window_of
from tollway.domain.hold import Hold, Rule, rule_key
from tollway.domain.ids import QuotaId
from tollway.domain.quota import MAX_MEMBERS, counter_name
from tollway.domain.window import Window, counted_from_s

_SPREAD_S = 30  # until every gateway has a new rule
REST = "..."  # whoever comes after a rule's last counter of its own


class Booking:
    """One per process. `exact`: there is no ledger, and what is not there is 0."""

    def __init__(self, owner: str, *, exact: bool) -> None:
        # Two processes with one journal, one after the other, are two.
        self.process = f"{owner}~{os.urandom(6).hex()}"
        self._exact = exact
        self._ids = count(1)
        self._tags: dict[str, Tag] = {}
        self._since: dict[QuotaId, int] = {}
        self._members: dict[QuotaId, set[str]] = {}

    def book(self, hold: Hold, at_s: int, now: float) -> Booked:
        """The hold with an id of its own and its lines, as of this second."""
        id_ = f"{self.process}-{next(self._ids)}"
        parts: dict[str, Part] = {}
        for rule in hold.rules.rules:
            place = self.place(rule, at_s)
            part = parts.get(place.tag.name)
            if part is None:
                part = parts[place.tag.name] = Part(place.tag, id_)
            amount = (hold.strict if rule.strict else hold.bounded)[rule.metric]
            limit = rule.limit_at(at_s)
            if amount > limit > 0 and not rule.strict:
                amount = limit  # a guess must not lock out whoever has used nothing
            line = Line(rule, place, amount, limit)
            line.fresh = self._exact or self._is_fresh(rule, place, at_s)
            part.add(line)
        return Booked(id_, hold, tuple(parts.values()), now)

    def place(self, rule: Rule, at_s: int) -> Place:
        """Where the rule counts."""
        place: Place | None = rule.cell
        if place is None or not place.start_s <= at_s < place.stop_s:
            if place is None and rule.quota.per is not None:
                self._bound_members(rule)
            window = window_of(rule, at_s)
            rule.start_s, rule.end_s = window
            place = rule.cell = self._place(rule, window)
        return place

    def at(self, rule: Rule, at_s: int) -> Place:
        """The same, without a counter being meant to come of it."""
        return self._place(rule, window_of(rule, at_s))

    def _place(self, rule: Rule, window: Window) -> Place:
        name = tag_of(rule)
        tag = self._tags.get(name)
        if tag is None:
            tag = self._tags[name] = Tag(name)
        return Place(tag, rule, window)

    def known_since_s(self, rule: Rule) -> float:
        """Since when every gateway counts for the rule."""
        return self._since.get(rule.quota.id, 0) + _SPREAD_S

    def _is_fresh(self, rule: Rule, place: Place, at_s: int) -> bool:
        since_s = self._since.setdefault(rule.quota.id, at_s + 1)
        window = window_of(rule, place.start_s)
        return since_s + _SPREAD_S <= counted_from_s(rule.quota.period, window)

    def _bound_members(self, rule: Rule) -> None:
        members = self._members.setdefault(rule.quota.id, set())
        if rule.counter in members:
            return
        if len(members) >= MAX_MEMBERS:
            rule.member, rule.key = REST, rule_key(rule.quota, REST)
            rule.counter = counter_name(rule.quota, REST)
        else:
            members.add(rule.counter)
