"""Which admin API a command speaks to, and as whom. On the machine of a running gateway nothing has
to be given: who may read its data directory holds its admin token anyway. That token is sent to no
address but the one that gateway wrote down.
"""

import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from tollway.cli.admin_client import AdminClient
from tollway.cli.data_dir import prepare_data_dir
from tollway.cli.outcomes import NOT_ALLOWED, UNAVAILABLE, USAGE, CommandError
from tollway.cli.session import fail, find_running
from tollway.config import Settings, SettingsError, load_settings
from tollway.domain.brand import COMMAND, ENV_PREFIX

_TOKEN, _TOKEN_FILE = f"{ENV_PREFIX}TOKEN", f"{ENV_PREFIX}TOKEN_FILE"
F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Reach:
    """What the command line says about where to go. `token` is a reference, never a secret."""

    url: str | None = None
    token: str | None = None
    data_dir: str | None = None

    def is_remote(self, environ: Mapping[str, str] = os.environ) -> bool:
        """Whether an admin API was named, rather than this machine meant. `TOLLWAY_ADMIN_URL`
        alone names none: the machine that serves has it too, for browsers."""
        given = (self.url, self.token, environ.get(_TOKEN), environ.get(_TOKEN_FILE))
        return any(given)


def reach_options(command: F) -> F:
    """`--url`, `--token` and `--data-dir`, given to the command as keywords."""
    for option in (
        click.option("--data-dir", help="The running gateway's data (TOLLWAY_DATA_DIR)."),
        click.option(
            "--token",
            metavar="env:NAME|file:PATH",
            help="Where the token is. Default: TOLLWAY_TOKEN, TOLLWAY_TOKEN_FILE.",
        ),
        click.option("--url", help="The admin API (TOLLWAY_ADMIN_URL)."),
    ):
        command = option(command)
    return command


@contextmanager
def admin_api(reach: Reach) -> Iterator[AdminClient]:
    """A client; whatever goes wrong inside ends the command with its message and exit code."""
    try:
        client = open_client(reach, os.environ)
        try:
            yield client
        finally:
            client.close()
    except CommandError as error:
        fail(str(error), error.code)
    except SettingsError as error:
        fail(str(error))


def open_client(reach: Reach, environ: Mapping[str, str]) -> AdminClient:
    """The client for what was said. Raises CommandError, SettingsError."""
    settings = load_settings(environ, overrides={"data_dir": reach.data_dir})
    token = _token(reach.token, environ)
    if token is None:
        return _local(reach, settings)
    running = None if reach.url or settings.admin_url else find_running(settings)
    own = running.admin_url if running is not None else ""
    url = reach.url or settings.admin_url or own or _configured(settings)
    return AdminClient(url, token, context=_pinned(settings) if url == own else None)


def _local(reach: Reach, settings: Settings) -> AdminClient:
    running = find_running(settings)
    if reach.url is not None or running is None:
        where = reach.url or settings.admin_url
        if where is not None:
            raise CommandError(
                f"Give a token for {where}: {_TOKEN}, {_TOKEN_FILE}, or --token file:PATH.",
                NOT_ALLOWED,
            )
        raise CommandError(
            f"No gateway runs on {settings.data_dir}. Start it (`{COMMAND} serve`), or name one "
            f"elsewhere: --url, with {_TOKEN} or {_TOKEN_FILE}.",
            UNAVAILABLE,
        )
    if not running.admin_url:
        raise CommandError("The gateway here runs without an admin API; give --url.", UNAVAILABLE)
    token = prepare_data_dir(settings).settings.admin_token or ""
    hint = (
        f"The gateway that runs on {settings.data_dir} was started with another admin token; set "
        f"{_TOKEN} or {ENV_PREFIX}ADMIN_TOKEN to it."
    )
    return AdminClient(running.admin_url, token, context=_pinned(settings), hint=hint)


def _configured(settings: Settings) -> str:
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared
    scheme = "https" if settings.tls_cert_file else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.admin_port}"


def _pinned(settings: Settings) -> ssl.SSLContext | None:
    """For the gateway here, asked by its address: just its own certificate, whatever its name."""
    if settings.tls_cert_file is None:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.tls_cert_file)
    except OSError as error:
        raise CommandError(f"{settings.tls_cert_file} cannot be read: {error}") from error
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _token(reference: str | None, environ: Mapping[str, str]) -> str | None:
    if reference is None:
        text = environ.get(_TOKEN, "").strip()
        if text:
            return text
        path = environ.get(_TOKEN_FILE)
        reference = f"file:{path}" if path else None
    return None if reference is None else looked_up(reference, environ)


def looked_up(reference: str, environ: Mapping[str, str]) -> str:
    """The secret behind `env:NAME` or `file:PATH`. Raises CommandError."""
    kind, _, place = reference.partition(":")
    if kind == "env" and place:
        text = environ.get(place, "").strip()
    elif kind == "file" and place:
        try:
            text = Path(place).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{place} cannot be read: {error}", USAGE) from error
    else:
        raise CommandError(
            "Say where the secret is, env:NAME or file:PATH: arguments are seen by all on a "
            "machine.",
            USAGE,
        )
    if not text or not text.isascii() or not text.isprintable():
        raise CommandError(f"{reference} is empty, or not one line of plain characters.", USAGE)
    return text
