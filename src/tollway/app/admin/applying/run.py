"""One run of `apply`: where it is in the file, what it changed, and how names lead to objects. The
plan is this record: a dry run does everything in a transaction that is not committed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from msgspec import to_builtins

from tollway.app.admin.manifest import Entry
from tollway.app.admin.outcome import Kind, Rejected
from tollway.app.admin.work import Work
from tollway.app.views import BY_FILE, ModelView, ProjectView, ProviderView, TenantView
from tollway.domain.ids import ProviderId, TenantId
from tollway.domain.result import Err, Result

T = TypeVar("T")


class Verb(StrEnum):
    """What is done to an object. `adopt`: it was not managed by a file; its fields become the
    file's too."""

    CREATE = "create"
    UPDATE = "update"
    ADOPT = "adopt"
    DELETE = "delete"
    REMOVE = "remove"
    DISABLE = "disable"
    REVOKE = "revoke"


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the plan. `fields`: name -> (old, new), plain objects."""

    verb: Verb
    kind: str
    name: str
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was made, and its text: it exists nowhere else."""

    tenant: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Applied:
    """What a run changed, how many objects it found as they should be, the texts of new keys, and
    what pruning had to leave, with the reason."""

    changes: tuple[Change, ...] = ()
    unchanged: int = 0
    keys: tuple[NewKey, ...] = ()
    kept: tuple[str, ...] = ()


class StoppedError(Exception):
    """Something cannot be; nothing of the run shall stay. Caught where the run began."""

    def __init__(self, rejected: Rejected) -> None:
        super().__init__(rejected.message)
        self.rejected = rejected


class Run:
    """The state of one run. `at` is the entry being looked at, for messages."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.uow = work.uow
        self.at = ""
        self.changes: list[Change] = []
        self.unchanged = 0
        self.keys: list[NewKey] = []
        self.kept: list[str] = []
        self._tenants: dict[str, TenantView] = {}

    def applied(self) -> Applied:
        """What came of it."""
        return Applied(tuple(self.changes), self.unchanged, tuple(self.keys), tuple(self.kept))

    def take(self, result: Result[T, Rejected]) -> T:
        """The value of a command; a refusal ends the run."""
        if isinstance(result, Err):
            rejected = result.error
            self.stop(rejected.message, field=rejected.field, kind=rejected.kind)
        return result.value

    def stop(self, message: str, *, field: str = "", kind: Kind = Kind.INVALID) -> NoReturn:
        """End the run; the message begins with the entry and field at fault."""
        place = ": ".join(part for part in (self.at, field) if part)
        raise StoppedError(Rejected(place, f"{place}: {message}" if place else message, kind))

    def created(self, kind: str, name: str) -> None:
        """An object was made."""
        self.changes.append(Change(Verb.CREATE, kind, name))

    def differs(
        self, kind: str, name: str, *, old: Entry, new: Entry, managed_by: str | None
    ) -> bool:
        """Whether an object that is there has to be written; notes what changes."""
        fields = differences(old, new)
        if not fields and managed_by == BY_FILE:
            self.unchanged += 1
            return False
        verb = Verb.UPDATE if managed_by == BY_FILE else Verb.ADOPT
        self.changes.append(Change(verb, kind, name, fields))
        return True

    # Names.

    def tenant(self, slug: str) -> TenantView:
        """A tenant the file names."""
        found = self._tenants.get(slug) or self.uow.tenants.find(slug)
        if found is None or found.deleted_s is not None:
            self.stop(f"there is no tenant '{slug}'.", field="tenant")
        self._tenants[slug] = found
        return found

    def owner(self, slug: str | None) -> TenantId | None:
        """Whose an object is; None is the platform."""
        return None if slug is None else self.tenant(slug).id

    def project(self, tenant_id: TenantId, name: str) -> ProjectView:
        """A project the file names."""
        found = self.uow.projects.find(tenant_id, name)
        if found is None:
            self.stop(f"there is no project '{name}'.", field="project")
        return found

    def provider(
        self, owner: TenantId | None, name: str, *, platform: bool = False
    ) -> ProviderView:
        """A provider the file names: the owner's own before the platform's."""
        own = None if platform else self.uow.providers.find(owner, name)
        found = own if own is not None else self.uow.providers.find(None, name)
        if found is None:
            self.stop(f"there is no provider '{name}'.", field="provider")
        return found

    def platform_model(self, name: str) -> ModelView:
        """A model of the platform the file names."""
        found = self.uow.models.find(None, name)
        if found is None:
            self.stop(f"the platform has no model '{name}'.", field="model")
        return found

    def provider_of(self, provider_id: ProviderId) -> ProviderView:
        """The provider a target or price leads to."""
        found = self.uow.providers.get(provider_id)
        assert found is not None, "what leads to a provider keeps it from being deleted"
        return found


def differences(old: Entry, new: Entry) -> dict[str, tuple[Any, Any]]:
    """`{field: (old, new)}` of those fields that differ, as plain objects."""
    return {
        name: (to_builtins(getattr(old, name)), to_builtins(getattr(new, name)))
        for name in new.__struct_fields__
        if getattr(old, name) != getattr(new, name)
    }
