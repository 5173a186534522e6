"""Who used how much: checks what was asked and by whom, then reads the roll-ups."""

from collections.abc import Sequence
from dataclasses import dataclass

from tollway.app.admin.commands.tenants import living_tenant
from tollway.app.admin.outcome import Kind, Rejected
from tollway.app.admin.work import Work
from tollway.app.ports_admin import UsageQuery, UsageReader, UsageRow
from tollway.domain.ids import TenantId
from tollway.domain.policy import Action
from tollway.domain.result import Err, Ok, Result

GROUPS = (
    "tenant",
    "project",
    "account",
    "key",
    "model",
    "provider",
    "endpoint",
    "payer",
    "end_user",
    "day",
)


def usage_report(
    reader: UsageReader,
    *,
    since_s: int,
    until_s: int,
    group_by: Sequence[str] = ("tenant",),
    tenant_id: str | None = None,
    account_id: str | None = None,
) -> Result[list[UsageRow], Rejected]:
    """Usage of a time span, UTC seconds, `until_s` excluded. Bounds are widened to whole quarters
    of an hour; to whole UTC days when grouped by `end_user` or `day`.
    """
    unknown = [name for name in group_by if name not in GROUPS]
    if unknown:
        return Err(Rejected("group_by", f"{unknown[0]!r} is no group: {', '.join(GROUPS)}."))
    if len(set(group_by)) < len(group_by):
        return Err(Rejected("group_by", "A group is named twice."))
    if until_s <= since_s:
        return Err(Rejected("until", "The end of the time span must come after its beginning."))
    return Ok(reader.usage(UsageQuery(since_s, until_s, tuple(group_by), tenant_id, account_id)))


@dataclass(frozen=True, slots=True)
class Reach:
    """Whose usage an actor reads: all (None, None), a tenant's, or one account's in it."""

    tenant_id: TenantId | None
    account_id: str | None


def usage_reach(work: Work, tenant_id: TenantId | None) -> Result[Reach, Rejected]:
    """How far the actor sees. Without a tenant: the platform's administrators everything, others
    the one tenant they are in."""
    if tenant_id is None and not work.actor.platform_admin:
        if len(work.actor.roles) != 1:
            return Err(Rejected("tenant_id", "Say which tenant: tenant_id."))
        tenant_id = next(iter(work.actor.roles))
    if tenant_id is not None:
        tenant = living_tenant(work, tenant_id)
        if isinstance(tenant, Err):
            return tenant
    if not _denied(work, Action.USAGE_READ, tenant_id):
        return Ok(Reach(tenant_id, None))
    if not _denied(work, Action.USAGE_READ_OWN, tenant_id):
        return Ok(Reach(tenant_id, work.actor.account_id))
    return Err(Rejected("", "You may not read usage.", Kind.FORBIDDEN))


def _denied(work: Work, action: Action, tenant_id: TenantId | None) -> bool:
    return (
        work.denied(
            action,
            kind="tenant",
            tenant_id=tenant_id,
            owner=work.actor.account_id,
            writes=False,
        )
        is not None
    )
