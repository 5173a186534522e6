"""`get`: what is there, as a file would say it. Applied to an empty database it makes the same
again, but for what no file holds: the texts of keys, passwords, sealed secrets.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from tollway.app.admin.applying import entries
from tollway.app.admin.applying.estate import current_key, described_key
from tollway.app.admin.applying.limits import is_named, quota_entry
from tollway.app.admin.applying.pruning import pages
from tollway.app.admin.applying.run import Run
from tollway.app.admin.manifest import (
    AccountEntry,
    GrantEntry,
    KeyEntry,
    Manifest,
    MemberEntry,
    ModelEntry,
    PriceEntry,
    ProjectEntry,
    ProviderEntry,
    QuotaEntry,
    identity,
)
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.work import Work
from tollway.app.views import KeyView, MemberView, PriceView, TenantView
from tollway.domain.ids import AccountId, ModelId, TenantId
from tollway.domain.policy import Action
from tollway.domain.price_book import SEED
from tollway.domain.result import Err, Ok, Result

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Exported:
    """The manifest, and what it does not hold."""

    manifest: Manifest
    missing: tuple[str, ...] = ()


def export_manifest(work: Work) -> Result[Exported, Rejected]:
    """Everything that lives, by name. Reads all of the configuration."""
    wrong = work.denied(Action.SYSTEM_READ, kind="system", writes=False)
    return Err(wrong) if wrong is not None else Ok(_Export(work).run())


class _Export:
    def __init__(self, work: Work) -> None:
        self._run = Run(work)
        self._uow = work.uow
        self._tenants = list(pages(self._uow.tenants.page, lambda tenant: tenant.id))
        self._slugs: dict[TenantId | None, str | None] = {None: None}
        self._slugs.update((tenant.id, tenant.slug) for tenant in self._tenants)
        self._members: defaultdict[AccountId, list[MemberEntry]] = defaultdict(list)
        self._names: dict[ModelId, str] = {}
        self._missing: list[str] = []

    def run(self) -> Exported:
        for tenant in self._tenants:
            for member in self._members_of(tenant):
                self._members[member.account_id].append(entries.member_entry(member, tenant.slug))
        manifest = Manifest(
            tenants=_ordered("tenants", map(entries.tenant_entry, self._tenants)),
            accounts=_ordered("accounts", self._accounts()),
            projects=_ordered("projects", self._each_tenant(self._projects)),
            providers=_ordered("providers", self._providers()),
            models=_ordered("models", self._models()),
            grants=_ordered("grants", self._grants()),
            prices=_ordered("prices", self._prices()),
            keys=_ordered("keys", self._each_tenant(self._keys)),
            quotas=_ordered("quotas", self._quotas()),
        )
        return Exported(manifest, tuple(self._missing))

    def _each_tenant(self, find: Callable[[TenantView], Iterator[E]]) -> Iterator[E]:
        for tenant in self._tenants:
            yield from find(tenant)

    def _members_of(self, tenant: TenantView) -> Iterator[MemberView]:
        return pages(
            lambda at: self._uow.members.page(tenant.id, at), lambda member: member.account_id
        )

    def _accounts(self) -> Iterator[AccountEntry]:
        for account in pages(self._uow.accounts.page, lambda account: account.id):
            members = sorted(self._members[account.id], key=lambda member: member.tenant)
            yield entries.account_entry(account, members)

    def _projects(self, tenant: TenantView) -> Iterator[ProjectEntry]:
        for project in pages(
            lambda at: self._uow.projects.page(tenant.id, at), lambda project: project.id
        ):
            yield entries.project_entry(project, tenant.slug)

    def _providers(self) -> Iterator[ProviderEntry]:
        for provider in pages(self._uow.providers.page, lambda provider: provider.id):
            sealed = sum(credential.sealed for credential in provider.credentials)
            entry = entries.provider_entry(provider, self._slugs[provider.tenant_id])
            if sealed:
                name = identity("providers", entry)
                self._missing.append(f"provider {name}: {sealed} sealed credential(s)")
            yield entry

    def _models(self) -> Iterator[ModelEntry]:
        for model in pages(self._uow.models.page, lambda model: model.id):
            self._names[model.id] = model.name
            yield entries.model_entry(self._run, model, self._slugs[model.tenant_id])

    def _grants(self) -> Iterator[GrantEntry]:
        for grant in pages(self._uow.grants.page, lambda grant: f"{grant.holder}|{grant.model_id}"):
            yield GrantEntry(
                model=self._names[grant.model_id],
                tenant=self._slugs[grant.tenant_id],
                group=grant.group,
            )

    def _prices(self) -> Iterator[PriceEntry]:
        """Without the seeded ones: those come with the program. Of several for the same from the
        same time on, the one that holds."""
        latest: dict[tuple[object, ...], PriceView] = {}
        for price in pages(self._uow.prices.page, lambda price: price.id):
            place = (price.tenant_id, price.provider_kind, price.provider_id)
            what = (price.model, price.effective_from_s, *place)
            old = latest.get(what)
            if price.source != SEED and (
                old is None or (old.created_s, old.id) < (price.created_s, price.id)
            ):
                latest[what] = price
        for price in latest.values():
            yield entries.price_entry(self._run, price, self._slugs[price.tenant_id])

    def _quotas(self) -> Iterator[QuotaEntry]:
        for view in pages(self._uow.quotas.page, lambda view: view.id):
            entry = quota_entry(self._run, view)
            if is_named(self._run, view, entry):
                yield entry
            else:
                self._missing.append(f"quota {view.id}: on what has no name any more")

    def _keys(self, tenant: TenantView) -> Iterator[KeyEntry]:
        """Those that open something or will; of several with one name, the newest."""
        named: defaultdict[str, list[KeyView]] = defaultdict(list)
        for key in pages(
            lambda at: self._uow.keys.page(tenant.id, at, live=True), lambda key: key.id
        ):
            if key.expires_s is None or key.expires_s > self._uow.now_s:
                named[key.name].append(key)
        for name, keys in named.items():
            if len(keys) > 1:
                self._missing.append(f"key {tenant.slug}/{name}: the older of {len(keys)}")
            current = current_key(keys)
            if current is not None:
                yield described_key(self._run, current, tenant.slug)


def _ordered(section: str, found: Iterable[E]) -> tuple[E, ...]:
    return tuple(sorted(found, key=lambda entry: identity(section, entry)))
