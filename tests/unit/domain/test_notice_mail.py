"""Mails, and what cannot be put into one."""

import dataclasses
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default

import pytest

from tests.unit.domain.test_notice import HOSTILE, made
from tollway.domain.notice_mail import address_problem, compose, recipients_problem

SENDER = "alerts@gateway.example"
NAMES = [
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Type",
    "Content-Transfer-Encoding", "MIME-Version",
]  # fmt: skip


def composed(title: str = "acme has used 80 %", *recipients: str) -> bytes:
    notice = dataclasses.replace(made("acme"), title=title)
    recipients = recipients or ("ops@acme.example",)
    return compose(notice, sender=SENDER, recipients=recipients).as_bytes(policy=SMTP)


def parsed(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_mail() -> None:
    """Who, to whom, what, when; the id is the event's, so that a retry is the same mail."""
    mail = parsed(composed("acme has used 80 % — of 10 €", "a@acme.example", "b@acme.example"))
    assert mail["From"] == "Tollway <alerts@gateway.example>"
    assert mail["To"] == "a@acme.example, b@acme.example"
    assert mail["Subject"] == "[Tollway] acme has used 80 % — of 10 €"
    assert mail["Date"] == "Mon, 21 Sep 2026 14:13:20 +0000"
    assert mail["Message-ID"] == "<evt_0123456789abcdef@gateway.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().startswith("acme has used 80 % — of 10 €\r\n")


@pytest.mark.parametrize(
    "title",
    [
        *HOSTILE,
        "=?utf-8?q?a=0D=0ABcc:_x@evil.example?=",
        "=?us-ascii?q?=0D=0A=0D=0Aanother_body?=",
        "=?utf-8?b?YQpCY2M6IHhAZXZpbC5leGFtcGxl?=",
        "é" * 40 + " =?utf-8?q?a=0ABcc:_x@evil.example?= " + "x" * 200,
        "==?utf-8?q?a=0ABcc:_x@evil.example?=",
        "=\r?utf-8?q?a=0ABcc:_x@evil.example?=",
        "=\u202e?utf-8?q?a=0ABcc:_x@evil.example?=",
    ],
)
def test_no_title_is_a_header_of_its_own(title: str) -> None:
    """Line ends, and encoded words with line ends inside (CVE-2024-6923), stay in the subject;
    every line is ASCII and fits the 998 bytes of RFC 5322."""
    raw = composed(title)
    mail = parsed(raw)
    assert mail.keys() == NAMES
    assert mail["To"] == "ops@acme.example"
    assert "\n" not in mail["Subject"]
    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")


@pytest.mark.parametrize(
    "address",
    ["a@b", "a.b+c@d-e.example", "o'brien@xn--mnchen-3ya.example", "x" * 64 + "@a.example"],
)
def test_addresses(address: str) -> None:
    """The usual ones."""
    assert address_problem(address) is None


NO_ADDRESSES = [
    "", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b c", "a@b\r\nBcc: x@y", "a@b\n", "a\x00@b",
    "a@b>", "<a@b>", "A <a@b>", "a@b, c@d", "a@b;c@d", '"a b"@c', "a@[127.0.0.1]", "a..b@c",
    ".a@b", "a.@b", "a@-b", "a@b-", "a@b..c", "a@.b", "a@b.", "ä@b", "a@ä", "a@b\u2028", "a(x)@b",
    "a:b@c", "a\\@b", "x" * 65 + "@b", "a@" + "b." * 126 + "bcd", "a@" + "b" * 64, "a@b%0ac",
    "=?utf-8?q?a=0ABcc_x?=@b.example", "%s\n@b",
]  # fmt: skip


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_what_is_no_address(address: str) -> None:
    """Neither as a recipient nor as the sender; the message does not repeat it."""
    problem = address_problem(address)
    assert problem is not None
    assert "Bcc" not in problem
    for sender, recipient in ((SENDER, address), (address, "ops@acme.example")):
        with pytest.raises(ValueError, match="mail address"):
            compose(made(), sender=sender, recipients=[recipient])


def test_how_many() -> None:
    """One to ten, each once."""
    many = [f"a{number}@b.example" for number in range(11)]
    assert recipients_problem([]) is not None
    assert recipients_problem(many) is not None
    assert recipients_problem(many[:10]) is None
    assert recipients_problem(["a@b.example", "A@b.example"]) is not None
    assert recipients_problem(["a@b.example", "c"]) is not None
