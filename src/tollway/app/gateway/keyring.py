"""Credentials already checked: a client sends the same key with every request, and the checksum and
the HMAC need be done once. What the key may do is looked up anew with every new configuration, so
that none has to say which entries it concerns; a key that is gone or replaced is checked again.

Entries are found by the SHA-256 of the whole credential, so two different ones never share an
entry. Expiry is judged on each use.
"""

from hashlib import sha256

from tollway.domain.access import Principal, find_principal
from tollway.domain.ids import KeyId
from tollway.domain.key import is_live, matches, split_key
from tollway.domain.snapshot import EMPTY, Snapshot

_MAX_ENTRIES = 50_000


class Keyring:
    """One per worker."""

    __slots__ = ("_known", "_snapshot", "_turn")

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[int, Principal]] = {}
        self._snapshot = EMPTY
        self._turn = 0  # counts configurations: an entry of an earlier one is looked up again

    def open(self, credential: bytes, snapshot: Snapshot, now_s: float) -> Principal | None:
        """Whose credential this is; None when it opens nothing, whatever the reason."""
        if snapshot is not self._snapshot:
            self._begin(snapshot)
        digest = sha256(credential).digest()
        entry = self._known.get(digest)
        if entry is None or entry[0] != self._turn:
            entry = self._enter(digest, credential, None if entry is None else entry[1])
            if entry is None:
                return None
        principal = entry[1]
        return principal if is_live(principal.key, now_s) else None

    def _begin(self, snapshot: Snapshot) -> None:
        if snapshot.peppers != self._snapshot.peppers:
            self._known.clear()
        self._snapshot = snapshot
        self._turn += 1

    def _enter(
        self, digest: bytes, credential: bytes, before: Principal | None
    ) -> tuple[int, Principal] | None:
        principal = None
        if before is not None:
            principal = _look_up(before, self._snapshot)
        if principal is None:
            principal = _check(credential, self._snapshot)
        if principal is None:
            self._known.pop(digest, None)
            return None
        if len(self._known) >= _MAX_ENTRIES:
            self._known.clear()
        entry = self._known[digest] = (self._turn, principal)
        return entry


def unknown_key(credential: bytes, snapshot: Snapshot) -> KeyId | None:
    """The id of a well-formed key that the configuration does not have; None for all others."""
    parts = split_key(credential.decode("latin-1"))
    return None if parts is None or snapshot.keys.get(parts[0]) is not None else parts[0]


def _look_up(before: Principal, snapshot: Snapshot) -> Principal | None:
    """What a credential that matched this key's digest opens now; None when it must be checked."""
    key = before.key
    record = snapshot.keys.get(key.id)
    if record is None or record.digest != key.digest or record.tenant_id != key.tenant_id:
        return None
    return find_principal(snapshot, record)


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
    return find_principal(snapshot, record)
