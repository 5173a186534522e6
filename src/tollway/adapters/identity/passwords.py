"""Passwords under argon2id. Parameters: OWASP Password Storage cheat sheet, first choice (19 MiB,
2 passes, 1 lane): about 20 ms of one core.
"""

import os
from threading import BoundedSemaphore

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError

from tollway.domain.password import password_bytes

_MEMORY_KIB, _PASSES, _LANES = 19_456, 2, 1
# Each takes 19 MiB: logins beyond this wait for one another, so they cannot eat the machine.
_AT_ONCE = 4


class Argon2Hasher:
    """Implements `app.ports_identity.PasswordHasher`."""

    def __init__(self) -> None:
        self._argon2 = Argon2(
            time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES, hash_len=32, salt_len=16
        )
        self._slots = BoundedSemaphore(_AT_ONCE)
        self._nobodys = self._argon2.hash(os.urandom(32))

    def hash(self, password: str) -> str:
        given = password_bytes(password)
        if given is None:
            raise ValueError("a password of this size or form is not hashed")
        with self._slots:
            return self._argon2.hash(given)

    def verify(self, stored: str | None, password: str) -> bool:
        given = password_bytes(password)
        if stored is None or given is None:
            self._matches(self._nobodys, b"")
            return False
        return self._matches(stored, given)

    def needs_rehash(self, stored: str) -> bool:
        try:
            return self._argon2.check_needs_rehash(stored)
        except InvalidHashError:
            return True

    def _matches(self, stored: str, given: bytes) -> bool:
        with self._slots:
            try:
                return self._argon2.verify(stored, given)
            except (VerificationError, InvalidHashError):
                return False
