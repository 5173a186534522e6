"""The pepper: the secret half of every key's digest. Random, versioned, wrapped by the master key,
so that changing the master key re-wraps one row and invalidates no API key.
"""

from collections.abc import Iterable

from tollway.app.ports import SecretBox
from tollway.app.ports_admin import Entropy, UnitOfWork

_PEPPER_BYTES = 32


def pepper_purpose(version: int) -> str:
    """What a pepper's envelope is sealed for."""
    return f"pepper|{version}"


def ensure_pepper(uow: UnitOfWork, box: SecretBox, entropy: Entropy) -> tuple[int, bytes]:
    """The version new keys are made with and its secret; version 1 is made at first use.

    Raises SecretError when the master key is not the one it was sealed with.
    """
    newest = uow.peppers.newest()
    if newest is not None:
        version, wrapped = newest
        return version, box.open(wrapped, pepper_purpose(version))
    pepper = entropy(_PEPPER_BYTES)
    uow.peppers.add(1, box.seal(pepper, pepper_purpose(1)))
    return 1, pepper


def open_peppers(box: SecretBox, wrapped: Iterable[tuple[int, bytes]]) -> dict[int, bytes]:
    """A snapshot's peppers, opened. Raises SecretError."""
    return {version: box.open(envelope, pepper_purpose(version)) for version, envelope in wrapped}
