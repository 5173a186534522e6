"""Secrets by reference: `env:NAME` or `file:PATH`. A value is never logged, never in an error."""

import os
import time

_RECHECK_S = 1.0


class CredentialError(Exception):
    """The reference does not resolve; the message names it, never a value."""


class Secrets:
    """Resolves references; a file is read again when it changed, looked at once a second."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[float, tuple[int, int], str]] = {}

    def resolve(self, reference: str) -> str:
        """The secret behind a reference; empty for an empty one. Raises `CredentialError`."""
        if not reference:
            return ""
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
            raise CredentialError("A credential is a reference: env:NAME or file:PATH.")
        if not secret.isprintable() or not secret.isascii():
            raise CredentialError(f"The secret behind {reference} has characters no key has.")
        return secret

    def _read(self, path: str) -> str:
        now = time.monotonic()
        known = self._files.get(path)
        if known is not None and now - known[0] < _RECHECK_S:
            return known[2]
        try:
            stat = os.stat(path)
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if known is not None and known[1] == stamp:
                secret = known[2]
            else:
                with open(path, encoding="utf-8") as file:
                    secret = file.read(64 * 1024).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialError(f"The file {path} cannot be read.") from error
        if not secret:
            raise CredentialError(f"The file {path} is empty.")
        self._files[path] = (now, stamp, secret)
        return secret
