"""Secrets of providers: sealed under the master key, or by reference (`env:NAME`, `file:PATH`). A
value is never logged, never in an error. A sealed one opens for its own provider and origin only.
"""

import os
import stat
import time

from tollway.app.ports import SecretBox, SecretError
from tollway.domain.origin import origin_of
from tollway.domain.provider import CredentialRecord, ProviderRecord, credential_purpose
from tollway.domain.vertex import one_line

_RECHECK_S = 1.0
_MAX_FILE_BYTES = 64 * 1024
_MAX_KNOWN = 10_000
# Whose it is and where it leads stand beside the envelope: a row that was moved finds nothing here.
_Place = tuple[bytes, str | None, str, str]


class CredentialError(Exception):
    """There is no secret to be had; the message names the provider or reference, never a value."""


class Secrets:
    """Resolves credentials. Opened envelopes are kept; each reference is looked at again at most
    once a second. Without a box, nothing that is sealed opens."""

    def __init__(self, box: SecretBox | None = None) -> None:
        self._box = box
        self._opened: dict[_Place, str] = {}
        self._known: dict[str, tuple[float, str]] = {}
        self._files: dict[str, tuple[tuple[int, int, int], str]] = {}

    def resolve(self, provider: ProviderRecord, credential: CredentialRecord | None) -> str:
        """The secret to call the provider with; empty where it has none. Raises
        `CredentialError`."""
        if credential is None:
            return ""
        if credential.envelope:
            place = (credential.envelope, provider.tenant_id, provider.id, provider.base_url)
            opened = self._opened.get(place)
            return self._open(place, provider) if opened is None else opened
        if not credential.reference:
            return ""
        if provider.tenant_id is not None:
            # Ours to point at: a tenant's provider would be sent what the gateway itself lives by.
            raise CredentialError(
                f"The provider {provider.name!r} is a tenant's, and its secret is a reference."
            )
        return self.look_up(credential.reference)

    def look_up(self, reference: str) -> str:
        """The secret behind a reference of the platform's. Raises `CredentialError`."""
        now = time.monotonic()
        known = self._known.get(reference)
        if known is not None and now < known[0]:
            return known[1]
        self._known.pop(reference, None)
        secret = self._fetch(reference)
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
            self._files.clear()
        self._known[reference] = (now + _RECHECK_S, secret)
        return secret

    def _open(self, place: _Place, provider: ProviderRecord) -> str:
        purpose = credential_purpose(provider.tenant_id, provider.id, origin_of(provider.base_url))
        if self._box is None:
            raise CredentialError(f"The secret of provider {provider.name!r} is sealed.")
        try:
            secret = self._box.open(place[0], purpose).decode("ascii")
        except (SecretError, UnicodeDecodeError):
            raise CredentialError(
                f"The secret of provider {provider.name!r} does not open: it was sealed with "
                "another master key, or for another provider or origin."
            ) from None
        if not secret or not secret.isprintable():
            raise CredentialError(f"The secret of provider {provider.name!r} is no key.")
        if len(self._opened) >= _MAX_KNOWN:
            self._opened.clear()
        self._opened[place] = secret
        return secret

    def _fetch(self, reference: str) -> str:
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
        secret = one_line(secret)  # a service account's file is written with line breaks
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
