"""A notice as a mail, and what an address must look like. The headers are written by the standard
library's policy for SMTP, which refuses line ends; nothing here puts one together from text.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from tollway.domain.brand import NAME
from tollway.domain.notice import Notice, NoticeFormat, body, title_line

MAX_RECIPIENTS = 10
# RFC 5321's mailbox in ASCII, without quoted local parts, comments and address literals, and
# without the question mark: there is no encoded word without one.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?P<local>{_ATOM}(?:\.{_ATOM})*)@(?P<domain>{_LABEL}(?:\.{_LABEL})*)")


def address_problem(address: str) -> str | None:
    """Why this is no address to write to; None when it is one."""
    match = _ADDRESS.fullmatch(address) if len(address) <= 254 else None
    if match is None or len(match["local"]) > 64:
        return "Write a mail address as name@example.com, in ASCII."
    return None


def recipients_problem(recipients: Sequence[str]) -> str | None:
    """Why these are no recipients: none, more than ten, one twice, one that is no address."""
    if not 1 <= len(recipients) <= MAX_RECIPIENTS:
        return f"A mail has 1 to {MAX_RECIPIENTS} recipients."
    if len({address.lower() for address in recipients}) < len(recipients):
        return "A recipient is named twice."
    return next(filter(None, map(address_problem, recipients)), None)


def compose(notice: Notice, *, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """The mail, the same every time: who gets it again after a failure can tell by its id. Raises
    ValueError when the sender or a recipient is no address."""
    problem = address_problem(sender) or recipients_problem(recipients)
    if problem is not None:
        raise ValueError(problem)
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(display_name=NAME, addr_spec=sender)
    mail["To"] = tuple(Address(addr_spec=address) for address in recipients)
    mail["Subject"] = _subject(notice)
    mail["Date"] = datetime.fromtimestamp(notice.at_s, UTC)
    mail["Message-ID"] = f"<{notice.id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    text = body(notice, NoticeFormat.EMAIL).decode()
    mail.set_content(text, cte="quoted-printable")
    return mail


def _subject(notice: Notice) -> str:
    # The library decodes `=?utf-8?q?...?=` in a value it is given, and before CPython 3.11.10 wrote
    # the line ends that were inside as they are (CVE-2024-6923): no value may hold an encoded word.
    return f"[{NAME}] {title_line(notice)}".replace("=?", "= ?")
