"""A sender of notices that sends none."""

from tollway.domain.notice_delivery import Delivered


class FakeSender:
    """Implements `app.ports_alerts.NoticeSender`: remembers what it was given, answers as told."""

    def __init__(self, outcome=None):
        self.outcome = Delivered() if outcome is None else outcome
        self.sent = []

    def send_now(self, webhook, sealed, notice):
        """The outcome it was made with."""
        self.sent.append((webhook, sealed, notice))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome
