"""One attempt to post a notice: the bytes, the headers that prove them, and where they go. Here it
is decided that a receiver of JSON is always sent a signature.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tollway.domain.notice import Notice, NoticeFormat, body, content_type
from tollway.domain.notice_signing import signature_header


@dataclass(frozen=True, slots=True)
class Posting:
    """What a sender needs. `owner` is the tenant whose webhook it is, None the platform; the URL is
    a secret."""

    url: str = field(repr=False)
    owner: str | None
    body: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    at_s: int


def write_posting(
    notice: Notice,
    *,
    url: str,
    owner: str | None,
    notice_format: NoticeFormat,
    secrets: Sequence[bytes],
    at_s: int,
) -> Posting:
    """The attempt made at `at_s`. Slack and Teams check no signature, so they need no secret; where
    there is one it is used. Raises ValueError for JSON without a secret, for one that is too short,
    and for mail."""
    if notice_format is NoticeFormat.EMAIL:
        raise ValueError("a mail is not posted")
    payload = body(notice, notice_format)
    headers = [
        ("content-type", content_type(notice_format)),
        ("webhook-id", notice.id),
        ("webhook-timestamp", str(at_s)),
    ]
    if secrets or notice_format is NoticeFormat.JSON:
        signature = signature_header(secrets, message_id=notice.id, timestamp_s=at_s, body=payload)
        headers.append(("webhook-signature", signature))
    return Posting(url=url, owner=owner, body=payload, headers=tuple(headers), at_s=at_s)
