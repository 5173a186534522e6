"""API keys: made, shown once, rotated, revoked. Only the digest is kept. A key never reaches
further than whoever makes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tollway.app.admin.checks import (
    check_endpoints,
    check_ip_ranges,
    check_model_names,
    check_name,
    check_tags,
)
from tollway.app.admin.commands.peppers import ensure_pepper
from tollway.app.admin.commands.quotas import carry_quotas, drop_quotas_on
from tollway.app.admin.commands.tenants import living_tenant
from tollway.app.admin.outcome import Ensured, Kind, Rejected
from tollway.app.admin.work import Work, absent, changes_between
from tollway.app.views import KeyView
from tollway.domain.account import Role
from tollway.domain.brand import KEY_PREFIX
from tollway.domain.ids import AccountId, KeyId, ProjectId, TenantId
from tollway.domain.key import KEY_ENVS, digest_key, make_key, split_key
from tollway.domain.policy import Action
from tollway.domain.quota import Scope
from tollway.domain.result import Err, Ok, Result

MAX_OVERLAP_S = 90 * 86_400
_KEY_ENTROPY_BYTES = 41
_SCOPE = ("models", "endpoints", "ip_allow", "tags", "not_before_s", "expires_s")


@dataclass(frozen=True, slots=True)
class KeySpec:
    """What a key shall be. Without an account it is a service key. Times are UTC seconds; None in a
    scope means all, an empty tuple none."""

    name: str
    env: str = "live"
    account_id: AccountId | None = None
    project_id: ProjectId | None = None
    models: tuple[str, ...] | None = None
    endpoints: tuple[str, ...] | None = None
    ip_allow: tuple[str, ...] | None = None
    tags: tuple[tuple[str, str], ...] = ()
    not_before_s: int | None = None
    expires_s: int | None = None
    managed_by: str | None = None


_WIDEST = KeySpec("")


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key and its full text, which exists nowhere else: None when it was shown before."""

    view: KeyView
    text: str | None


def create_key(work: Work, tenant_id: TenantId, spec: KeySpec) -> Result[IssuedKey, Rejected]:
    """A new key. Names need not be unique: rotation overlaps. Raises SecretError when the pepper
    does not open."""
    tenant = living_tenant(work, tenant_id)
    if isinstance(tenant, Err):
        return tenant
    wrong = (
        _create_denied(work, tenant_id, spec.account_id)
        or _check(spec, now_s=work.uow.now_s)
        or _check_owners(work, tenant_id, spec)
        or _wider_than_maker(work, tenant_id, spec.models)
    )
    if wrong is not None:
        return Err(wrong)
    return Ok(_issue(work, tenant_id, spec, None))


def ensure_key(
    work: Work, tenant_id: TenantId, spec: KeySpec
) -> Result[Ensured[IssuedKey], Rejected]:
    """The tenant's newest key of this name that is not revoked, made if there is none. The text is
    there only when it was made now."""
    tenant = living_tenant(work, tenant_id)
    if isinstance(tenant, Err):
        return tenant
    for found in work.uow.keys.find(tenant_id, spec.name):
        if found.revoked_s is None:
            wrong = _create_denied(work, tenant_id, found.account_id)
            return (
                Ok(Ensured(IssuedKey(found, None), created=False)) if wrong is None else Err(wrong)
            )
    made = create_key(work, tenant_id, spec)
    return made if isinstance(made, Err) else Ok(Ensured(made.value, created=True))


def update_key(work: Work, wanted: KeyView) -> Result[KeyView, Rejected]:
    """Another name or scope. What a user narrows they may not widen beyond their own reach."""
    found = _found(work, wanted.tenant_id, wanted.id)
    if isinstance(found, Err):
        return found
    before = found.value
    spec = KeySpec(
        wanted.name,
        before.env,
        before.account_id,
        wanted.project_id,
        wanted.models,
        wanted.endpoints,
        wanted.ip_allow,
        wanted.tags,
        wanted.not_before_s,
        wanted.expires_s,
    )
    wrong = (
        (None if before.revoked_s is None else _revoked())
        or _check(spec, now_s=work.uow.now_s if spec.expires_s != before.expires_s else 0)
        or _check_owners(work, wanted.tenant_id, spec)
        or _wider_than_maker(work, wanted.tenant_id, wanted.models)
    )
    if wrong is not None:
        return Err(wrong)
    after = replace(
        wanted,
        env=before.env,
        prefix=before.prefix,
        last4=before.last4,
        account_id=before.account_id,
        revoked_s=None,
    )
    if after != before:
        work.uow.keys.save(after)
        changes = changes_between(before, after, ("name", "project_id", *_SCOPE))
        _record(work, "key.updated", after, changes)
    return Ok(_stored(work, after))


