"""Creates what a manifest describes, in one transaction: all of it or nothing. What exists already
is left as it is, so applying a file twice creates nothing the second time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from tollway.app.admin.commands.accounts import AccountSpec, ensure_account
from tollway.app.admin.commands.credentials import ensure_credential
from tollway.app.admin.commands.keys import KeySpec, ensure_key
from tollway.app.admin.commands.members import MemberSpec, ensure_member
from tollway.app.admin.commands.models import ModelSpec, ensure_model
from tollway.app.admin.commands.projects import ensure_project
from tollway.app.admin.commands.providers import ProviderSpec, ensure_provider
from tollway.app.admin.commands.tenants import TenantSpec, ensure_tenant
from tollway.app.admin.outcome import Ensured, Rejected
from tollway.app.admin.work import Work
from tollway.app.views import TenantSettings
from tollway.cli.manifest import (
    AccountEntry,
    KeyEntry,
    Manifest,
    ManifestError,
    ModelEntry,
    ProviderEntry,
)
from tollway.domain.ids import AccountId, ProjectId, TenantId
from tollway.domain.model import Target
from tollway.domain.result import Err, Result
from tollway.wiring.desk import Desk

T = TypeVar("T")


@dataclass(slots=True)
class Applied:
    """What happened: a line for each object, and the texts of new keys, shown once."""

    created: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    keys: list[tuple[str, str]] = field(default_factory=list)  # (tenant/name, text)


def apply_manifest(desk: Desk, manifest: Manifest) -> Applied:
    """Create what is missing. Raises `ManifestError`; then nothing was created."""
    with desk.configuration.begin() as uow:
        applied = _Application(desk.work(uow)).run(manifest)
        if applied.created:
            uow.commit()
    return applied


class _Application:
    def __init__(self, work: Work) -> None:
        self._work = work
        self._uow = work.uow
        self._applied = Applied()

    def run(self, manifest: Manifest) -> Applied:
        for tenant in manifest.tenants:
            spec = TenantSpec(tenant.slug, tenant.name, TenantSettings(models=tenant.models))
            self._take(f"tenant {tenant.slug}", ensure_tenant(self._work, spec))
        self._each(manifest.accounts, self._account)
        for project in manifest.projects:
            owner = self._tenant(project.tenant, f"project {project.name}")
            self._take(
                f"project {project.tenant}/{project.name}",
                ensure_project(self._work, owner, name=project.name),
            )
        self._each(manifest.providers, self._provider)
        self._each(manifest.models, self._model)
        self._each(manifest.keys, self._key)
        return self._applied

    def _each(self, entries: tuple[T, ...], make: Callable[[T], None]) -> None:
        for entry in entries:
            make(entry)

    def _account(self, entry: AccountEntry) -> None:
        label = f"account {entry.email}"
        self._take(label, ensure_account(self._work, AccountSpec(entry.email, entry.name)))
        for member in entry.members:
            tenant = self._tenant(member.tenant, label)
            self._take(
                f"{entry.email} as {member.role} of {member.tenant}",
                ensure_member(self._work, tenant, MemberSpec(entry.email, member.role)),
            )

    def _provider(self, entry: ProviderEntry) -> None:
        label = f"provider {_path(entry.tenant, entry.name)}"
        spec = ProviderSpec(
            name=entry.name,
            kind=entry.kind.value,
            base_url=entry.base_url,
            tenant_id=None if entry.tenant is None else self._tenant(entry.tenant, label),
            stream_usage=entry.stream_usage.value,
            connect_timeout_s=entry.connect_timeout_s,
            headers_timeout_s=entry.headers_timeout_s,
            first_token_timeout_s=entry.first_token_timeout_s,
            idle_timeout_s=entry.idle_timeout_s,
            total_timeout_s=entry.total_timeout_s,
        )
        provider = self._take(label, ensure_provider(self._work, spec))
        for credential in entry.credentials:
            self._take(
                f"{label} credential {credential.reference}",
                ensure_credential(
                    self._work,
                    provider.id,
                    reference=credential.reference,
                    weight=credential.weight,
                ),
            )

    def _model(self, entry: ModelEntry) -> None:
        label = f"model {_path(entry.tenant, entry.name)}"
        owner = None if entry.tenant is None else self._tenant(entry.tenant, label)
        targets = []
        for target in entry.targets:
            provider = None
            if owner is not None:  # a tenant's own provider shadows the platform's of that name
                provider = self._uow.providers.find(owner, target.provider)
            provider = provider or self._uow.providers.find(None, target.provider)
            if provider is None:
                raise ManifestError(f"{label}: there is no provider '{target.provider}'.")
            targets.append(Target(provider.id, target.model, target.weight, target.priority))
        spec = ModelSpec(
            name=entry.name,
            targets=tuple(targets),
            tenant_id=owner,
            strategy=entry.strategy.value,
            max_output_tokens=entry.max_output_tokens,
        )
        self._take(label, ensure_model(self._work, spec))

    def _key(self, entry: KeyEntry) -> None:
        label = f"key {entry.tenant}/{entry.name}"
        tenant = self._tenant(entry.tenant, label)
        account_id: AccountId | None = None
        project_id: ProjectId | None = None
        if entry.account is not None:
            account = self._uow.accounts.find(entry.account.lower())
            if account is None:
                raise ManifestError(f"{label}: there is no account '{entry.account}'.")
            account_id = account.id
        if entry.project is not None:
            project = self._uow.projects.find(tenant, entry.project)
            if project is None:
                raise ManifestError(f"{label}: there is no project '{entry.project}'.")
            project_id = project.id
        spec = KeySpec(
            name=entry.name,
            env=entry.env,
            account_id=account_id,
            project_id=project_id,
            models=entry.models,
            endpoints=entry.endpoints,
            ip_allow=entry.ip_allow,
            tags=tuple(entry.tags.items()),
            not_before_s=_seconds(entry.not_before, f"{label} not_before"),
            expires_s=_seconds(entry.expires_at, f"{label} expires_at"),
        )
        issued = self._take(label, ensure_key(self._work, tenant, spec))
        if issued.text is not None:
            self._applied.keys.append((f"{entry.tenant}/{entry.name}", issued.text))

    def _tenant(self, slug: str, label: str) -> TenantId:
        tenant = self._uow.tenants.find(slug)
        if tenant is None:
            raise ManifestError(f"{label}: there is no tenant '{slug}'.")
        return tenant.id

    def _take(self, label: str, result: Result[Ensured[T], Rejected]) -> T:
        if isinstance(result, Err):
            raise ManifestError(f"{label}: {result.error.field}: {result.error.message}")
        ensured = result.value
        (self._applied.created if ensured.created else self._applied.unchanged).append(label)
        return ensured.value


def _path(tenant: str | None, name: str) -> str:
    return name if tenant is None else f"{tenant}/{name}"


def _seconds(text: str | None, label: str) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ManifestError(f"{label}: write a time such as 2027-01-31T12:00:00Z.") from error
    if moment.tzinfo is None:
        raise ManifestError(f"{label}: give the time zone, such as 2027-01-31T12:00:00Z.")
    return int(moment.timestamp())
