"""Secrets by reference: `env:NAME` or `file:PATH`. A value is never logged, never in an error."""

import os
import stat
import time

_RECHECK_S = 1.0
_MAX_FILE_BYTES = 64 * 1024
_MAX_KNOWN = 10_000


class CredentialError(Exception):
    """The reference does not resolve; the message names it, never a value."""


class Secrets:
    """Resolves references; each is looked at again at most once a second."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, str]] = {}
        self._files: dict[str, tuple[tuple[int, int, int], str]] = {}

    def resolve(self, reference: str) -> str:
        """The secret behind a reference; empty for an empty one. Raises `CredentialError`."""
        if not reference:
            return ""
        now = time.monotonic()
        known = self._known.get(reference)
        if known is not None and now < known[0]:
            return known[1]
        self._known.pop(reference, None)
        secret = self._look_up(reference)
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
            self._files.clear()
        self._known[reference] = (now + _RECHECK_S, secret)
        return secret

    def _look_up(self, reference: str) -> str:
        kind, _, name = reference.partition(":")
        if kind == "env":
            secret = os.environ.get(name, "").strip()
            if not secret:
                raise CredentialError(
                    f"The environment variable {name} is not set where the gateway runs."
                )
        elif kind == "file":
            secret = self._read(name)
        else:
            # What was given is not repeated: it may be the secret itself.
            raise CredentialError("A credential is a reference: env:NAME or file:PATH.")
        if not secret.isprintable() or not secret.isascii():
            raise CredentialError(f"The secret behind {reference} has characters no key has.")
        return secret

    def _read(self, path: str) -> str:
        known = self._files.get(path)
        try:
            status = os.stat(path)
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            if known is not None and known[0] == stamp:
                return known[1]
            if not stat.S_ISREG(status.st_mode):  # opening a pipe would stop the loop
                raise CredentialError(f"{path} is not a file.")
            with open(path, encoding="utf-8") as file:
                secret = file.read(_MAX_FILE_BYTES).strip()
        except (OSError, ValueError) as error:
            raise CredentialError(f"The file {path} cannot be read.") from error
        if not secret:
            raise CredentialError(f"The file {path} is empty.")
        self._files[path] = (stamp, secret)
        return secret
