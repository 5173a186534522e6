"""API keys: their form, checksum, digest and validity. Theory: a key that fails its checksum is
refused with no look-up at all; the stored digest binds tenant and key id, so a row cannot be moved
to another tenant; the pepper stops someone who can only write the database from making keys.

Form: `tw_<env>_<key id, 12 base62>_<secret, 43 base62>_<crc32 of all before, 6 base62>`.
"""

import hmac
from dataclasses import dataclass
from zlib import crc32

from tollway.domain.brand import KEY_PREFIX
from tollway.domain.ids import AccountId, KeyId, ProjectId, TenantId

KEY_ENVS = ("live", "test", "demo")
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
KEY_ID_LENGTH, SECRET_LENGTH, CHECKSUM_LENGTH = 12, 43, 6
_KEY_LENGTHS = frozenset(
    len(f"{KEY_PREFIX}_{env}_") + KEY_ID_LENGTH + 1 + SECRET_LENGTH + 1 + CHECKSUM_LENGTH
    for env in KEY_ENVS
)
KEY_PATTERN = (
    rf"{KEY_PREFIX}_(?:live|test|demo)_[0-9A-Za-z]{{{KEY_ID_LENGTH}}}"
    rf"_[0-9A-Za-z]{{{SECRET_LENGTH}}}_[0-9A-Za-z]{{{CHECKSUM_LENGTH}}}"
)  # for secret scanners and log redaction


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key as the directory holds it. Times are UTC seconds; `None` in a scope is "all"."""

    id: KeyId
    tenant_id: TenantId
    digest: bytes
    pepper_version: int
    name: str = ""
    project_id: ProjectId | None = None
    account_id: AccountId | None = None
    not_before_s: float | None = None
    expires_s: float | None = None
    revoked_s: float | None = None
    models: tuple[str, ...] | None = None
    endpoints: tuple[str, ...] | None = None
    ip_allow: tuple[str, ...] | None = None
    tags: tuple[tuple[str, str], ...] = ()


def make_key(env: str, entropy: bytes) -> tuple[KeyId, str]:
    """A new key's id and full text from 41 bytes of entropy (9 for the id, 32 for the secret)."""
    if env not in KEY_ENVS or len(entropy) != 41:
        raise ValueError(f"a key takes a known env and 41 bytes, got {env!r}, {len(entropy)}")
    public = base62(int.from_bytes(entropy[:9], "big"), KEY_ID_LENGTH)
    secret = base62(int.from_bytes(entropy[9:], "big"), SECRET_LENGTH)
    head = f"{KEY_PREFIX}_{env}_{public}_{secret}"
    return KeyId(f"key_{public}"), f"{head}_{checksum(head)}"


def checksum(head: str) -> str:
    """CRC32 of everything before the last underscore, as six base62 digits."""
    return base62(crc32(head.encode("ascii")), CHECKSUM_LENGTH)


def split_key(text: str) -> tuple[KeyId, str] | None:
    """`(key id, secret)` of a well-formed key with a right checksum, else None. No I/O."""
    if len(text) not in _KEY_LENGTHS or not text.isascii():
        return None
    parts = text.split("_")
    if len(parts) != 5 or parts[0] != KEY_PREFIX or parts[1] not in KEY_ENVS:
        return None
    public, secret = parts[2], parts[3]
    if len(public) != KEY_ID_LENGTH or not public.isalnum() or not secret.isalnum():
        return None
    if checksum(text[: -CHECKSUM_LENGTH - 1]) != parts[4]:
        return None
    return KeyId(f"key_{public}"), secret


def digest_key(pepper: bytes, tenant_id: TenantId, key_id: KeyId, secret: str) -> bytes:
    """What is stored instead of the secret: HMAC-SHA256(pepper, tenant | key id | secret)."""
    return hmac.digest(pepper, f"{tenant_id}|{key_id}|{secret}".encode(), "sha256")


def matches(record: KeyRecord, pepper: bytes, secret: str) -> bool:
    """Whether the secret is this record's, in constant time."""
    given = digest_key(pepper, record.tenant_id, record.id, secret)
    return hmac.compare_digest(given, record.digest)


def is_live(record: KeyRecord, now_s: float) -> bool:
    """Whether the key may be used at this server time: begun, not expired, not revoked."""
    if record.revoked_s is not None:
        return False
    if record.not_before_s is not None and now_s < record.not_before_s:
        return False
    return record.expires_s is None or now_s < record.expires_s


def masked(text: str) -> str:
    """A key as lists and logs may show it: prefix, id and the last four characters."""
    return f"{text[: -SECRET_LENGTH - CHECKSUM_LENGTH - 1]}…{text[-4:]}"


def base62(number: int, length: int) -> str:
    """A number as that many base62 digits, the lowest kept."""
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(BASE62[digit])
    return "".join(reversed(digits))
