"""Credentials already checked against the configuration in use: a client sends the same key with
every request, and the checksum, the look-up and the HMAC need be done once.

Entries are found by the SHA-256 of the whole credential, so two different ones never share an
entry, and are dropped with the snapshot they were checked against. Expiry is judged on each use.
"""

from hashlib import sha256

from tollway.domain.access import Principal
from tollway.domain.key import is_live, matches, split_key
from tollway.domain.snapshot import EMPTY, Snapshot

_MAX_ENTRIES = 100_000


class Keyring:
    """One per worker."""

    __slots__ = ("_known", "_snapshot")

    def __init__(self) -> None:
        self._known: dict[bytes, Principal] = {}
        self._snapshot = EMPTY

    def open(self, credential: bytes, snapshot: Snapshot, now_s: float) -> Principal | None:
        """Whose credential this is; None when it opens nothing, whatever the reason."""
        if snapshot is not self._snapshot:
            self._known = {}
            self._snapshot = snapshot
        digest = sha256(credential).digest()
        principal = self._known.get(digest)
        if principal is None:
            principal = _check(credential, snapshot)
            if principal is None:
                return None
            if len(self._known) >= _MAX_ENTRIES:
                self._known.clear()
            self._known[digest] = principal
        return principal if is_live(principal.key, now_s) else None


def _check(credential: bytes, snapshot: Snapshot) -> Principal | None:
    parts = split_key(credential.decode("latin-1"))
    if parts is None:
        return None
    key_id, secret = parts
    record = snapshot.keys.get(key_id)
    if record is None:
        return None
    pepper = snapshot.peppers.get(record.pepper_version)
    if pepper is None or not matches(record, pepper, secret):
        return None
    tenant = snapshot.tenants.get(record.tenant_id)
    return None if tenant is None else Principal(tenant, record)