def rotate_key(
    work: Work, tenant_id: TenantId, key_id: KeyId, *, overlap_s: int = 0
) -> Result[IssuedKey, Rejected]:
    """A new key with the same scope and limits; the old one opens for `overlap_s` longer, at
    most."""
    found = _found(work, tenant_id, key_id)
    if isinstance(found, Err):
        return found
    old, now_s = found.value, work.uow.now_s
    wrong = None if old.revoked_s is None else _revoked()
    if wrong is None and not 0 <= overlap_s <= MAX_OVERLAP_S:
        wrong = Rejected("overlap_s", f"overlap_s is 0 to {MAX_OVERLAP_S} seconds (90 days).")
    if wrong is None and old.expires_s is not None and old.expires_s <= now_s:
        wrong = Rejected("", "The key has expired. Make a new one.", Kind.CONFLICT)
    if wrong is not None:
        return Err(wrong)
    if overlap_s:
        ends = min(old.expires_s or now_s + overlap_s, now_s + overlap_s)
        work.uow.keys.save(replace(old, expires_s=ends))
    else:
        work.uow.keys.save(replace(old, revoked_s=now_s))
    spec = KeySpec(
        old.name,
        old.env,
        old.account_id,
        old.project_id,
        old.models,
        old.endpoints,
        old.ip_allow,
        old.tags,
        # One that has passed says nothing more; one to come holds for the new key as well.
        old.not_before_s if (old.not_before_s or 0) > now_s else None,
        old.expires_s,
        old.managed_by,
    )
    issued = _issue(work, tenant_id, spec, old.id)
    carry_quotas(work, old.id, issued.view.id)
    if not overlap_s:
        drop_quotas_on(work, Scope.KEY, old.id)
    _record(work, "key.rotated", old, {"replaced_by": issued.view.id, "overlap_s": overlap_s})
    return Ok(issued)


def revoke_key(work: Work, tenant_id: TenantId, key_id: KeyId) -> Result[KeyView, Rejected]:
    """From now on the key opens nothing. Revoking again changes nothing."""
    found = _found(work, tenant_id, key_id)
    if isinstance(found, Err):
        return found
    key = found.value
    if key.revoked_s is None:
        work.uow.keys.save(replace(key, revoked_s=work.uow.now_s))
        _record(work, "key.revoked", key, {})
    return Ok(_stored(work, key))


def _issue(work: Work, tenant_id: TenantId, spec: KeySpec, replaces: KeyId | None) -> IssuedKey:
    version, pepper = ensure_pepper(work.uow, work.box, work.entropy)
    key_id, text = make_key(spec.env, work.entropy(_KEY_ENTROPY_BYTES))
    parts = split_key(text)
    assert parts is not None, "a key we made must parse"
    key = KeyView(
        id=key_id,
        tenant_id=tenant_id,
        name=spec.name,
        env=spec.env,
        prefix=f"{KEY_PREFIX}_{spec.env}_{key_id.removeprefix('key_')}",
        last4=text[-4:],
        project_id=spec.project_id,
        account_id=spec.account_id,
        models=spec.models,
        endpoints=spec.endpoints,
        ip_allow=spec.ip_allow,
        tags=spec.tags,
        not_before_s=spec.not_before_s,
        expires_s=spec.expires_s,
        created_by=work.actor.account_id,
        replaces=replaces,
        managed_by=spec.managed_by,
    )
    work.uow.keys.add(key, digest_key(pepper, tenant_id, key_id, parts[1]), version)
    shown = {name: getattr(key, name) for name in ("name", "env", "project_id", "account_id")}
    scope = {name: getattr(key, name) for name in _SCOPE}
    # Compared, not asked whether it is empty: an empty list is the narrowest scope of all.
    told = {name: value for name, value in scope.items() if value != getattr(_WIDEST, name)}
    _record(work, "key.created", key, {**shown, **told})
    return IssuedKey(_stored(work, key), text)


