"""The master key is changed: everything opens with the new one, whatever happens on the way."""

from dataclasses import replace

import pytest

from tests.fakes.database import configuration as make_configuration
from tests.fakes.database import database
from tollway.adapters.system.secrets import AesGcmBox
from tollway.app.admin.commands.master_key import Rewrapped, _rewrap_credentials, rewrap
from tollway.app.admin.commands.peppers import ensure_pepper, open_peppers
from tollway.app.admin.hook_sealing import open_webhook, seal_webhook
from tollway.app.admin.sealing import open_credential, seal_credential
from tollway.app.ports import SecretError
from tollway.app.ports_alerts import Sealed
from tollway.app.views import CredentialView, ProviderView, TenantView, WebhookView
from tollway.domain.notice import NoticeFormat
from tollway.domain.provider import ProviderKind

OLD, NEW = AesGcmBox(bytes(32)), AesGcmBox(b"n" * 32)
BOTH = AesGcmBox(b"n" * 32, bytes(32))
SHARED = ProviderView("prv_1", "one", ProviderKind.OPENAI, "https://api.example.com/v1")
OWN = ProviderView("prv_2", "two", ProviderKind.OPENAI, "https://b.example/v1", "ten_1")
HOOKS = (
    (WebhookView("whk_1", "ten_1", "signs twice", NoticeFormat.JSON), "https://a/1", (b"n", b"o")),
    (WebhookView("whk_2", None, "signs not", NoticeFormat.SLACK), "https://a/2", ()),
    (WebhookView("whk_3", None, "a mail", NoticeFormat.EMAIL), None, ()),
)


class Crash(Exception):
    """The process dies."""


class CrashingBox:
    """The new box, until it has sealed so many."""

    def __init__(self, seals: int) -> None:
        self.left = seals

    def seal(self, secret: bytes, purpose: str) -> bytes:
        if not self.left:
            raise Crash
        self.left -= 1
        return NEW.seal(secret, purpose)

    def open(self, envelope: bytes, purpose: str) -> bytes:
        return NEW.open(envelope, purpose)


@pytest.fixture
def configuration(tmp_path):
    """One pepper, five sealed credentials of two owners, one reference; of three webhooks, two with
    a URL and one of them with two secrets."""
    engine = database(tmp_path)
    made = make_configuration(engine)
    with made.begin() as uow:
        ensure_pepper(uow, OLD, lambda size: b"p" * size)
        uow.tenants.add(TenantView("ten_1", "t", "T"), b"salt")
        for provider in (SHARED, OWN):
            uow.providers.add(provider)
        for number in range(5):
            add(uow, number, OLD, OWN if number % 2 else SHARED)
        uow.providers.add_credential(CredentialView("crd_9", "prv_1", "env:A"), None)
        for hook, url, secrets in HOOKS:
            uow.webhooks.add(hook, seal_webhook(OLD, hook, url=url, secrets=secrets))
        uow.commit()
    yield made
    engine.dispose()


def add(uow, number, box, provider):
    envelope = seal_credential(box, provider, f"sk-{number}")
    uow.providers.add_credential(
        CredentialView(f"crd_{number}", provider.id, sealed=True), envelope
    )


def opened(configuration, box):
    """All secrets there are, as this box opens them."""
    with configuration.read() as uow:
        peppers = open_peppers(box, uow.peppers.every())
        found = uow.providers.sealed("", 100)
        hooks = [open_webhook(box, hook, uow.webhooks.sealed(hook.id)) for hook, _, _ in HOOKS]
        return peppers, [open_credential(box, provider, kept) for _, provider, kept in found], hooks


EVERYTHING = (
    {1: b"p" * 32},
    [f"sk-{number}" for number in range(5)],
    [(url, secrets) for _, url, secrets in HOOKS],
)
ENVELOPES = 10


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_all_secrets_move(configuration, batch):
    """In batches of any size; the old key opens nothing any more."""
    done = rewrap(configuration, old_box=OLD, new_box=NEW, batch=batch)
    assert (done.moved, done.kept, done.unopened) == (ENVELOPES, 0, [])
    assert opened(configuration, NEW) == EVERYTHING
    with pytest.raises(SecretError):
        opened(configuration, OLD)


