"""Tenants, people, projects and keys of a file, each compared with what is there."""

from collections.abc import Iterable
from dataclasses import replace

from tollway.app.admin.applying import entries
from tollway.app.admin.applying.run import NewKey, Run
from tollway.app.admin.commands import accounts, keys, members, projects, tenants
from tollway.app.admin.manifest import (
    AccountEntry,
    KeyEntry,
    MemberEntry,
    ProjectEntry,
    TenantEntry,
    identity,
)
from tollway.app.admin.outcome import Kind
from tollway.app.views import BY_FILE, AccountView, KeyView
from tollway.domain.ids import AccountId, ProjectId, TenantId


def apply_tenant(run: Run, entry: TenantEntry) -> None:
    """One tenant with its settings."""
    wanted = entries.full_tenant(entry)
    settings = entries.settings_of(wanted)
    found = run.uow.tenants.find(wanted.slug)
    if found is None:
        spec = tenants.TenantSpec(wanted.slug, wanted.name, settings, BY_FILE)
        found = run.take(tenants.create_tenant(run.work, spec))
        run.created("tenant", wanted.slug)
    elif found.deleted_s is not None:
        run.stop(
            "the tenant was deleted. Restore it first, or take another slug.",
            field="slug",
            kind=Kind.CONFLICT,
        )
    elif run.differs(
        "tenant",
        found.slug,
        old=entries.tenant_entry(found),
        new=wanted,
        managed_by=found.managed_by,
    ):
        after = replace(
            found, name=wanted.name or found.name, settings=settings, managed_by=BY_FILE
        )
        found = run.take(tenants.update_tenant(run.work, after))
    if found.active != wanted.active:
        run.take(tenants.set_active(run.work, found.id, active=wanted.active))


def apply_account(run: Run, entry: AccountEntry) -> None:
    """One person, and what they are in which tenants."""
    wanted = entries.full_account(entry)
    found = run.uow.accounts.find(wanted.email)
    if found is None:
        spec = accounts.AccountSpec(wanted.email, wanted.name, wanted.platform_admin, BY_FILE)
        found = run.take(accounts.create_account(run.work, spec))
        run.created("account", wanted.email)
    elif run.differs(
        "account",
        found.email,
        old=entries.account_entry(found),
        new=wanted,
        managed_by=found.managed_by,
    ):
        after = replace(
            found,
            name=wanted.name or found.name,
            platform_admin=wanted.platform_admin,
            managed_by=BY_FILE,
        )
        found = run.take(accounts.update_account(run.work, after))
    if found.active != wanted.active:
        act = accounts.enable_account if wanted.active else accounts.disable_account
        found = run.take(act(run.work, found.id))
    for member in entry.members:
        _apply_member(run, found, member)


def _apply_member(run: Run, account: AccountView, wanted: MemberEntry) -> None:
    tenant = run.tenant(wanted.tenant)
    name = f"{account.email} in {tenant.slug}"
    found = run.uow.members.get(tenant.id, account.id)
    if found is None:
        spec = members.MemberSpec(account.email, wanted.role, models=wanted.models, source=BY_FILE)
        run.take(members.add_member(run.work, tenant.id, spec))
        run.created("member", name)
    elif run.differs(
        "member",
        name,
        old=entries.member_entry(found, tenant.slug),
        new=wanted,
        managed_by=found.source,
    ):
        after = replace(found, role=wanted.role, models=wanted.models, source=BY_FILE)
        run.take(members.update_member(run.work, after))


def apply_project(run: Run, wanted: ProjectEntry) -> None:
    """One project."""
    tenant_id = run.tenant(wanted.tenant).id
    name = identity("projects", wanted)
    found = run.uow.projects.find(tenant_id, wanted.name)
    if found is None:
        run.take(
            projects.create_project(
                run.work, tenant_id, name=wanted.name, models=wanted.models, managed_by=BY_FILE
            )
        )
        run.created("project", name)
    elif run.differs(
        "project",
        name,
        old=entries.project_entry(found, wanted.tenant),
        new=wanted,
        managed_by=found.managed_by,
    ):
        after = replace(found, models=wanted.models, managed_by=BY_FILE)
        run.take(projects.update_project(run.work, after))


def apply_key(run: Run, entry: KeyEntry) -> None:
    """One key: of several with the name, the newest that is not revoked is meant."""
    wanted = entries.full_key(entry)
    tenant = run.tenant(wanted.tenant)
    name = identity("keys", wanted)
    found = current_key(run.uow.keys.find(tenant.id, wanted.name))
    if found is None:
        issued = run.take(keys.create_key(run.work, tenant.id, _key_spec(run, tenant.id, wanted)))
        run.created("key", name)
        run.keys.append(NewKey(tenant.slug, wanted.name, issued.text or ""))
        return
    old = described_key(run, found, tenant.slug)
    for field in ("env", "account"):
        if getattr(old, field) != getattr(wanted, field):
            run.stop(
                "a key's never changes. Take another name, or revoke the key first.", field=field
            )
    if run.differs("key", name, old=old, new=wanted, managed_by=found.managed_by):
        spec = _key_spec(run, tenant.id, wanted)
        after = replace(
            found,
            project_id=spec.project_id,
            models=spec.models,
            endpoints=spec.endpoints,
            ip_allow=spec.ip_allow,
            tags=spec.tags,
            not_before_s=spec.not_before_s,
            expires_s=spec.expires_s,
            managed_by=BY_FILE,
        )
        run.take(keys.update_key(run.work, after))


def current_key(named: Iterable[KeyView]) -> KeyView | None:
    """Of all keys with one name, the newest that is not revoked nor was rotated."""
    live = [key for key in named if key.revoked_s is None]
    rotated = {key.replaces for key in live}
    left = [key for key in live if key.id not in rotated]
    return max(left, key=lambda key: (key.created_s, key.version), default=None)


def described_key(run: Run, view: KeyView, tenant: str) -> KeyEntry:
    """A key as it is, with the names of its project and account."""
    project = view.project_id and run.uow.projects.get(view.tenant_id, view.project_id)
    account = view.account_id and run.uow.accounts.get(view.account_id)
    return entries.key_entry(
        view,
        tenant,
        project=project.name if project else None,
        account=account.email if account else None,
    )


def _key_spec(run: Run, tenant_id: TenantId, wanted: KeyEntry) -> keys.KeySpec:
    project_id: ProjectId | None = None
    account_id: AccountId | None = None
    if wanted.project is not None:
        project_id = run.project(tenant_id, wanted.project).id
    if wanted.account is not None:
        account = run.uow.accounts.find(wanted.account)
        if account is None:
            run.stop(f"there is no account '{wanted.account}'.", field="account")
        account_id = account.id
    return keys.KeySpec(
        name=wanted.name,
        env=wanted.env,
        account_id=account_id,
        project_id=project_id,
        models=wanted.models,
        endpoints=wanted.endpoints,
        ip_allow=wanted.ip_allow,
        tags=tuple(wanted.tags.items()),
        not_before_s=entries.seconds(wanted.not_before),
        expires_s=entries.seconds(wanted.expires_at),
        managed_by=BY_FILE,
    )
