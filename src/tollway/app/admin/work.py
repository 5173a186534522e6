"""What a command works with: one unit of work, on whose behalf, and the tools to make secrets. Asks
the policy and writes the audit, so that no command can forget how.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tollway.app.admin.outcome import Kind, Rejected
from tollway.app.ports import SecretBox
from tollway.app.ports_admin import Entropy, UnitOfWork
from tollway.app.ports_records import AuditFact
from tollway.domain.ids import AccountId, TenantId
from tollway.domain.policy import Action, Actor, Verdict, decide


@dataclass(frozen=True, slots=True)
class Request:
    """Where an act came from, for the audit; and the state its sender saw (`If-Match`)."""

    id: str | None = None
    address: str | None = None
    if_match: int | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """One act of one actor. The caller commits when the command said Ok."""

    uow: UnitOfWork
    actor: Actor
    entropy: Entropy
    box: SecretBox
    request: Request = Request()

    def denied(
        self,
        action: Action,
        *,
        kind: str,
        tenant_id: TenantId | None = None,
        owner: AccountId | None = None,
        writes: bool = True,
    ) -> Rejected | None:
        """None, or why the actor may not. `kind` names the thing: `tenant`, `key`, ..."""
        verdict = decide(self.actor, action, tenant_id=tenant_id, owner=owner)
        if verdict is Verdict.HIDDEN:
            return absent(kind)
        if verdict is Verdict.FORBIDDEN or (writes and self.actor.read_only):
            return Rejected("", f"You may not do this ({action}).", Kind.FORBIDDEN)
        return None

    def stale(self, version: int) -> Rejected | None:
        """None, or that the object is not any more what the sender saw."""
        expected = self.request.if_match
        if expected is None or expected == version:
            return None
        return Rejected("", "The object was changed meanwhile. Read it again.", Kind.PRECONDITION)

    def record(
        self,
        action: str,
        *,
        kind: str,
        object_id: str,
        tenant_id: TenantId | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        """One fact, in the past tense, into the audit: in this same transaction. No secrets."""
        self.uow.audit.append(
            AuditFact(
                action,
                kind,
                object_id,
                tenant_id,
                self.actor.id,
                self.actor.name,
                self.actor.via,
                changes or {},
                self.request.id,
                self.request.address,
            )
        )


def absent(kind: str) -> Rejected:
    """There is no such thing, or it is another tenant's: the two read the same."""
    return Rejected("", f"There is no such {kind}.", Kind.NOT_FOUND)


def changes_between(before: object, after: object, fields: tuple[str, ...]) -> dict[str, Any]:
    """`{field: [old, new]}` of those fields that differ, for the audit."""
    return {
        name: [getattr(before, name), getattr(after, name)]
        for name in fields
        if getattr(before, name) != getattr(after, name)
    }
