"""A base and what became of it, as one snapshot that never changes: the next one shares all that
stayed the same. Rows are decoded when they are first asked for, and only so many are kept.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from tollway.adapters.control.snapshot_base import Base, Peppers
from tollway.adapters.control.snapshot_delta import Part
from tollway.adapters.control.snapshot_rows import (
    DECODERS,
    Decode,
    Section,
    member_key,
    owner_key,
    place_key,
)
from tollway.domain.ids import AccountId, TenantId
from tollway.domain.model import ModelRecord
from tollway.domain.snapshot import Snapshot

_UNASKED: Any = object()
_MAX_DECODED = 20_000  # of one section; at the bound all are forgotten
_MAX_NAME_CHARS = 256  # longer ones are no model's, and are not worth remembering
# Clients choose key ids and may send any number that are nobody's.
_ABSENT_FORGOTTEN = frozenset({Section.KEYS, Section.SLUGS, Section.PROJECT_NAMES})

Overlay = dict[str, Any]  # by key: the row's data, what was decoded from it, or None: gone


class BaseTable:
    """One section of a base, with what was decoded from it. Shared by all snapshots on the base."""

    __slots__ = ("_base", "_decode", "_decoded", "_forgets_absent", "_section")

    def __init__(self, base: Base, section: Section) -> None:
        self._base = base
        self._section = section
        self._decode = DECODERS[section]
        self._decoded: dict[str, Any] = {}
        self._forgets_absent = section in _ABSENT_FORGOTTEN

    def get(self, key: str) -> Any:
        """The record, or None."""
        record = self._decoded.get(key, _UNASKED)
        if record is _UNASKED:
            data = self._base.find(self._section, key)
            record = None if data is None else self._decode(data)
            if record is not None or not self._forgets_absent:
                if len(self._decoded) >= _MAX_DECODED:
                    self._decoded.clear()
                self._decoded[key] = record
        return record


class Table:
    """One section as a snapshot has it: the overlay's row, or else the base's."""

    __slots__ = ("_base", "_decode", "over")

    def __init__(self, base: BaseTable, decode: Decode, over: Overlay) -> None:
        self._base = base
        self._decode = decode
        self.over = over

    def get(self, key: str) -> Any:
        """The record, or None."""
        row = self.over.get(key, _UNASKED)
        if row is _UNASKED:
            return self._base.get(key)
        if row.__class__ is bytes:
            row = self.over[key] = self._decode(row)
        return row


class Models:
    """Models by owner and name. What was asked is remembered for this snapshot, also that there is
    none: each request for a platform's model asks first for one of the tenant's own."""

    __slots__ = ("_known", "_models", "_places")

    def __init__(self, places: Table, models: Table) -> None:
        self._places = places
        self._models = models
        self._known: dict[tuple[TenantId | None, str], ModelRecord | None] = {}

    def get(self, place: tuple[TenantId | None, str]) -> ModelRecord | None:
        """The model, or None."""
        known = self._known
        try:
            return known[place]
        except KeyError:
            pass
        if len(place[1]) > _MAX_NAME_CHARS:
            return None
        id_ = self._places.get(place_key(*place))
        model = None if id_ is None else self._models.get(id_)
        if len(known) >= _MAX_DECODED:
            known.clear()
        known[place] = model
        return model


class Names:
    """The names of an owner's models."""

    __slots__ = ("_table",)

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, owner: TenantId | None) -> tuple[str, ...] | None:
        """The names, in no order."""
        names: tuple[str, ...] | None = self._table.get(owner_key(owner))
        return names


class Members:
    """What memberships narrow."""

    __slots__ = ("_table",)

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, place: tuple[TenantId, AccountId]) -> Any:
        """The membership's scope, or None."""
        return self._table.get(member_key(*place))


class Draft:
    """The next snapshot in the making: the base's tables and copies of the overlays that change.
    Nothing of it is served before `snapshot` was called."""

    def __init__(self, base: Base) -> None:
        self.version = base.header.version
        self.peppers: Peppers = base.header.peppers
        self._bases = {section: BaseTable(base, section) for section in Section}
        self._overlays: dict[Section, Overlay] = {section: {} for section in Section}
        self._fresh: set[Section] = set(Section)  # served by nobody yet: may be changed in place

    @property
    def changed_rows(self) -> int:
        """How many rows stand over the base."""
        return sum(len(overlay) for overlay in self._overlays.values())

    def apply(self, part: Part) -> None:
        """Take over a part of a version."""
        models: list[tuple[str, bytes | None]] = []
        for section, key, data in part.rows:
            if section is Section.MODELS:
                models.append((key, data))
            else:
                self._own(section)[key] = data
        if models:
            self._apply_models(models)
        self.peppers = part.peppers
        if part.last:
            self.version = part.version

    def snapshot(self, peppers: dict[int, bytes]) -> Snapshot:
        """The snapshot by now, with its peppers opened. Later changes are made to copies."""
        self._fresh.clear()
        table = self._table
        return Snapshot(
            version=self.version,
            peppers=peppers,
            tenants=table(Section.TENANTS),
            keys=table(Section.KEYS),
            providers=table(Section.PROVIDERS),
            models=Models(table(Section.PLACES), table(Section.MODELS)),
            names=Names(table(Section.NAMES)),
            projects=table(Section.PROJECTS),
            slugs=table(Section.SLUGS),
            project_names=table(Section.PROJECT_NAMES),
            members=Members(table(Section.MEMBERS)),
            grants=table(Section.GRANTS),
            quotas=table(Section.QUOTAS),
        )

    def _apply_models(self, rows: Iterable[tuple[str, bytes | None]]) -> None:
        """Names follow their models. All old names go before any new one comes: two models may have
        changed names with each other."""
        lost: dict[TenantId | None, set[str]] = defaultdict(set)
        won: dict[TenantId | None, set[str]] = defaultdict(set)
        by_id, places = self._table(Section.MODELS), self._table(Section.PLACES)
        arrived: list[ModelRecord] = []
        for id_, data in rows:
            model, old = None if data is None else DECODERS[Section.MODELS](data), by_id.get(id_)
            if old is not None and places.get(place_key(old.tenant_id, old.name)) == id_:
                self._own(Section.PLACES)[place_key(old.tenant_id, old.name)] = None
                places = self._table(Section.PLACES)
                lost[old.tenant_id].add(old.name)
            self._own(Section.MODELS)[id_] = model
            by_id = self._table(Section.MODELS)
            if model is not None:
                arrived.append(model)
        for model in arrived:
            self._own(Section.PLACES)[place_key(model.tenant_id, model.name)] = model.id
            won[model.tenant_id].add(model.name)
        names = self._table(Section.NAMES)
        for owner in lost.keys() | won.keys():
            kept = set(names.get(owner_key(owner)) or ()) - lost[owner]
            self._own(Section.NAMES)[owner_key(owner)] = tuple(sorted(kept | won[owner]))

    def _own(self, section: Section) -> Overlay:
        """The section's overlay, to be changed: a copy, if a snapshot was made with it."""
        if section not in self._fresh:
            self._overlays[section] = dict(self._overlays[section])
            self._fresh.add(section)
        return self._overlays[section]

    def _table(self, section: Section) -> Table:
        return Table(self._bases[section], DECODERS[section], self._overlays[section])
