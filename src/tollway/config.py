"""Settings: defaults, then `tollway.toml`, then the environment (`TOLLWAY_*`); secrets also from
files (`..._FILE`). A name or value that cannot be right is an error that says what to write.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from tollway.domain.brand import CONFIG_FILE, DATA_DIR, ENV_PREFIX

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Bytes = Annotated[int, msgspec.Meta(ge=1024, le=1 << 32)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]

SECRETS = ("master_key", "admin_token")


class SettingsError(Exception):
    """A setting is wrong; the message names it and says what to write."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every setting, with its default. The name in the environment is `TOLLWAY_` and the name in
    capitals; in `tollway.toml` it is the name itself."""

    # Where things live.
    data_dir: str = f"./{DATA_DIR}"
    database_url: str | None = None  # absent: SQLite in the data directory
    redis_url: str | None = None
    master_key: str | None = None  # absent: made in the data directory
    admin_token: str | None = None

    # What runs here, and what listens where. Port 0 takes a free one.
    role: Literal["all", "gateway", "admin"] = "all"
    host: str = "127.0.0.1"
    gateway_port: Port = 5001
    admin_port: Port = 5000
    ops_port: Port = 5002
    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    trusted_proxies: tuple[str, ...] = ()
    tls_cert_file: str | None = None
    tls_key_file: str | None = None

    # Clients.
    header_timeout_s: Seconds = 10.0
    body_timeout_s: Seconds = 30.0
    keepalive_timeout_s: Seconds = 75.0
    write_stall_timeout_s: Seconds = 30.0
    body_bytes: Bytes = 10 * 1024 * 1024
    connections: Count = 20_000
    connections_per_ip: Count = 10_000
    drain_timeout_s: Seconds = 600.0
    drain_delay_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.5

    # Providers. Each may be overridden per provider where it says so in the docs.
    upstream_dns_timeout_s: Seconds = 2.0
    upstream_connect_timeout_s: Seconds = 2.0
    upstream_tls_timeout_s: Seconds = 3.0
    upstream_headers_timeout_s: Seconds = 30.0
    upstream_first_token_timeout_s: Seconds = 60.0
    upstream_idle_timeout_s: Seconds = 60.0
    upstream_total_timeout_s: Seconds = 1800.0
    upstream_pool_timeout_s: Seconds = 5.0
    upstream_keepalive_s: Seconds = 30.0
    upstream_connections: Count = 10_000
    upstream_ca_file: str | None = None
    upstream_proxy_url: str | None = None

    # The ledger.
    journal_fsync: Literal["off", "interval", "always"] = "interval"
    journal_fsync_interval_s: Seconds = 1.0
    journal_segment_bytes: Bytes = 16 * 1024 * 1024
    ship_interval_s: Seconds = 1.0

    # The process.
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def run_dir(self) -> str:
        """Sockets, locks, the snapshot and `state.json` of running processes."""
        return os.path.join(self.data_dir, "run")

    @property
    def journal_dir(self) -> str:
        """One folder per journal slot."""
        return os.path.join(self.data_dir, "journal")

    @property
    def sqlite_path(self) -> str:
        """The embedded database."""
        return os.path.join(self.data_dir, "tollway.db")


_FIELDS = {field.name: field for field in msgspec.structs.fields(Settings)}


def load_settings(
    environ: Mapping[str, str], *, folder: str = ".", overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Settings from a folder's `tollway.toml`, the environment and given overrides, in this order
    of rank. Raises `SettingsError`."""
    values: dict[str, Any] = {}
    values.update(_from_file(Path(folder) / CONFIG_FILE))
    values.update(_from_environment(environ))
    values.update({name: value for name, value in (overrides or {}).items() if value is not None})
    return from_values(values)


def from_values(values: Mapping[str, Any]) -> Settings:
    """Check and convert. Text is read as the type a setting has (`"5001"` is a port)."""
    for name in values:
        if name not in _FIELDS:
            raise SettingsError(f"There is no setting '{name}'. See docs/configuration.md.")
    try:
        return msgspec.convert(dict(values), Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"A setting is wrong: {_named(str(error))}") from error


def as_values(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, for a child process."""
    return {name: getattr(settings, name) for name in _FIELDS}


def _from_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, OSError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in _FIELDS:
        text = environ.get(ENV_PREFIX + name.upper())
        if name in SECRETS:
            text = text or _from_secret_file(environ, name)
        if text is None or text == "":
            continue
        if name == "trusted_proxies":
            values[name] = tuple(part.strip() for part in text.split(",") if part.strip())
        else:
            values[name] = text
    return values


def _from_secret_file(environ: Mapping[str, str], name: str) -> str | None:
    variable = f"{ENV_PREFIX}{name.upper()}_FILE"
    path = environ.get(variable)
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{variable}: {path} cannot be read: {error.strerror}") from error


def _named(message: str) -> str:
    """msgspec says `... - at `$.gateway_port``; a reader wants the variable."""
    text, _, where = message.rpartition(" - at ")
    name = where.strip("`$.").partition("[")[0]
    return f"{ENV_PREFIX}{name.upper()}: {text}" if name in _FIELDS else message
