"""Envelopes of providers' secrets, bound to owner, provider and origin."""

from dataclasses import replace

import pytest

from tollway.adapters.system.secrets import AesGcmBox
from tollway.app.admin.sealing import open_credential, purpose_of, seal_credential
from tollway.app.ports import SecretError
from tollway.app.views import ProviderView
from tollway.domain.provider import ProviderKind, ProviderRecord

BOX = AesGcmBox(bytes(32))
VIEW = ProviderView("prv_1", "one", ProviderKind.OPENAI, "https://API.example.com/v1", "ten_a")
RECORD = ProviderRecord("prv_1", "one", ProviderKind.OPENAI, "https://api.example.com/v2", "ten_a")


def test_the_purpose():
    """Stored envelopes are bound to this text: it never changes."""
    assert purpose_of(VIEW) == "credential|ten_a|prv_1|https://api.example.com:443"
    free = replace(VIEW, tenant_id=None, base_url="http://[::1]:8000")
    assert purpose_of(free) == "credential|platform|prv_1|http://[::1]:8000"


def test_what_the_command_seals_the_record_opens():
    """Views and records of one provider have one purpose."""
    assert open_credential(BOX, RECORD, seal_credential(BOX, VIEW, "sk-1")) == "sk-1"


@pytest.mark.parametrize(
    "changes",
    [{"tenant_id": None}, {"tenant_id": "ten_b"}, {"id": "prv_2"}, {"base_url": "https://b.c"}],
)
def test_a_moved_envelope_stays_shut(changes):
    """Another owner, provider or origin is another purpose."""
    envelope = seal_credential(BOX, VIEW, "sk-1")
    with pytest.raises(SecretError):
        open_credential(BOX, replace(VIEW, **changes), envelope)
