"""The audit's chain: each row's digest covers its content and the digest of the row before, so a
row that is changed, removed or slipped in breaks every digest behind it. A MAC over the head, kept
elsewhere, shows that the tail was cut (theory: Schneier and Kelsey, Secure Audit Logs, 1999).
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

GENESIS = bytes(32)  # what the first row follows


@dataclass(frozen=True, slots=True)
class Link:
    """A row as it is hashed: number, content (field by field, as text) and its two digests."""

    seq: int
    content: tuple[str | None, ...]
    previous: bytes
    digest: bytes


def link_digest(seq: int, content: Iterable[str | None], previous: bytes) -> bytes:
    """SHA-256 over the row before, the number and each field with its length: no two rows of
    different content give the same bytes. An absent field differs from an empty one."""
    hashed = hashlib.sha256(previous + seq.to_bytes(8, "big"))
    for part in content:
        if part is None:
            hashed.update(b"\xff" * 8)
        else:
            data = part.encode("utf-8", "surrogatepass")
            hashed.update(len(data).to_bytes(8, "big") + data)
    return hashed.digest()


def first_bad(
    links: Iterable[Link], *, after: int = 0, previous: bytes = GENESIS
) -> tuple[int, bytes] | int:
    """The last row's number and digest when all is well; else the number of the first row that is
    not what it was. A gap in the numbers counts as the row that is missing."""
    seq = after
    for link in links:
        seq += 1
        if link.seq != seq or link.previous != previous:
            return seq
        if not hmac.compare_digest(link.digest, link_digest(seq, link.content, previous)):
            return seq
        previous = link.digest
    return seq, previous


def head_mac(secret: bytes, seq: int, digest: bytes) -> str:
    """What is written to the log each minute: proof that the audit was at least this long."""
    return hmac.new(secret, seq.to_bytes(8, "big") + digest, hashlib.sha256).hexdigest()
