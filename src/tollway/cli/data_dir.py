"""The data directory: made on first use, readable by its owner only. Secrets that nobody gave are
made here once; with a database elsewhere they are never invented, since every machine needs the
same ones.
"""

import base64
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tollway.config import Settings, SettingsError

MASTER_KEY_FILE = "master.key"
MASTER_KEY_PREVIOUS_FILE = "master.key.previous"  # there while the master key is changed
ADMIN_TOKEN_FILE = "admin.token"  # noqa: S105 - the name of a file
_MAKE_KEY = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'


@dataclass(frozen=True, slots=True)
class Prepared:
    """A usable data directory, and the settings with the secrets filled in."""

    settings: Settings
    admin_token_path: str | None


def prepare_data_dir(settings: Settings) -> Prepared:
    """Make what is missing. Raises `SettingsError` with what to do when it cannot be used."""
    folder = Path(settings.data_dir).absolute()
    settings = msgspec.structs.replace(settings, data_dir=str(folder))
    for path in (folder, folder / "run", folder / "journal"):
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"The data directory {path} cannot be made: {error.strerror}. "
                "Set TOLLWAY_DATA_DIR to a folder you may write."
            ) from error
    if folder.stat().st_uid != os.geteuid():
        raise SettingsError(
            f"The data directory {folder} belongs to another user. Run as that user, or set "
            "TOLLWAY_DATA_DIR to a folder of your own."
        )
    master_key, previous = settings.master_key, settings.master_key_previous
    if master_key is None:
        if settings.database_url is not None and not settings.database_url.startswith("sqlite"):
            raise SettingsError(
                "TOLLWAY_MASTER_KEY is not set. All machines on one database need the same master "
                f"key; make one with: {_MAKE_KEY}"
            )
        master_key = _kept_secret(folder / MASTER_KEY_FILE)
        if previous is None and (folder / MASTER_KEY_PREVIOUS_FILE).exists():
            previous = _kept_secret(folder / MASTER_KEY_PREVIOUS_FILE)
    token_path = None
    admin_token = settings.admin_token
    if admin_token is None:
        token_path = folder / ADMIN_TOKEN_FILE
        admin_token = _kept_secret(token_path)
    settings = msgspec.structs.replace(
        settings, master_key=master_key, master_key_previous=previous, admin_token=admin_token
    )
    return Prepared(settings, None if token_path is None else str(token_path))


def _kept_secret(path: Path) -> str:
    """The secret in this file; a fresh one if there is no file. 32 random bytes, base64url."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        text = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:  # another process made it a moment ago
            return _kept_secret(path)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        return text
    if not text:
        raise SettingsError(f"{path} is empty. Restore it from your backup, or remove the folder.")
    return text
