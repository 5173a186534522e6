"""API keys: made, shown once, revoked. Only the digest is kept."""

from dataclasses import dataclass

from tollway.app.admin.checks import check_endpoints, check_ip_ranges, check_name, check_tags
from tollway.app.admin.commands.peppers import ensure_pepper
from tollway.app.admin.outcome import Ensured, Rejected
from tollway.app.ports import SecretBox
from tollway.app.ports_admin import Entropy, KeyFace, UnitOfWork
from tollway.domain.account import AccountRecord, ProjectRecord
from tollway.domain.brand import KEY_PREFIX
from tollway.domain.ids import KeyId
from tollway.domain.key import KEY_ENVS, KeyRecord, digest_key, make_key, split_key
from tollway.domain.result import Err, Ok, Result
from tollway.domain.tenant import TenantRecord

_KEY_ENTROPY_BYTES = 41


@dataclass(frozen=True, slots=True)
class KeySpec:
    """What a key shall be. Without an account it is a service key. Times are UTC seconds; None in a
    scope means all, an empty tuple none."""

    name: str
    env: str = "live"
    account: AccountRecord | None = None
    project: ProjectRecord | None = None
    models: tuple[str, ...] | None = None
    endpoints: tuple[str, ...] | None = None
    ip_allow: tuple[str, ...] | None = None
    tags: tuple[tuple[str, str], ...] = ()
    not_before_s: int | None = None
    expires_s: int | None = None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key and its full text, which exists nowhere else: None when the key was there before."""

    record: KeyRecord
    text: str | None


def create_key(
    uow: UnitOfWork, box: SecretBox, entropy: Entropy, *, tenant: TenantRecord, spec: KeySpec
) -> Result[IssuedKey, Rejected]:
    """A new key. Names need not be unique: rotation overlaps. Raises SecretError when the pepper
    does not open."""
    wrong = _check(uow, tenant, spec)
    if wrong is not None:
        return Err(wrong)
    version, pepper = ensure_pepper(uow, box, entropy)
    key_id, text = make_key(spec.env, entropy(_KEY_ENTROPY_BYTES))
    parts = split_key(text)
    assert parts is not None, "a key we made must parse"
    record = KeyRecord(
        id=key_id,
        tenant_id=tenant.id,
        digest=digest_key(pepper, tenant.id, key_id, parts[1]),
        pepper_version=version,
        name=spec.name,
        project_id=None if spec.project is None else spec.project.id,
        account_id=None if spec.account is None else spec.account.id,
        not_before_s=spec.not_before_s,
        expires_s=spec.expires_s,
        models=spec.models,
        endpoints=spec.endpoints,
        ip_allow=spec.ip_allow,
        tags=spec.tags,
    )
    prefix = f"{KEY_PREFIX}_{spec.env}_{key_id.removeprefix('key_')}"
    uow.add_key(record, KeyFace(spec.env, prefix, text[-4:]))
    return Ok(IssuedKey(record, text))


def ensure_key(
    uow: UnitOfWork, box: SecretBox, entropy: Entropy, *, tenant: TenantRecord, spec: KeySpec
) -> Result[Ensured[IssuedKey], Rejected]:
    """The tenant's newest key of this name that is not revoked (its text is not known any more), or
    a new one."""
    found = [key for key in uow.find_keys(tenant.id, spec.name) if key.revoked_s is None]
    if found:
        return Ok(Ensured(IssuedKey(found[0], None), created=False))
    made = create_key(uow, box, entropy, tenant=tenant, spec=spec)
    return made if isinstance(made, Err) else Ok(Ensured(made.value, created=True))


def revoke_key(uow: UnitOfWork, *, key_id: str) -> Result[None, Rejected]:
    """From the next snapshot on the key opens nothing."""
    if uow.revoke_key(KeyId(key_id)):
        return Ok(None)
    return Err(Rejected("key_id", f"There is no key {key_id!r} to revoke."))


def _check(uow: UnitOfWork, tenant: TenantRecord, spec: KeySpec) -> Rejected | None:
    if spec.env not in KEY_ENVS:
        return Rejected("env", f"env must be one of {', '.join(KEY_ENVS)}, not {spec.env!r}.")
    return (
        check_name(spec.name)
        or check_endpoints(spec.endpoints)
        or check_ip_ranges(spec.ip_allow)
        or check_tags(spec.tags)
        or _check_times(uow, spec)
        or _check_owners(uow, tenant, spec)
    )


def _check_times(uow: UnitOfWork, spec: KeySpec) -> Rejected | None:
    if spec.expires_s is None:
        return None
    if spec.expires_s <= uow.now_s:
        return Rejected("expires_at", "The key would have expired already.")
    if spec.not_before_s is not None and spec.expires_s <= spec.not_before_s:
        return Rejected("expires_at", "The key would expire before it begins.")
    return None


def _check_owners(uow: UnitOfWork, tenant: TenantRecord, spec: KeySpec) -> Rejected | None:
    if spec.project is not None and spec.project.tenant_id != tenant.id:
        return Rejected("project", f"Tenant {tenant.slug!r} has no such project.")
    if spec.account is not None and uow.find_role(tenant.id, spec.account.id) is None:
        return Rejected("account", f"{spec.account.email} is no member of tenant {tenant.slug!r}.")
    return None
