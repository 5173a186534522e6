"""The form of configuration as code: what a file for `apply` may say, and what `get` gives back.
Names instead of ids, secrets by reference only. A field that is left out has its default: the file
says all of an object. What it means is decided by the commands.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec

from tollway.domain.account import Role
from tollway.domain.model import Strategy
from tollway.domain.provider import ProviderKind, StreamUsage
from tollway.domain.quota import Metric, Mode, OnOutage, Precision, Scope
from tollway.domain.result import Err, Ok, Result
from tollway.domain.window import Period

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_AT = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`$")
_PLACE = re.compile(r"(?P<kind>[a-z]+)\[(?P<index>[0-9]+)\]")
_MAX_ENTRIES = 100_000


class Entry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """An unknown field is an error: a typo must not silently change what is created."""


class TenantEntry(Entry):
    """One tenant and its settings. `models`: `all` platform models, or only `listed` (granted)
    ones; `group`: whose grants it has too; `weight`: its share where a provider cannot take
    everybody; `allowed_residency`: of providers that may see its data; `default_model`: of
    requests that name none."""

    slug: str
    name: str | None = None
    active: bool = True
    models: str = "all"
    group: str | None = None
    timezone: str = "UTC"
    retention_days: int | None = None
    content_logging: bool = False
    cache: dict[str, Any] | None = None
    weight: float = 1.0
    allowed_residency: tuple[str, ...] | None = None
    default_model: str | None = None


class MemberEntry(Entry):
    """A role in a tenant; `models` narrows what the person's keys may call there."""

    tenant: str
    role: Role = Role.USER
    models: tuple[str, ...] | None = None


class AccountEntry(Entry):
    """One person."""

    email: str
    name: str | None = None
    active: bool = True
    platform_admin: bool = False
    members: tuple[MemberEntry, ...] = ()


class ProjectEntry(Entry):
    """One project of a tenant; `models` narrows what its keys may call."""

    tenant: str
    name: str
    models: tuple[str, ...] | None = None


class CredentialEntry(Entry):
    """A secret by reference: `env:NAME` or `file:/PATH`."""

    reference: str
    weight: int = 1


class ProviderEntry(Entry):
    """One provider; without a tenant it is the platform's. Timeouts in seconds. What each of its
    accounts takes is learned where it is left out."""

    name: str
    kind: ProviderKind
    base_url: str | None = None
    tenant: str | None = None
    enabled: bool = True
    residency: str | None = None
    credentials: tuple[CredentialEntry, ...] = ()
    stream_usage: StreamUsage = StreamUsage.FORCE
    connect_timeout_s: float | None = None
    headers_timeout_s: float | None = None
    first_token_timeout_s: float | None = None
    idle_timeout_s: float | None = None
    total_timeout_s: float | None = None
    requests_at_once: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    translate_responses: bool = False


class TargetEntry(Entry):
    """A provider's model, by the provider's name. A tenant's own provider is meant before the
    platform's of that name, unless `platform` says otherwise."""

    provider: str
    model: str
    weight: int = 1
    priority: int = 0
    platform: bool = False


class ModelEntry(Entry):
    """One model; without a tenant it is the platform's. `fallbacks` are names of models; with
    `cache_affinity` one conversation goes to one target."""

    name: str
    targets: tuple[TargetEntry, ...]
    tenant: str | None = None
    strategy: Strategy = Strategy.PRIORITY
    fallbacks: tuple[str, ...] = ()
    max_output_tokens: int | None = None
    cache_affinity: bool = False
    enabled: bool = True


class GrantEntry(Entry):
    """A platform model opened to one tenant or to one group."""

    model: str
    tenant: str | None = None
    group: str | None = None


class PriceEntry(Entry):
    """What an upstream model costs from a time on (left out: always). Rates are USD for a million
    tokens, in quotes."""

    model: str
    rates: dict[str, Any]
    tenant: str | None = None
    provider: str | None = None
    provider_kind: str | None = None
    effective_from: Moment | None = None


class QuotaEntry(Entry):
    """One limit: of a tenant, or of its project, account (address), key (name) or end user; without
    a tenant the platform's, or that of one of its providers or models. `model` narrows a tenant's
    to one model. Cost is USD in quotes."""

    metric: Metric
    limit: int | str
    period: Period = Period.NONE
    tenant: str | None = None
    project: str | None = None
    account: str | None = None
    key: str | None = None
    end_user: str | None = None
    provider: str | None = None
    model: str | None = None
    per: Scope | None = None
    mode: Mode = Mode.ENFORCE
    precision: Precision = Precision.BOUNDED
    on_outage: OnOutage = OnOutage.REFUSE
    raised_to: int | str | None = None
    raised_until: Moment | None = None
    alert_at: tuple[int, ...] = ()
    name: str = ""


class KeyEntry(Entry):
    """One key. Absent scopes allow everything."""

    name: str
    tenant: str
    project: str | None = None
    account: str | None = None
    env: str = "live"
    expires_at: Moment | None = None
    not_before: Moment | None = None
    models: tuple[str, ...] | None = None
    endpoints: tuple[str, ...] | None = None
    ip_allow: tuple[str, ...] | None = None
    tags: dict[str, str] = {}


