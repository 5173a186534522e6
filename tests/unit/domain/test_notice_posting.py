"""What one attempt is made of."""

import pytest

from tests.unit.domain.test_notice import made
from tollway.domain.notice import NoticeFormat, body
from tollway.domain.notice_posting import Posting, write_posting
from tollway.domain.notice_signing import sign

OLD, NEW = b"o" * 32, b"n" * 32
URL = "https://hooks.example/secret"


def written(notice_format: NoticeFormat, *secrets: bytes, at_s: int = 7) -> Posting:
    return write_posting(
        made(),
        url=URL,
        owner="ten_1",
        notice_format=notice_format,
        secrets=secrets,
        at_s=at_s,
    )


def test_every_secret_signs_the_bytes_that_go() -> None:
    """Id, the attempt's time, and a signature for each secret over the body."""
    posting = written(NoticeFormat.JSON, NEW, OLD)
    assert posting.body == body(made(), NoticeFormat.JSON)
    signatures = [
        sign(secret, message_id=made().id, timestamp_s=7, body=posting.body)
        for secret in (NEW, OLD)
    ]
    assert dict(posting.headers) == {
        "content-type": "application/json",
        "webhook-id": made().id,
        "webhook-timestamp": "7",
        "webhook-signature": " ".join(signatures),
    }


def test_a_retry_is_the_same_notice_signed_anew() -> None:
    """Same id and body, another time and signature."""
    first, second = written(NoticeFormat.JSON, NEW), written(NoticeFormat.JSON, NEW, at_s=8)
    assert first.body == second.body
    assert first.headers[1] == second.headers[1]
    assert first.headers[2:] != second.headers[2:]


def test_json_without_a_secret_is_an_error() -> None:
    """Never an unsigned notice."""
    for secrets in ((), (b"",)):
        with pytest.raises(ValueError, match="secret"):
            written(NoticeFormat.JSON, *secrets)


@pytest.mark.parametrize("notice_format", [NoticeFormat.SLACK, NoticeFormat.TEAMS])
def test_chats_need_no_secret(notice_format: NoticeFormat) -> None:
    """Their URL is the secret; one that is given is used, and an empty one is still an error."""
    assert "webhook-signature" not in dict(written(notice_format).headers)
    assert "webhook-signature" in dict(written(notice_format, NEW).headers)
    with pytest.raises(ValueError, match="secret"):
        written(notice_format, b"")


def test_a_mail_is_not_posted() -> None:
    """It has a sender of its own."""
    with pytest.raises(ValueError, match="mail"):
        written(NoticeFormat.EMAIL, NEW)


def test_nothing_secret_is_printed() -> None:
    """A posting in a log line shows whose it is and no more."""
    assert repr(written(NoticeFormat.JSON, NEW)) == "Posting(owner='ten_1', at_s=7)"
