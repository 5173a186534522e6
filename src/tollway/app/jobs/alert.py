"""Notices what is to be told: limits that have used a share, increases that ended, keys whose time
ends, targets that do not answer. What was used is what the ledger has. Everything between the mark
of the last run and now is looked at, windows that ended meanwhile too, so a gateway that was away
misses nothing.
"""

from collections.abc import Callable, Iterator, Sequence

from tollway.app.ports import Clock
from tollway.app.ports_admin import Entropy
from tollway.app.ports_alerts import AlertStore, Ejected, KeyEnd, MemberSums, WatchedQuota
from tollway.domain.event import Event, EventKind, event_id
from tollway.domain.money import usd_text
from tollway.domain.quota import Metric, QuotaRecord, limit_at
from tollway.domain.window import FOREVER_S, Period, Window, utc_text, window_at

KEPT_S = 30 * 86_400
_LATE_S = 900  # outcomes may reach the ledger so long after the window they count in has ended
_MOST_WINDOWS = 100  # of one limit in one run: the oldest are left out
_LEAST_PAUSE_S, _MOST_PAUSE_S = 5.0, 60.0
_DAY_S = 86_400
_HOUR_S = 3600
_KNOWN_S = KEPT_S + _DAY_S  # longer than anybody looks back
_KEY_NOTICES = ((7 * _DAY_S, "in 7 days"), (_DAY_S, "in a day"), (0, ""))
_WORTH_S = _DAY_S  # a key that was made for less than this expires as it was meant to


def pause_s(took_s: float) -> float:
    """How long to leave the database alone after a look that took so long: a twentieth of the time
    is spent on it. What took long on a busy machine need not be dear, so a minute is enough; but
    half of the time is the most that any look may take."""
    return max(_LEAST_PAUSE_S, min(19 * took_s, _MOST_PAUSE_S), took_s)


class Alerts:
    """Run every few seconds, in as many gateways as there are."""

    def __init__(
        self,
        store: AlertStore,
        sums: MemberSums,
        clock: Clock,
        entropy: Entropy,
        *,
        ejected: Callable[[], Sequence[Ejected]] = tuple,
    ) -> None:
        self._store = store
        self._sums = sums
        self._clock = clock
        self._entropy = entropy
        self._ejected = ejected

    def run_once(self) -> int:
        """How many events were new. Raises StoreUnavailableError; then the next run finds them."""
        now_s = self._clock.wall_ns() // 1_000_000_000
        mark_s = self._store.mark_s()
        since_s = now_s if mark_s is None else max(min(mark_s, now_s), now_s - KEPT_S)
        found = [*self._reached(since_s, now_s), *self._ended(since_s, now_s)]
        found += self._key_ends(since_s, now_s)
        found += [_ejection(one, now_s) for one in self._ejected()]
        named = [(event_id(now_s, self._entropy(5)), event) for event in found]
        return self._store.keep(named, at_s=now_s)

    def forget(self) -> int:
        """Remove what is old. Raises StoreUnavailableError."""
        now_s = self._clock.wall_ns() // 1_000_000_000
        return self._store.forget(now_s - KEPT_S, now_s)

    def _reached(self, since_s: int, now_s: int) -> Iterator[Event]:
        for watched in self._store.watched():
            for window in _windows(watched, since_s - _LATE_S, now_s):
                limit = limit_at(watched.quota, min(now_s, window.end_s - 1))
                for member, used in self._sums.members(watched.quota, window).items():
                    for percent in watched.quota.alert_at:
                        if used > 0 and used * 100 >= percent * limit:
                            yield _share(watched, window, member, (used, limit, percent))

    def _ended(self, since_s: int, now_s: int) -> Iterator[Event]:
        for watched in self._store.ended_increases(since_s - _LATE_S, now_s):
            yield _increase(watched)

    def _key_ends(self, since_s: int, now_s: int) -> Iterator[Event]:
        for ahead_s, when in _KEY_NOTICES:
            for key in self._store.key_ends(since_s - _LATE_S + ahead_s, now_s + ahead_s):
                if key.expires_s - key.created_s > max(_WORTH_S, ahead_s):
                    yield _key_end(key, ahead_s, when)


def _windows(watched: WatchedQuota, from_s: int, now_s: int) -> list[Window]:
    """Those of the time from then until now in which the limit was there."""
    found: list[Window] = []
    window = window_at(watched.quota.period, watched.zone, now_s)
    while len(found) < _MOST_WINDOWS and window.end_s > max(from_s, watched.created_s):
        found.append(window)
        if window.start_s <= 0:
            break
        window = window_at(watched.quota.period, watched.zone, window.start_s - 1)
    return found


