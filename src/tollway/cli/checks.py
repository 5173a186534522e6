"""What `doctor` looks at: each finding says what to do. The checks change nothing."""

import os
import resource
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tollway.adapters.control.client import ControlError
from tollway.app.ports import SecretError, StoreUnavailableError
from tollway.cli.session import Running, find_running
from tollway.config import SECRETS, Settings, SettingsError, as_values
from tollway.domain.brand import COMMAND, ENV_PREFIX
from tollway.domain.snapshot import SnapshotRows
from tollway.wiring.checkup import (
    check_peppers,
    inspect,
    inspect_roles,
    read_configuration,
    unopened,
    unresolved,
)

_FEW_BYTES = 1 << 30
_FEW_FILES = 4096
_OTHER_VARIABLES = frozenset({"TOKEN", "TOKEN_FILE", "TORTURE"})  # of clients and tests
_EARLIEST_S = 1_767_225_600  # 2026-01-01: a clock before that is wrong


@dataclass(frozen=True, slots=True)
class Finding:
    """`level` is ok, warn or fail; `remedy` is what to do, empty when there is nothing."""

    level: str
    what: str
    remedy: str = ""


def run_checks(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Every check, the ones that others rest on first."""
    yield from _environment(environ)
    yield from _machine(settings)
    rows = None
    try:
        rows = read_configuration(settings)
        yield Finding("ok", "the database can be read and has the right schema")
        yield from _roles(settings)
    except (SettingsError, StoreUnavailableError) as error:
        yield Finding("fail", f"the database: {error}", f"run `{COMMAND} migrate`")
    running = find_running(settings)
    if rows is not None:
        yield from _configuration(settings, rows, running)
    yield from _journals(settings)
    yield from _gateway(running)


def _environment(environ: Mapping[str, str]) -> Iterator[Finding]:
    known = {name.upper() for name in as_values(Settings())}
    known |= {f"{name.upper()}_FILE" for name in SECRETS} | _OTHER_VARIABLES
    for name in sorted(environ):
        if name.startswith(ENV_PREFIX) and name[len(ENV_PREFIX) :] not in known:
            yield Finding("warn", f"{name} is no setting", "see docs/configuration.md")


def _machine(settings: Settings) -> Iterator[Finding]:
    folder = Path(settings.data_dir)
    mode = folder.stat().st_mode & 0o777
    if mode & 0o077:
        yield Finding("warn", f"{folder} is open to others ({mode:o})", f"chmod 700 {folder}")
    free = shutil.disk_usage(folder).free
    if free < _FEW_BYTES:
        yield Finding("warn", f"only {free >> 20} MiB are free in {folder}", "make room")
    else:
        yield Finding("ok", f"data directory {folder}, {free >> 30} GiB free")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FEW_FILES:
        remedy = f"raise it before the start: ulimit -n {min(hard, 65536)}"
        yield Finding("warn", f"only {soft} open files are allowed: two per stream", remedy)
    if time.time() < _EARLIEST_S:
        yield Finding("fail", "the clock is wrong: keys and budgets depend on it", "set the time")
    for path in (settings.tls_cert_file, settings.tls_key_file):
        if path is not None and not os.access(path, os.R_OK):
            yield Finding("fail", f"{path} cannot be read", "check TOLLWAY_TLS_*_FILE")


def _roles(settings: Settings) -> Iterator[Finding]:
    for finding in inspect_roles(settings):
        yield Finding(
            "fail" if finding.grave else "warn", finding.what, "see docs/several-machines.md"
        )


def _configuration(
    settings: Settings, rows: SnapshotRows, running: Running | None
) -> Iterator[Finding]:
    try:
        check_peppers(settings, rows)
    except SecretError as error:
        yield Finding("fail", str(error), "give the master key that this database was made with")
    if not rows.models:
        remedy = f"{COMMAND} init --provider openai --api-key-env OPENAI_API_KEY --tenant acme"
        yield Finding("warn", "no model is configured", remedy)
    yield from _secrets(settings, rows, running)
    providers = {provider.id: provider for provider in rows.providers}
    for model in rows.models:
        usable = [
            target
            for target in model.targets
            if target.provider_id in providers and providers[target.provider_id].enabled
        ]
        if not usable:
            yield Finding("fail", f"model {model.name} has no enabled provider", "enable one")


def _secrets(settings: Settings, rows: SnapshotRows, running: Running | None) -> Iterator[Finding]:
    for provider in rows.providers:
        for credential in provider.credentials:
            problem = _missing(credential.reference, running)
            if problem is not None:
                remedy = "set it where the gateway is started, and restart it"
                yield Finding("fail", f"provider {provider.name}: {problem}", remedy)
        try:
            problem = unopened(settings, provider)
        except SecretError:  # about the master key itself: said of the peppers already
            continue
        if problem is not None:
            yield Finding("fail", problem, "give the right master key, or its secret once more")


def _missing(reference: str, running: Running | None) -> str | None:
    if not reference:
        return None
    if running is None or not reference.startswith("env:"):
        return unresolved(reference)
    try:
        missing = running.missing_variables([reference[4:]])
    except ControlError:
        return None
    return f"{missing[0]} is not set where the gateway runs" if missing else None


def _journals(settings: Settings) -> Iterator[Finding]:
    for report in inspect(settings):
        if report.damaged:
            yield Finding(
                "fail",
                f"journal {report.slot}: {report.damaged} damaged records",
                "keep the folder and look at the log of the keeper: they were stepped over",
            )
        if report.open and not report.held:
            yield Finding(
                "warn",
                f"journal {report.slot}: {len(report.open)} attempts of a dead worker are open",
                f"start the gateway (`{COMMAND} serve`): it settles them",
            )


def _gateway(running: Running | None) -> Iterator[Finding]:
    if running is None:
        yield Finding("ok", "no gateway runs on this data directory")
        return
    url = f"{running.ops_url}/readyz"
    ready = _answers(url)
    yield (
        Finding("ok", f"the gateway at {running.gateway_url} is ready")
        if ready
        else Finding("fail", f"{url} does not say ready", "look at the gateway's log")
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310 - our own ops port
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
