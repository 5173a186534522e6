"""Sending a notice to a webhook: the door of the job that tells events, and of the admin API's
test.
"""

from typing import Protocol

from tollway.app.ports_alerts import Sealed
from tollway.app.views import WebhookView
from tollway.domain.notice import Notice
from tollway.domain.notice_delivery import Outcome


class NoticeSender(Protocol):
    """Sends one notice to one webhook, once. Blocks for ten seconds at most. Raises SecretError
    when what is sealed cannot be opened, and nothing else."""

    def send_now(self, webhook: WebhookView, sealed: Sealed, notice: Notice) -> Outcome:
        """What became of it."""
