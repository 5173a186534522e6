"""What a webhook keeps closed at rest: its URL and its signing secrets, each sealed for the
webhook, its owner and its use, so that an envelope moved in the database opens nowhere else.
"""

from collections.abc import Sequence

from tollway.app.ports import SecretBox
from tollway.app.ports_alerts import Sealed
from tollway.app.views import WebhookView

ADDRESS, SECRET = "address", "secret"


def hook_purpose(webhook: WebhookView, use: str) -> str:
    """What is sealed for this use of the webhook."""
    return f"webhook|{webhook.tenant_id or 'platform'}|{webhook.id}|{use}"


def seal_webhook(
    box: SecretBox, webhook: WebhookView, *, url: str | None, secrets: Sequence[bytes]
) -> Sealed:
    """The URL (None: a mail has none) and the signing secrets, the newest first."""
    address = None if url is None else box.seal(url.encode(), hook_purpose(webhook, ADDRESS))
    closed = (box.seal(secret, hook_purpose(webhook, SECRET)) for secret in secrets)
    return Sealed(address, tuple(closed))


def open_webhook(
    box: SecretBox, webhook: WebhookView, sealed: Sealed
) -> tuple[str | None, tuple[bytes, ...]]:
    """URL and secrets, as they were sealed. Raises SecretError."""
    url = None
    if sealed.address is not None:
        url = box.open(sealed.address, hook_purpose(webhook, ADDRESS)).decode()
    purpose = hook_purpose(webhook, SECRET)
    return url, tuple(box.open(envelope, purpose) for envelope in sealed.secrets)
