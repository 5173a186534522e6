"""The senders as the keeper gets them."""

import ssl
from pathlib import Path

import pytest

from tests.fakes.certificates import Certificates
from tests.fakes.receiver import Receiver, running_receiver
from tests.fakes.smtp_server import SmtpScript, running_smtp_server
from tests.unit.domain.test_notice import made
from tollway.domain.notice import NoticeFormat
from tollway.domain.notice_delivery import Delivered, Failed
from tollway.domain.notice_posting import Posting, write_posting
from tollway.wiring.notices import build_mail_sender, build_webhook_sender


def posting(url: str, owner: str | None) -> Posting:
    return write_posting(
        made(),
        url=url,
        owner=owner,
        notice_format=NoticeFormat.JSON,
        secrets=[b"s" * 32],
        at_s=1,
    )


def test_the_guard_is_on(tmp_path: Path) -> None:
    """The platform's webhook reaches this machine; a tenant's, with a name that leads here by the
    system's own look-up, is refused."""
    certificates = Certificates(tmp_path)
    with running_receiver(Receiver(tls=certificates.server_context())) as receiver:
        sender = build_webhook_sender(str(certificates.ca_file))
        url = f"https://localhost:{receiver.port}/"
        assert sender.send(posting(url, None)) == Delivered()
        for host in ("localhost", "127.0.0.1", "ip6-localhost"):
            outcome = sender.send(posting(f"https://{host}:{receiver.port}/", "ten_1"))
            assert isinstance(outcome, Failed)
    assert receiver.connections == 1


def test_a_mail_goes_through_the_operators_server(tmp_path: Path) -> None:
    """Over TLS, with a certificate from the operator's own authority."""
    certificates = Certificates(tmp_path)
    script = SmtpScript(tls=certificates.server_context(), tls_first=True, user="u@x", password="p")
    with running_smtp_server(script) as running:
        sender = build_mail_sender(
            f"smtps://u%40x:p@localhost:{running.port}",
            sender="alerts@gateway.example",
            ca_file=str(certificates.ca_file),
        )
        assert sender.send(made(), ["ops@acme.example"]) == Delivered()
    assert (script.mails[0].encrypted, script.mails[0].user) == (True, "u@x")


@pytest.mark.parametrize(
    ("url", "sender", "ca_file"),
    [
        ("smtp://secret@", "a@b.example", None),
        ("smtp://mail.example", "secret", None),
        ("smtp://u:secret@mail.example", "a@b.example", "/nowhere/ca.pem"),
    ],
)
def test_settings_that_are_not_in_order(url: str, sender: str, ca_file: str | None) -> None:
    """The error is for the start of a process and holds no password."""
    with pytest.raises(ValueError, match=r"mail|PEM") as caught:
        build_mail_sender(url, sender=sender, ca_file=ca_file)
    assert "secret" not in str(caught.value)


def test_certificates_are_verified() -> None:
    """There is no setting that turns it off."""
    for sender in (
        build_webhook_sender(None),
        build_mail_sender("smtp://mail.example", sender="a@b.example", ca_file=None),
    ):
        assert sender._tls.verify_mode is ssl.CERT_REQUIRED
        assert sender._tls.check_hostname
        assert sender._tls.minimum_version >= ssl.TLSVersion.TLSv1_2
