"""Who sends notices: the webhook's sender behind the same guard as tenants' providers, and the
mail's through the operator's server. For the keeper only; both block.
"""

import ssl

from tollway.adapters.http.guard import any_forbidden
from tollway.adapters.http.resolver import system_lookup
from tollway.adapters.http.tls import client_context
from tollway.adapters.notices.dialing import Dialer
from tollway.adapters.notices.mail import MailSender
from tollway.adapters.notices.webhook import WebhookSender
from tollway.domain.notice_mail import address_problem
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


def _dialer() -> Dialer:
    return Dialer(lookup=system_lookup, any_forbidden=any_forbidden)
