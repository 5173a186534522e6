"""Settings: defaults, then `tollway.toml`, then the environment (`TOLLWAY_*`); secrets also from
files (`..._FILE`). A name or value that cannot be right is an error that says what to write.
"""

import dataclasses
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from tollway.domain.brand import CONFIG_FILE, DATA_DIR, ENV_PREFIX
from tollway.domain.gateway_jwt import JwtIssuer, jwt_issuer_problems
from tollway.domain.notice_mail import address_problem
from tollway.domain.oidc import OidcIssuer, issuer_problems
from tollway.domain.result import Err
from tollway.domain.smtp_url import parse_smtp_url

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Bytes = Annotated[int, msgspec.Meta(ge=1024, le=1 << 32)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]

SECRETS = ("master_key", "master_key_previous", "admin_token", "smtp_url")


class SettingsError(Exception):
    """A setting is wrong; the message names it and says what to write."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every setting, with its default. The name in the environment is `TOLLWAY_` and the name in
    capitals; in `tollway.toml` it is the name itself."""

    # Where things live.
    data_dir: str = f"./{DATA_DIR}"
    database_url: str | None = None  # absent: SQLite in the data directory
    redis_url: str | None = None
    redis_lease_s: Annotated[float, msgspec.Meta(ge=3, le=600)] = 30.0
    master_key: str | None = None  # absent: made in the data directory
    master_key_previous: str | None = None  # opens, never seals: while the master key is changed
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

    # People and callers known elsewhere: tables in `tollway.toml`, JSON in the environment.
    admin_url: str | None = None  # where browsers reach the admin API; absent: host and port
    oidc: tuple[OidcIssuer, ...] = ()
    jwt: tuple[JwtIssuer, ...] = ()

    # Clients.
    header_timeout_s: Seconds = 10.0
    body_timeout_s: Seconds = 30.0
    keepalive_timeout_s: Seconds = 75.0
    write_stall_timeout_s: Seconds = 30.0
    body_bytes: Bytes = 10 * 1024 * 1024
    upload_bytes: Bytes = 26 * 1024 * 1024  # of forms with files: OpenAI takes 25 MB of sound
    connections: Count = 20_000
    connections_per_ip: Count = 10_000
    drain_timeout_s: Seconds = 600.0
    revoked_streams: Literal["cut", "finish"] = "cut"  # what runs when its key is revoked
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
    probes: Literal["free", "off"] = "free"  # of targets that do not answer

    # Answers that providers make in the background (`background: true`): at a time in one worker,
    # and how long one may take.
    background_answers: Count = 256
    background_timeout_s: Seconds = 3600.0

    # The ledger.
    journal_fsync: Literal["off", "interval", "always"] = "interval"
    journal_fsync_interval_s: Seconds = 1.0
    journal_segment_bytes: Bytes = 16 * 1024 * 1024
    ship_interval_s: Seconds = 1.0
    ledger_retention_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] | None = None

    # Alerts by mail: both, or neither.
    smtp_url: str | None = None
    smtp_from: str | None = None

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
_TABLES: dict[str, type[Any]] = {"oidc": OidcIssuer, "jwt": JwtIssuer}


def load_settings(
    environ: Mapping[str, str], *, folder: str = ".", overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Settings from a folder's `tollway.toml`, the environment and given overrides, in this order
    of rank. Raises `SettingsError`."""
    values: dict[str, Any] = {}
    values.update(_from_file(Path(folder) / CONFIG_FILE))
    values.update(_from_environment(environ))
    for name, kind in _TABLES.items():
        if name in values:
            values[name] = [_entry(name, kind, entry, environ) for entry in _entries(values, name)]
    values.update({name: value for name, value in (overrides or {}).items() if value is not None})
    return from_values(values)


def from_values(values: Mapping[str, Any]) -> Settings:
    """Check and convert. Text is read as the type a setting has (`"5001"` is a port)."""
    for name in values:
        if name not in _FIELDS:
            raise SettingsError(f"There is no setting '{name}'. See docs/configuration.md.")
    try:
        settings = msgspec.convert(dict(values), Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"A setting is wrong: {_named(str(error))}") from error
    _refuse("Mail", _mail_problems(settings))
    for issuer in settings.oidc:
        _refuse(f"oidc {issuer.name!r}", issuer_problems(issuer))
    for believed in settings.jwt:
        _refuse(f"jwt {believed.issuer!r}", jwt_issuer_problems(believed))
    return settings


def as_values(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, for a child process."""
    values: dict[str, Any] = msgspec.to_builtins(settings)
    return values


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
        if name in _TABLES:
            values[name] = _json(name, text)
        elif name == "trusted_proxies":
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


def _entries(values: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    entries = values[name]
    if isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries):
        return entries
    raise SettingsError(f"'{name}' is a list of tables: begin each with [[{name}]].")


def _entry(
    name: str, kind: type[Any], entry: dict[str, Any], environ: Mapping[str, str]
) -> dict[str, Any]:
    """One table's entry, its secret fetched from where it says."""
    entry = dict(entry)
    variable, path = entry.pop("client_secret_env", None), entry.pop("client_secret_file", None)
    if variable is not None:
        entry["client_secret"] = environ.get(str(variable), "")
    elif path is not None:
        try:
            entry["client_secret"] = Path(str(path)).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{name}: {path} cannot be read: {error.strerror}") from error
    unknown = set(entry) - {field.name for field in dataclasses.fields(kind)}
    if unknown:
        raise SettingsError(f"{name}: there is no field '{min(unknown)}'.")
    return entry


def _mail_problems(settings: Settings) -> Iterator[str]:
    if (settings.smtp_url is None) != (settings.smtp_from is None):
        yield f"Set {ENV_PREFIX}SMTP_URL and {ENV_PREFIX}SMTP_FROM, or neither."
    if settings.smtp_url is not None:
        server = parse_smtp_url(settings.smtp_url)
        if isinstance(server, Err):
            yield f"{ENV_PREFIX}SMTP_URL: {server.error}"
    if settings.smtp_from is not None:
        problem = address_problem(settings.smtp_from)
        if problem is not None:
            yield f"{ENV_PREFIX}SMTP_FROM: {problem}"


def _refuse(where: str, problems: Iterable[str]) -> None:
    found = " ".join(problems)
    if found:
        raise SettingsError(f"{where}: {found}")


def _json(name: str, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        variable = ENV_PREFIX + name.upper()
        raise SettingsError(f"{variable} is a JSON list of objects: {error}") from error


def _named(message: str) -> str:
    """msgspec says `... - at `$.gateway_port``; a reader wants the variable."""
    text, _, where = message.rpartition(" - at ")
    name = where.strip("`$.").partition("[")[0]
    return f"{ENV_PREFIX}{name.upper()}: {text}" if name in _FIELDS else message
