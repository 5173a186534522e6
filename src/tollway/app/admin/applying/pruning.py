"""What a file once made and does not name any more. Only objects managed by a file are touched, and
nothing is lost that could be wanted back: tenants can be restored, keys stay on record.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

from tollway.app.admin.applying.entries import seconds
from tollway.app.admin.applying.limits import quota_entry
from tollway.app.admin.applying.run import Change, Run, Verb
from tollway.app.admin.commands import (
    accounts,
    grants,
    keys,
    members,
    models,
    prices,
    projects,
    providers,
    quotas,
    tenants,
)
from tollway.app.admin.manifest import Manifest, identity
from tollway.app.admin.outcome import Kind, Rejected
from tollway.app.ports_directory import Page
from tollway.app.views import BY_FILE, TenantView
from tollway.domain.ids import TenantId
from tollway.domain.result import Err, Result

_PAGE = 500
T = TypeVar("T")


class Pruning:
    """One walk over everything. What is in use stays, with the reason."""

    def __init__(self, run: Run, manifest: Manifest) -> None:
        self._run = run
        self._work, self._uow = run.work, run.uow
        self._tenants = {tenant.slug for tenant in manifest.tenants}
        self._accounts = {account.email.lower() for account in manifest.accounts}
        self._members = {
            (member.tenant, account.email.lower())
            for account in manifest.accounts
            for member in account.members
        }
        self._projects = {(entry.tenant, entry.name) for entry in manifest.projects}
        self._keys = {(entry.tenant, entry.name) for entry in manifest.keys}
        self._providers = {(entry.tenant, entry.name) for entry in manifest.providers}
        self._models = {(entry.tenant, entry.name) for entry in manifest.models}
        self._grants = {(entry.model, entry.tenant, entry.group) for entry in manifest.grants}
        self._prices = {
            (
                entry.model,
                entry.tenant,
                entry.provider or entry.provider_kind,
                seconds(entry.effective_from) or 0,
            )
            for entry in manifest.prices
        }
        self._quotas = {identity("quotas", entry) for entry in manifest.quotas}
        self._slugs: dict[TenantId | None, str | None] = {None: None}

    def walk(self) -> None:
        """Tenants first: what a deleted one has is gone with it, and can come back with it."""
        living = list(self._living())
        for tenant in living:
            self._prune_within(tenant)
        self._prune_quotas()
        self._prune_grants()
        self._prune_prices()
        self._prune_models()
        self._prune_providers()
        self._prune_accounts()

    def _living(self) -> Iterator[TenantView]:
        for tenant in pages(self._uow.tenants.page, lambda tenant: tenant.id):
            if tenant.managed_by == BY_FILE and tenant.slug not in self._tenants:
                self._take(
                    Verb.DELETE, "tenant", tenant.slug, tenants.delete_tenant(self._work, tenant.id)
                )
            else:
                self._slugs[tenant.id] = tenant.slug
                yield tenant

    def _prune_within(self, tenant: TenantView) -> None:
        work, slug = self._work, tenant.slug
        for key in pages(
            lambda at: self._uow.keys.page(tenant.id, at, live=True), lambda key: key.id
        ):
            over = key.expires_s is not None and key.expires_s <= self._uow.now_s
            if key.managed_by == BY_FILE and (slug, key.name) not in self._keys and not over:
                revoked = keys.revoke_key(work, tenant.id, key.id)
                self._take(Verb.REVOKE, "key", f"{slug}/{key.name}", revoked)
        for member in pages(
            lambda at: self._uow.members.page(tenant.id, at), lambda member: member.account_id
        ):
            if member.source == BY_FILE and (slug, member.email) not in self._members:
                removed = members.remove_member(work, tenant.id, member.account_id)
                self._take(Verb.REMOVE, "member", f"{member.email} in {slug}", removed)
        for project in pages(
            lambda at: self._uow.projects.page(tenant.id, at), lambda project: project.id
        ):
            if project.managed_by == BY_FILE and (slug, project.name) not in self._projects:
                deleted = projects.delete_project(work, tenant.id, project.id)
                self._take(Verb.DELETE, "project", f"{slug}/{project.name}", deleted)

    def _prune_quotas(self) -> None:
        for view in pages(self._uow.quotas.page, lambda view: view.id):
            name = identity("quotas", quota_entry(self._run, view))
            if view.managed_by == BY_FILE and name not in self._quotas:
                deleted = quotas.delete_quota(self._work, view.id)
                self._take(Verb.DELETE, "quota", name, deleted)

    def _prune_grants(self) -> None:
        for grant in pages(self._uow.grants.page, lambda grant: f"{grant.holder}|{grant.model_id}"):
            model = self._uow.models.get(grant.model_id)
            if model is None or model.managed_by != BY_FILE:
                continue
            slug = self._slugs.get(grant.tenant_id)
            if (model.name, slug, grant.group) not in self._grants:
                deleted = grants.delete_grant(self._work, grant.model_id, grant.holder)
                holder = f"group {grant.group}" if grant.group is not None else slug
                self._take(Verb.DELETE, "grant", f"{model.name} to {holder}", deleted)

    def _prune_prices(self) -> None:
        """Those that have not begun; one that is in force stays what was billed by."""
        for price in pages(self._uow.prices.page, lambda price: price.id):
            begun = price.effective_from_s <= self._uow.now_s
            if price.source != BY_FILE or begun:
                continue
            provider = price.provider_id and self._uow.providers.get(price.provider_id)
            place = provider.name if provider else price.provider_kind
            slug = self._slugs.get(price.tenant_id)
            if (price.model, slug, place, price.effective_from_s) not in self._prices:
                deleted = prices.delete_price(self._work, price.id)
                self._take(Verb.DELETE, "price", price.model, deleted)

    def _prune_models(self) -> None:
        for model in pages(self._uow.models.page, lambda model: model.id):
            named = (self._slugs.get(model.tenant_id), model.name)
            if model.managed_by == BY_FILE and named not in self._models:
                deleted = models.delete_model(self._work, model.id)
                self._take(Verb.DELETE, "model", _path(*named), deleted)

    def _prune_providers(self) -> None:
        for provider in pages(self._uow.providers.page, lambda provider: provider.id):
            named = (self._slugs.get(provider.tenant_id), provider.name)
            if provider.managed_by == BY_FILE and named not in self._providers:
                deleted = providers.delete_provider(self._work, provider.id)
                self._take(Verb.DELETE, "provider", _path(*named), deleted)

    def _prune_accounts(self) -> None:
        for account in pages(self._uow.accounts.page, lambda account: account.id):
            gone = account.managed_by == BY_FILE and account.email not in self._accounts
            if gone and account.active:
                disabled = accounts.disable_account(self._work, account.id)
                self._take(Verb.DISABLE, "account", account.email, disabled)

    def _take(self, verb: Verb, kind: str, name: str, result: Result[T, Rejected]) -> None:
        if isinstance(result, Err) and result.error.kind is Kind.CONFLICT:
            self._run.kept.append(f"{kind} {name}: {result.error.message}")
            return
        self._run.take(result)
        self._run.changes.append(Change(verb, kind, name))


def pages(page: Callable[[Page], list[T]], key: Callable[[T], str]) -> Iterator[T]:
    """Everything of a list, read part by part."""
    after: str | None = None
    while found := page(Page(_PAGE, after)):
        yield from found
        after = key(found[-1])


def _path(tenant: str | None, name: str) -> str:
    return name if tenant is None else f"{tenant}/{name}"