def _share(
    watched: WatchedQuota, window: Window, member: str | None, numbers: tuple[int, int, int]
) -> Event:
    quota, (used, limit, percent) = watched.quota, numbers
    what = _what(watched) + (f", for {member}" if member is not None else "")
    resets = None if window.end_s >= FOREVER_S else utc_text(window.end_s)
    facts = [("Limit", _amount(quota, limit)), ("Used", _amount(quota, used))]
    if resets is not None:
        facts.append(("Begins again", resets))
    return Event(
        EventKind.QUOTA_REACHED,
        f"{quota.id}|{member or ''}|{window.start_s}|{percent}|{limit}",
        min(window.end_s + _KNOWN_S, FOREVER_S),
        quota.tenant_id,
        f"{what}: {percent} % used",
        (*facts, ("Quota", quota.id)),
        {
            **_data(quota),
            "member": member,
            "percent": percent,
            "limit": _number(quota, limit),
            "used": _number(quota, used),
            "window_start": utc_text(window.start_s),
            "resets_at": resets,
        },
    )


def _increase(watched: WatchedQuota) -> Event:
    quota = watched.quota
    raised = quota.raised_to or 0
    return Event(
        EventKind.INCREASE_ENDED,
        f"{quota.id}|raised|{quota.raised_until_s}",
        quota.raised_until_s + _KNOWN_S,
        quota.tenant_id,
        f"{_what(watched)}: the temporary increase has ended",
        (
            ("Limit", _amount(quota, quota.limit)),
            ("Was raised to", _amount(quota, raised)),
            ("Quota", quota.id),
        ),
        {
            **_data(quota),
            "limit": _number(quota, quota.limit),
            "raised_to": _number(quota, raised),
            "raised_until": utc_text(quota.raised_until_s),
        },
    )


def _key_end(key: KeyEnd, ahead_s: int, when: str) -> Event:
    at = utc_text(key.expires_s)
    title = f"Key {key.name} expires {when}" if ahead_s else f"Key {key.name} has expired"
    return Event(
        EventKind.KEY_EXPIRING if ahead_s else EventKind.KEY_EXPIRED,
        f"{key.key_id}|{key.expires_s}|{ahead_s}",
        key.expires_s + _KNOWN_S,
        key.tenant_id,
        title,
        (("Key", f"{key.name} ({key.key_id})"), ("Expires", at)),
        {"key_id": key.key_id, "name": key.name, "expires_at": at},
    )


def _ejection(ejected: Ejected, now_s: int) -> Event:
    """Once an hour, however many workers see it and however often it comes and goes."""
    return Event(
        EventKind.TARGET_EJECTED,
        f"{ejected.provider_id}|{ejected.model}|{now_s // _HOUR_S}",
        now_s + _KNOWN_S,
        ejected.tenant_id,
        f"Provider {ejected.provider}: {ejected.model} does not answer",
        (("Provider", f"{ejected.provider} ({ejected.provider_id})"), ("Cause", ejected.cause)),
        {
            "provider_id": ejected.provider_id,
            "provider": ejected.provider,
            "model": ejected.model,
            "cause": ejected.cause,
        },
    )


def _what(watched: WatchedQuota) -> str:
    quota = watched.quota
    owner = watched.tenant_name or "Platform"
    if quota.name:
        return f"{owner}, {quota.name}"
    what = quota.metric.replace("_", " ")
    period = "" if quota.period is Period.TOTAL else f" per {quota.period}"
    of = f" of {quota.scope.replace('_', ' ')} {quota.scope_id}" if quota.scope_id else ""
    model = f" with {quota.model_id}" if quota.model_id else ""
    return f"{owner}, {what}{period}{of}{model}"


def _data(quota: QuotaRecord) -> dict[str, object]:
    return {
        "quota_id": quota.id,
        "name": quota.name,
        "scope": quota.scope.value,
        "scope_id": quota.scope_id,
        "model_id": quota.model_id,
        "per": None if quota.per is None else quota.per.value,
        "metric": quota.metric.value,
        "period": quota.period.value,
    }


def _number(quota: QuotaRecord, amount: int) -> int | str:
    """As the admin API writes it: money is decimal text in USD."""
    return usd_text(amount) if quota.metric is Metric.COST else amount


def _amount(quota: QuotaRecord, amount: int) -> str:
    if quota.metric is Metric.COST:
        return f"{usd_text(amount)} USD"
    return f"{amount:,} {quota.metric.replace('_', ' ')}".replace(",", "\u202f")