def _found(work: Work, tenant_id: TenantId, key_id: KeyId) -> Result[KeyView, Rejected]:
    tenant = living_tenant(work, tenant_id)
    if isinstance(tenant, Err):
        return tenant
    key = work.uow.keys.get(tenant_id, key_id)
    if key is None:
        return Err(absent("key"))
    # Who sees every key is told that it is not theirs to change; a user's world holds their own
    # keys alone.
    sees_all = _reads_all(work, tenant_id)
    owner = None if sees_all else key.account_id
    wrong = work.denied(Action.KEY_UPDATE, kind="key", tenant_id=tenant_id, owner=owner)
    if wrong is not None and key.account_id is None and not sees_all:
        wrong = absent("key")
    wrong = wrong or work.stale(key.version)
    return Ok(key) if wrong is None else Err(wrong)


def _reads_all(work: Work, tenant_id: TenantId) -> bool:
    return work.denied(Action.KEY_READ, kind="key", tenant_id=tenant_id, writes=False) is None


def _create_denied(
    work: Work, tenant_id: TenantId, account_id: AccountId | None
) -> Rejected | None:
    """A user makes keys for themselves alone; for whom else is no secret, so it is said."""
    wrong = work.denied(Action.KEY_CREATE, kind="key", tenant_id=tenant_id, owner=account_id)
    if wrong is not None and wrong.kind is Kind.NOT_FOUND:
        return Rejected("account_id", "You may make keys for yourself only.", Kind.FORBIDDEN)
    return wrong


def _wider_than_maker(
    work: Work, tenant_id: TenantId, models: tuple[str, ...] | None
) -> Rejected | None:
    """A key without a list of models is held to its account's list at each request."""
    if models is None or work.actor.account_id is None or work.actor.platform_admin:
        return None
    if work.actor.role_in(tenant_id) is Role.TENANT_ADMIN:
        return None
    member = work.uow.members.get(tenant_id, work.actor.account_id)
    if member is None or member.models is None or set(models) <= set(member.models):
        return None
    wider = ", ".join(sorted(set(models) - set(member.models)))
    return Rejected("models", f"You may not use these models yourself: {wider}.", Kind.FORBIDDEN)


def _check(spec: KeySpec, *, now_s: int) -> Rejected | None:
    if spec.env not in KEY_ENVS:
        return Rejected("env", f"env must be one of {', '.join(KEY_ENVS)}, not {spec.env!r}.")
    return (
        check_name(spec.name)
        or check_model_names(spec.models)
        or check_endpoints(spec.endpoints)
        or check_ip_ranges(spec.ip_allow)
        or check_tags(spec.tags)
        or _check_times(now_s, spec)
    )


def _check_times(now_s: int, spec: KeySpec) -> Rejected | None:
    if spec.expires_s is None:
        return None
    if spec.expires_s <= now_s:
        return Rejected("expires_at", "The key would have expired already.")
    if spec.not_before_s is not None and spec.expires_s <= spec.not_before_s:
        return Rejected("expires_at", "The key would expire before it begins.")
    return None


def _check_owners(work: Work, tenant_id: TenantId, spec: KeySpec) -> Rejected | None:
    if spec.project_id is not None and (work.uow.projects.get(tenant_id, spec.project_id) is None):
        return Rejected("project_id", "The tenant has no such project.")
    if spec.account_id is not None:
        member = work.uow.members.get(tenant_id, spec.account_id)
        if member is None or not member.active:
            return Rejected("account_id", "The account is no active member of the tenant.")
    return None


def _revoked() -> Rejected:
    return Rejected("", "The key is revoked. Make a new one.", Kind.CONFLICT)


def _record(work: Work, fact: str, key: KeyView, changes: Mapping[str, Any]) -> None:
    work.record(fact, kind="key", object_id=key.id, tenant_id=key.tenant_id, changes=changes)


def _stored(work: Work, key: KeyView) -> KeyView:
    stored = work.uow.keys.get(key.tenant_id, key.id)
    assert stored is not None, "what was just written is there"
    return stored
