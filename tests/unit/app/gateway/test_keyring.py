"""Credentials checked once per configuration."""

from dataclasses import replace

import pytest

from tests.fakes.pipeline import KEY, RECORD, snapshot
from tollway.app.gateway import keyring as module
from tollway.app.gateway.keyring import Keyring

NOW_S = 1_795_000_000.0


def test_a_known_credential_is_not_checked_again(monkeypatch):
    """The second use finds the same principal; no checksum, no HMAC."""
    ring, config = Keyring(), snapshot()
    first = ring.open(KEY.encode(), config, NOW_S)
    assert first is not None
    monkeypatch.setattr(module, "split_key", None)
    assert ring.open(KEY.encode(), config, NOW_S) is first


def test_a_newer_configuration_starts_anew():
    """A revoked key opens nothing as soon as the snapshot says so."""
    ring = Keyring()
    assert ring.open(KEY.encode(), snapshot(), NOW_S) is not None
    revoked = snapshot(keys={RECORD.id: replace(RECORD, revoked_s=1.0)})
    assert ring.open(KEY.encode(), revoked, NOW_S) is None
    assert ring.open(KEY.encode(), snapshot(keys={}), NOW_S) is None


def test_expiry_is_judged_on_each_use():
    """A key that was good a second ago is refused when its time is over."""
    ring, config = Keyring(), snapshot(keys={RECORD.id: replace(RECORD, expires_s=NOW_S + 1)})
    assert ring.open(KEY.encode(), config, NOW_S) is not None
    assert ring.open(KEY.encode(), config, NOW_S + 1) is None


@pytest.mark.parametrize("wrong", [KEY[:-1] + "0", KEY + "0", "", KEY.upper()])
def test_nothing_close_to_a_key_opens(wrong):
    """Also right after the true one was seen."""
    ring, config = Keyring(), snapshot()
    assert ring.open(KEY.encode(), config, NOW_S) is not None
    if wrong != KEY:
        assert ring.open(wrong.encode(), config, NOW_S) is None


def test_the_memory_is_bounded(monkeypatch):
    """At the cap it forgets and goes on."""
    monkeypatch.setattr(module, "_MAX_ENTRIES", 0)
    ring, config = Keyring(), snapshot()
    assert ring.open(KEY.encode(), config, NOW_S) is not None
    assert ring.open(KEY.encode(), config, NOW_S) is not None
