"""Events worth telling somebody: what happened, once, and under which name it is known that it was
told. How it reads is `notice.py`'s; who is told follows from whose it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tollway.domain.ids import EventId, TenantId, make_id
from tollway.domain.notice import Notice


class EventKind(StrEnum):
    """What can be told."""

    QUOTA_REACHED = "quota.threshold_reached"
    INCREASE_ENDED = "quota.increase_ended"
    KEY_EXPIRING = "key.expiring"
    KEY_EXPIRED = "key.expired"
    TARGET_EJECTED = "provider.ejected"


@dataclass(frozen=True, slots=True)
class Event:
    """One of them. `once` is its name: of two events with the same name the second is none.
    That must be known until `until_s` (UTC seconds). `tenant_id`: whose it is; None: the platform's
    alone. `facts` are pairs of label and value for
    people, `data` is for programs."""

    kind: EventKind
    once: str
    until_s: int
    tenant_id: TenantId | None
    title: str
    facts: tuple[tuple[str, str], ...] = ()
    data: Mapping[str, object] = field(default_factory=dict[str, object])


def event_id(at_s: int, entropy: bytes) -> EventId:
    """Five bytes of entropy behind the second: events sort by their ids."""
    return EventId(make_id("evt", at_s.to_bytes(5) + entropy))


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One that was kept: with its id, and when it was noticed (UTC seconds)."""

    id: EventId
    at_s: int
    event: Event


def notice_of(record: EventRecord, tenant_name: str | None) -> Notice:
    """The event as it is told."""
    event = record.event
    return Notice(
        id=record.id,
        kind=event.kind.value,
        at_s=record.at_s,
        tenant_id=event.tenant_id,
        tenant_name=tenant_name,
        title=event.title,
        facts=event.facts,
        data=event.data,
    )
