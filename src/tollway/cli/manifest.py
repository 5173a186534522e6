"""The file `tollway apply` reads: YAML or TOML, names instead of ids, secrets by reference only.
This module knows its form; what it means is decided by the commands.
"""

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import yaml

from tollway.domain.account import Role
from tollway.domain.model import Strategy
from tollway.domain.provider import ProviderKind, StreamUsage


class ManifestError(Exception):
    """The file cannot be read or does not have the form; the message says where."""


class _Entry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An unknown field is an error: a typo must not silently change what is created."""


class TenantEntry(_Entry):
    """One tenant. `models`: `all` platform models, or only `listed` (granted) ones."""

    slug: str
    name: str | None = None
    models: str = "all"


class MemberEntry(_Entry):
    """A role in a tenant."""

    tenant: str
    role: Role = Role.USER


class AccountEntry(_Entry):
    """One person."""

    email: str
    name: str | None = None
    members: tuple[MemberEntry, ...] = ()


class ProjectEntry(_Entry):
    """One project of a tenant."""

    tenant: str
    name: str


class CredentialEntry(_Entry):
    """A secret by reference: `env:NAME` or `file:PATH`."""

    reference: str
    weight: int = 1


class ProviderEntry(_Entry):
    """One provider; without a tenant it is the platform's."""

    name: str
    kind: ProviderKind
    base_url: str | None = None
    tenant: str | None = None
    credentials: tuple[CredentialEntry, ...] = ()
    stream_usage: StreamUsage = StreamUsage.FORCE
    connect_timeout_s: float | None = None
    headers_timeout_s: float | None = None
    first_token_timeout_s: float | None = None
    idle_timeout_s: float | None = None
    total_timeout_s: float | None = None


class TargetEntry(_Entry):
    """A provider's model, by the provider's name."""

    provider: str
    model: str
    weight: int = 1
    priority: int = 0


class ModelEntry(_Entry):
    """One model; without a tenant it is the platform's."""

    name: str
    targets: tuple[TargetEntry, ...]
    tenant: str | None = None
    strategy: Strategy = Strategy.PRIORITY
    max_output_tokens: int | None = None


class KeyEntry(_Entry):
    """One key. Times are ISO 8601 with a zone. Absent scopes allow everything."""

    name: str
    tenant: str
    project: str | None = None
    account: str | None = None
    env: str = "live"
    expires_at: str | None = None
    not_before: str | None = None
    models: tuple[str, ...] | None = None
    endpoints: tuple[str, ...] | None = None
    ip_allow: tuple[str, ...] | None = None
    tags: dict[str, str] = {}


class Manifest(_Entry):
    """The whole file. Created in this order."""

    tenants: tuple[TenantEntry, ...] = ()
    accounts: tuple[AccountEntry, ...] = ()
    projects: tuple[ProjectEntry, ...] = ()
    providers: tuple[ProviderEntry, ...] = ()
    models: tuple[ModelEntry, ...] = ()
    keys: tuple[KeyEntry, ...] = ()


def read_manifest(path: str) -> Manifest:
    """The file's content; TOML by its ending, YAML otherwise. Raises `ManifestError`."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read: {error}") from error
    return parse_manifest(text, name=path)


def parse_manifest(text: str, *, name: str) -> Manifest:
    """A manifest from text; `name` tells the format by its ending and stands in messages."""
    try:
        content: Any = tomllib.loads(text) if name.endswith(".toml") else yaml.safe_load(text)
    except (tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        raise ManifestError(f"{name} cannot be understood: {error}") from error
    try:
        return msgspec.convert({} if content is None else content, Manifest)
    except msgspec.ValidationError as error:
        raise ManifestError(f"{name}: {error}") from error
