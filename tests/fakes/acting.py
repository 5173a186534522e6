"""Who acts in tests of commands and queries, and the work they do: one unit, one actor."""

from dataclasses import replace

from tollway.adapters.system.entropy import system_entropy
from tollway.adapters.system.secrets import AesGcmBox
from tollway.app.admin.work import Request, Work
from tollway.app.ports_records import AuditFilter
from tollway.app.views import ModelView, ProviderView, TenantSettings, TenantView
from tollway.domain.account import Role
from tollway.domain.model import Target
from tollway.domain.policy import Actor
from tollway.domain.provider import ProviderKind
from tollway.domain.result import Err, Ok

BOX = AesGcmBox(bytes(range(32)))
PLATFORM_ADMIN = Actor("acc_root", "Root", "session", "acc_root", platform_admin=True)


def actor(name="ann", *, read_only=False, **roles):
    """A person with these roles: `actor(ten_1="viewer")`."""
    given = {tenant_id: Role(role) for tenant_id, role in roles.items()}
    return Actor(f"acc_{name}", name, "session", f"acc_{name}", roles=given, read_only=read_only)


def work_of(uow, who, *, if_match=None):
    """The actor's work in this unit."""
    return Work(uow, who, system_entropy, BOX, Request("req_test", "127.0.0.1", if_match))


def acting(work, who, **changes):
    """The same unit in another's hands."""
    return replace(work, actor=who, **changes)


def done(result):
    """The value of what went well."""
    assert isinstance(result, Ok), result
    return result.value


def refused(result):
    """(kind, field) of what was refused."""
    assert isinstance(result, Err), result
    return result.error.kind.value, result.error.field


def said(result):
    """The words of what was refused."""
    assert isinstance(result, Err), result
    return result.error.message


def facts(uow):
    """What stands in the audit, oldest first: (action, object, changes)."""
    rows = uow.audit.page(AuditFilter(), limit=1000, before=None)
    return [(row.action, row.object_id, dict(row.changes)) for row in reversed(rows)]


def furnish(uow):
    """Tenants `ten_open` (sees all platform models) and `ten_listed` (in the group gold; sees what
    it was granted), a provider and a model of each and of the platform."""
    listed = TenantSettings(models="listed", group="gold")
    uow.tenants.add(TenantView("ten_open", "open", "Open"), b"salt")
    uow.tenants.add(TenantView("ten_listed", "listed", "Listed", listed), b"salt")
    for name, owner in (("platform", None), ("open", "ten_open"), ("listed", "ten_listed")):
        uow.providers.add(
            ProviderView(
                f"prv_{name}",
                f"{name}-provider",
                ProviderKind.OPENAI_COMPATIBLE,
                f"https://{name}.example/v1",
                owner,
            )
        )
        target = Target(f"prv_{name}", "upstream")
        uow.models.add(ModelView(f"mdl_{name}", f"{name}-model", (target,), owner))