def test_a_second_run_moves_nothing(configuration):
    """Then the old key can go. No version is written for nothing."""
    rewrap(configuration, old_box=OLD, new_box=NEW)
    with configuration.read() as uow:
        before = uow.providers.get("prv_1").version
    done = rewrap(configuration, old_box=OLD, new_box=NEW)
    assert (done.moved, done.kept) == (0, ENVELOPES)
    with configuration.read() as uow:
        assert uow.providers.get("prv_1").version == before


@pytest.mark.parametrize("seals", range(ENVELOPES))
def test_a_crash_anywhere(configuration, seals):
    """What both keys open is whole at every instant, and the next run ends the work."""
    with pytest.raises(Crash):
        rewrap(configuration, old_box=OLD, new_box=CrashingBox(seals), batch=2)
    assert opened(configuration, BOTH) == EVERYTHING
    done = rewrap(configuration, old_box=OLD, new_box=NEW, batch=2)
    assert done.moved + done.kept == ENVELOPES
    assert opened(configuration, NEW) == EVERYTHING


def test_publishers_hear_of_it(configuration):
    """A provider with a new envelope has a new version: workers have it before the old key goes."""
    with configuration.read() as uow:
        before = uow.providers.get("prv_1").version
    rewrap(configuration, old_box=OLD, new_box=NEW)
    with configuration.read() as uow:
        assert uow.providers.get("prv_1").version > before
        assert uow.providers.get("prv_2").version > before


def test_a_wrong_old_key_changes_nothing(configuration):
    """The pepper is asked first."""
    with pytest.raises(SecretError, match="pepper"):
        rewrap(configuration, old_box=AesGcmBox(b"w" * 32), new_box=NEW)
    assert opened(configuration, OLD) == EVERYTHING


@pytest.mark.parametrize("new_box", [OLD, BOTH], ids=["the same", "opens with both"])
def test_a_new_box_that_opens_the_old_envelopes(configuration, new_box):
    """Everything would look moved already."""
    with pytest.raises(ValueError, match="the old one"):
        rewrap(configuration, old_box=OLD, new_box=new_box)
    assert opened(configuration, OLD) == EVERYTHING


def test_what_opens_with_neither_key_is_named(configuration):
    """And keeps nothing else from moving."""
    with configuration.begin() as uow:
        add(uow, 7, AesGcmBox(b"x" * 32), OWN)
        lost = WebhookView("whk_4", "ten_1", "lost", NoticeFormat.JSON)
        good = seal_webhook(OLD, lost, url="https://a/4", secrets=())
        bad = seal_webhook(AesGcmBox(b"x" * 32), lost, url=None, secrets=(b"n",))
        uow.webhooks.add(lost, Sealed(good.address, bad.secrets))
        uow.commit()
    done = rewrap(configuration, old_box=OLD, new_box=NEW, batch=2)
    assert (done.moved, done.unopened) == (ENVELOPES, ["crd_7", "whk_4"])


def test_a_secret_replaced_meanwhile_stays(configuration):
    """Another administrator's new secret is never overwritten with the old one."""

    class Meanwhile(CrashingBox):
        def __init__(self, uow):
            super().__init__(1)
            self.uow = uow

        def seal(self, secret, purpose):
            late = seal_credential(OLD, SHARED, "sk-late")
            self.uow.providers.save_credential(CredentialView("crd_0", "prv_1", sealed=True), late)
            return super().seal(secret, purpose)

    with configuration.begin() as uow:
        found = uow.providers.sealed("", 1)
        done = Rewrapped()
        _rewrap_credentials(uow, found, old_box=OLD, new_box=Meanwhile(uow), done=done)
        uow.commit()
    assert done.moved == 0
    assert opened(configuration, OLD)[1][0] == "sk-late"


def test_a_deleted_tenants_webhook_moves_too(configuration):
    """It can be restored."""
    with configuration.begin() as uow:
        tenant = uow.tenants.get("ten_1")
        uow.tenants.save(replace(tenant, deleted_s=uow.now_s))
        uow.commit()
    rewrap(configuration, old_box=OLD, new_box=NEW)
    with configuration.begin() as uow:
        uow.tenants.save(tenant)
        hook, url, secrets = HOOKS[0]
        assert open_webhook(NEW, hook, uow.webhooks.sealed(hook.id)) == (url, secrets)
