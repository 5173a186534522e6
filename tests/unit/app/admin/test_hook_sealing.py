"""What a webhook keeps closed opens for itself alone."""

from dataclasses import replace

import pytest

from tollway.adapters.system.secrets import AesGcmBox
from tollway.app.admin.hook_sealing import open_webhook, seal_webhook
from tollway.app.ports import SecretError
from tollway.app.ports_alerts import Sealed
from tollway.app.views import WebhookView
from tollway.domain.ids import TenantId, WebhookId
from tollway.domain.notice import NoticeFormat

BOX = AesGcmBox(bytes(32))
HOOK = WebhookView(WebhookId("whk_1"), TenantId("ten_1"), "pager", NoticeFormat.JSON)
URL, SECRETS = "https://hooks.example.com/way", (b"n" * 32, b"o" * 32)
SEALED = seal_webhook(BOX, HOOK, url=URL, secrets=SECRETS)


def test_it_opens_as_it_was_sealed():
    """The URL, and the secrets in their order."""
    assert open_webhook(BOX, HOOK, SEALED) == (URL, SECRETS)


def test_a_mail_has_neither():
    """Nothing sealed, nothing opened."""
    assert seal_webhook(BOX, HOOK, url=None, secrets=()) == Sealed(None, ())
    assert open_webhook(BOX, HOOK, Sealed(None, ())) == (None, ())


@pytest.mark.parametrize(
    "other",
    [
        replace(HOOK, id=WebhookId("whk_2")),
        replace(HOOK, tenant_id=TenantId("ten_2")),
        replace(HOOK, tenant_id=None),
    ],
    ids=["another webhook", "another tenant", "the platform"],
)
@pytest.mark.parametrize("part", [Sealed(SEALED.address), Sealed(None, SEALED.secrets)])
def test_moved_to_another_it_does_not_open(other, part):
    """Neither the URL nor a secret."""
    with pytest.raises(SecretError):
        open_webhook(BOX, other, part)


@pytest.mark.parametrize(
    "swapped", [Sealed(SEALED.secrets[0]), Sealed(None, (SEALED.address,))], ids=["url", "secret"]
)
def test_one_use_is_not_the_other(swapped):
    """Who can write rows cannot have a secret posted to as a URL, nor sign with a URL."""
    with pytest.raises(SecretError):
        open_webhook(BOX, HOOK, swapped)