class Manifest(Entry):
    """The whole file."""

    tenants: tuple[TenantEntry, ...] = ()
    accounts: tuple[AccountEntry, ...] = ()
    projects: tuple[ProjectEntry, ...] = ()
    providers: tuple[ProviderEntry, ...] = ()
    models: tuple[ModelEntry, ...] = ()
    grants: tuple[GrantEntry, ...] = ()
    prices: tuple[PriceEntry, ...] = ()
    keys: tuple[KeyEntry, ...] = ()
    quotas: tuple[QuotaEntry, ...] = ()


SECTIONS: tuple[str, ...] = Manifest.__struct_fields__


def read_manifest(content: object) -> Result[Manifest, str]:
    """A manifest from what YAML, TOML or JSON gave. `Err` names the entry at fault."""
    try:
        manifest = msgspec.convert({} if content is None else content, Manifest)
    except msgspec.ValidationError as error:
        return Err(_located(str(error), content))
    if sum(len(getattr(manifest, section)) for section in SECTIONS) > _MAX_ENTRIES:
        return Err(f"A file has at most {_MAX_ENTRIES} entries.")
    twice = next(_twice(manifest), None)
    return Ok(manifest) if twice is None else Err(twice)


def write_manifest(manifest: Manifest, sections: Sequence[str] = SECTIONS) -> dict[str, Any]:
    """The plain objects to write down; what has its default is left out."""
    shown: dict[str, Any] = msgspec.to_builtins(manifest)
    return {name: entries for name, entries in shown.items() if name in sections}


def manifest_schema() -> dict[str, Any]:
    """The form as one JSON schema, without references."""
    (root,), parts = msgspec.json.schema_components([Manifest], ref_template="{name}")
    resolved: dict[str, Any] = _resolved(root, parts)
    return resolved


def identity(section: str, entry: Any) -> str:
    """What an entry is known by, in words: `acme/chatbot`."""
    match section:
        case "tenants":
            return str(entry.slug)
        case "accounts":
            return str(entry.email).lower()
        case "grants":
            holder = f"group {entry.group}" if entry.group is not None else entry.tenant
            return f"{entry.model} to {holder}"
        case "prices":
            place = "/".join(
                part for part in (entry.tenant, entry.provider or entry.provider_kind) if part
            )
            begins = "" if entry.effective_from is None else f" from {entry.effective_from}"
            return f"{entry.model}{' at ' if place else ''}{place}{begins}"
        case "quotas":
            return _quota_identity(entry)
    return entry.name if entry.tenant is None else f"{entry.tenant}/{entry.name}"


def _quota_identity(entry: QuotaEntry) -> str:
    """What is counted for whom: `acme key backend: tokens per day`."""
    named = ("project", "account", "key", "end_user", "provider", "model")
    account = None if entry.account is None else entry.account.lower()
    entry = msgspec.structs.replace(entry, account=account)
    places = [f"{name} {getattr(entry, name)}" for name in named if getattr(entry, name)]
    whose = " ".join([entry.tenant or "platform", *places])
    each = "" if entry.per is None else f" for each {entry.per}"
    period = "" if entry.period is Period.NONE else f" per {entry.period}"
    return f"{whose}: {entry.metric}{period}{each}"


def _twice(manifest: Manifest) -> Iterator[str]:
    for section in SECTIONS:
        known: dict[str, int] = {}
        for index, entry in enumerate(getattr(manifest, section)):
            name = identity(section, entry)
            first = known.setdefault(name, index)
            if first != index:
                yield f"{section}[{index}] ({name}): it is there already, as {section}[{first}]."
    for index, account in enumerate(manifest.accounts):
        tenants = [member.tenant for member in account.members]
        if len(set(tenants)) < len(tenants):
            yield f"accounts[{index}] ({account.email}): members: a tenant is named twice."
    for index, provider in enumerate(manifest.providers):
        places = [credential.reference for credential in provider.credentials]
        if len(set(places)) < len(places):
            yield f"providers[{index}] ({provider.name}): credentials: one is named twice."


def _located(message: str, content: object) -> str:
    """The decoder's message with the entry's place in front, and the entry's name if it has one."""
    found = _AT.search(message)
    if found is None:
        return message
    words, path = message[: found.start()], found["path"]
    place = _PLACE.match(path)
    if place is None or not isinstance(content, dict):
        return f"{path}: {words}" if path else words
    named = ""
    entry = content[place["kind"]][int(place["index"])]
    if isinstance(entry, dict):
        called = next((entry[key] for key in ("slug", "email", "name") if key in entry), None)
        named = f" ({called})" if isinstance(called, str) else ""
    rest = path[place.end() :].lstrip(".")
    return f"{place[0]}{named}: {rest}{': ' if rest else ''}{words}"


def _resolved(schema: Any, parts: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_resolved(one, parts) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _resolved(parts[schema["$ref"]], parts)
    return {name: _resolved(value, parts) for name, value in schema.items()}
