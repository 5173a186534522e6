"""Who sends notices: the webhook's sender behind the same guard as tenants' providers, and the
mail's through the operator's server. For the keeper and the admin process; all block.
"""

import ssl
import time

from tollway.adapters.http.guard import any_forbidden
from tollway.adapters.http.resolver import system_lookup
from tollway.adapters.http.tls import client_context
from tollway.adapters.notices.dialing import Dialer
from tollway.adapters.notices.mail import MailSender
from tollway.adapters.notices.webhook import WebhookSender
from tollway.app.admin.hook_sealing import open_webhook
from tollway.app.ports import SecretBox
from tollway.app.ports_alerts import Sealed
from tollway.app.views import WebhookView
from tollway.config import Settings
from tollway.domain.notice import Notice, NoticeFormat
from tollway.domain.notice_delivery import Failed, Outcome
from tollway.domain.notice_mail import address_problem
from tollway.domain.notice_posting import write_posting
from tollway.domain.result import Err
from tollway.domain.smtp_url import parse_smtp_url


def build_webhook_sender(ca_file: str | None) -> WebhookSender:
    """Trusts the system's authorities and those in the file. Takes about 20 ms. Raises ValueError
    when the file cannot be read."""
    return WebhookSender(_dialer(), tls=client_context(ca_file))


def build_mail_sender(smtp_url: str, *, sender: str, ca_file: str | None) -> MailSender:
    """Through the server of the URL, from this address. Raises ValueError, whose text repeats
    nothing of the URL, when one of them is not in order."""
    server = parse_smtp_url(smtp_url)
    if isinstance(server, Err):
        raise ValueError(server.error)
    problem = address_problem(sender)
    if problem is not None:
        raise ValueError(f"The sender of mails is no address. {problem}")
    context = ssl.create_default_context()  # not `client_context`: it offers HTTP to the server
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"{ca_file} holds no certificate authorities in PEM form.") from error
    return MailSender(server.value, sender=sender, dialer=_dialer(), tls=context)


class Notices:
    """Implements `app.ports_alerts.NoticeSender`: opens what a webhook keeps closed, and sends."""

    def __init__(self, settings: Settings, box: SecretBox) -> None:
        self._box = box
        self._webhooks = build_webhook_sender(settings.upstream_ca_file)
        self._mails: MailSender | None = None
        if settings.smtp_url is not None and settings.smtp_from is not None:
            self._mails = build_mail_sender(
                settings.smtp_url, sender=settings.smtp_from, ca_file=settings.upstream_ca_file
            )

    def send_now(self, webhook: WebhookView, sealed: Sealed, notice: Notice) -> Outcome:
        """One attempt."""
        if webhook.format is NoticeFormat.EMAIL:
            if self._mails is None:
                return Failed(True, "no mail server is set (TOLLWAY_SMTP_URL)")
            return self._mails.send(notice, webhook.recipients)
        url, secrets = open_webhook(self._box, webhook, sealed)
        try:
            posting = write_posting(
                notice,
                url=url or "",
                owner=webhook.tenant_id,
                notice_format=webhook.format,
                secrets=secrets,
                at_s=int(time.time()),
            )
        except ValueError as error:
            return Failed(False, str(error))
        return self._webhooks.send(posting)


def _dialer() -> Dialer:
    return Dialer(lookup=system_lookup, any_forbidden=any_forbidden)
