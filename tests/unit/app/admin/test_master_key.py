"""The master key is changed: everything opens with the new one, whatever happens on the way."""

import pytest

from tests.fakes.database import configuration as make_configuration
from tests.fakes.database import database
from tollway.adapters.system.secrets import AesGcmBox
from tollway.app.admin.commands.master_key import Rewrapped, _rewrap_credentials, rewrap
from tollway.app.admin.commands.peppers import ensure_pepper, open_peppers
from tollway.app.admin.sealing import open_credential, seal_credential
from tollway.app.ports import SecretError
from tollway.app.views import CredentialView, ProviderView, TenantView
from tollway.domain.provider import ProviderKind

OLD, NEW = AesGcmBox(bytes(32)), AesGcmBox(b"n" * 32)
BOTH = AesGcmBox(b"n" * 32, bytes(32))
SHARED = ProviderView("prv_1", "one", ProviderKind.OPENAI, "https://api.example.com/v1")
OWN = ProviderView("prv_2", "two", ProviderKind.OPENAI, "https://b.example/v1", "ten_1")


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
    """One pepper, five sealed credentials of two owners, one reference."""
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
        return peppers, [open_credential(box, provider, kept) for _, provider, kept in found]


EVERYTHING = ({1: b"p" * 32}, [f"sk-{number}" for number in range(5)])


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_all_secrets_move(configuration, batch):
    """In batches of any size; the old key opens nothing any more."""
    done = rewrap(configuration, old_box=OLD, new_box=NEW, batch=batch)
    assert (done.moved, done.kept, done.unopened) == (6, 0, [])
    assert opened(configuration, NEW) == EVERYTHING
    with pytest.raises(SecretError):
        opened(configuration, OLD)


def test_a_second_run_moves_nothing(configuration):
    """Then the old key can go. No version is written for nothing."""
    rewrap(configuration, old_box=OLD, new_box=NEW)
    with configuration.read() as uow:
        before = uow.providers.get("prv_1").version
    done = rewrap(configuration, old_box=OLD, new_box=NEW)
    assert (done.moved, done.kept) == (0, 6)
    with configuration.read() as uow:
        assert uow.providers.get("prv_1").version == before


@pytest.mark.parametrize("seals", range(6))
def test_a_crash_anywhere(configuration, seals):
    """What both keys open is whole at every instant, and the next run ends the work."""
    with pytest.raises(Crash):
        rewrap(configuration, old_box=OLD, new_box=CrashingBox(seals), batch=2)
    assert opened(configuration, BOTH) == EVERYTHING
    done = rewrap(configuration, old_box=OLD, new_box=NEW, batch=2)
    assert done.moved + done.kept == 6
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
        uow.commit()
    done = rewrap(configuration, old_box=OLD, new_box=NEW, batch=2)
    assert (done.moved, done.unopened) == (6, ["crd_7"])


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
