"""The mail server's URL."""

import time

import pytest

from tollway.domain.result import Err, Ok
from tollway.domain.smtp_url import SmtpServer, parse_smtp_url


def server(url: str) -> SmtpServer:
    parsed = parse_smtp_url(url)
    assert isinstance(parsed, Ok)
    return parsed.value


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example", SmtpServer("mail.example", 587, False)),
        ("smtp://mail.example/", SmtpServer("mail.example", 587, False)),
        ("smtps://Mail.example", SmtpServer("mail.example", 465, True)),
        ("smtp://mail.example:25", SmtpServer("mail.example", 25, False)),
        ("smtp://u:p@mail.example:2525", SmtpServer("mail.example", 2525, False, "u", "p")),
        ("smtps://a%40b.example:p%3A%2F%40%25@mail.example",
         SmtpServer("mail.example", 465, True, "a@b.example", "p:/@%")),
        ("smtp://u:p:q@[::1]:25", SmtpServer("::1", 25, False, "u", "p:q")),
        ("smtp://u:%c3%bc@[2606:4700::465]", SmtpServer("2606:4700::465", 587, False, "u", "ü")),
        ("smtp://10.0.0.5", SmtpServer("10.0.0.5", 587, False)),
    ],
)  # fmt: skip
def test_read(url: str, expected: SmtpServer) -> None:
    """Host, port by the scheme where none is written, user and password without escapes."""
    assert server(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "", "mail.example", "http://mail.example", "smtp://", "smtp:mail.example", "smtp://:25",
        "smtp://secret@mail.example", "smtp://:secret@mail.example", "smtp://u:@mail.example",
        "smtp://mail.example/secret", "smtp://mail.example?secret", "smtp://mail.example#secret",
        "smtp://mail.example:0", "smtp://mail.example:99999", "smtp://mail.example:secret",
        "smtp://127.1", "smtp://mail example", "smtp://u:secret%0d%0a@mail.example",
        "smtp://mäil.example", "smtp://[::1", "smtp://mail.example\r\n.example:25x",
        "smtp://u:secret%00@mail.example", "smtp://u:secret%ff@mail.example",
        "smtp://u:secret%@mail.example", "smtp://u:secret#@mail.example", "smtp://u:se@cret@h.example",
    ],
)  # fmt: skip
def test_not_read(url: str) -> None:
    """The message does not repeat what may be a password."""
    parsed = parse_smtp_url(url)
    assert isinstance(parsed, Err)
    assert "secret" not in parsed.error


@pytest.mark.parametrize(
    ("url", "needed"),
    [
        ("smtp://mail.example", True), ("smtp://10.0.0.5", True), ("smtp://localhost.a", True),
        ("smtp://localhost:1025", False), ("smtp://127.0.0.1", False), ("smtp://127.8.8.8", False),
        ("smtp://[::1]", False), ("smtps://mail.example", False),
    ],
)  # fmt: skip
def test_encryption_is_asked_for_outside_this_machine(url: str, needed: bool) -> None:
    """`smtps` has it already."""
    assert server(url).starttls is needed


def test_what_may_be_shown() -> None:
    """Neither user nor password; no password in a log by accident."""
    assert server("smtp://u:secret@mail.example").place == "smtp://mail.example:587"
    assert server("smtps://u:secret@[::1]").place == "smtps://[::1]:465"
    assert "secret" not in repr(server("smtp://u:secret@mail.example"))


def test_reading_takes_no_time() -> None:
    """The pattern has no repeat inside a repeat: a long password with a wrong sign at its end is
    refused in the time of one pass."""
    began = time.process_time()
    for password in ("a" * 5000, "a:" * 2500, "%41" * 2000):
        assert isinstance(parse_smtp_url(f"smtp://u:{password}#"), Err)
    assert time.process_time() - began < 1
