"""Sealing under the master key."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tollway.adapters.system.secrets import AesGcmBox, load_master_key, new_master_key
from tollway.app.ports import SecretError

KEY = bytes(range(32))


def test_what_was_sealed_opens():
    """The secret comes back for its purpose."""
    box = AesGcmBox(KEY)
    assert box.open(box.seal(b"secret", "pepper|1"), "pepper|1") == b"secret"


def test_no_two_envelopes_are_equal():
    """The nonce is drawn anew each time."""
    box = AesGcmBox(KEY)
    assert box.seal(b"secret", "p") != box.seal(b"secret", "p")


def test_another_purpose_does_not_open():
    """An envelope moved to another row stays shut."""
    box = AesGcmBox(KEY)
    with pytest.raises(SecretError, match="does not open"):
        box.open(box.seal(b"secret", "pepper|1"), "pepper|2")


def test_another_master_key_does_not_open():
    """The message says what to look at."""
    with pytest.raises(SecretError, match="master key"):
        AesGcmBox(KEY[::-1]).open(AesGcmBox(KEY).seal(b"secret", "p"), "p")


def test_every_flipped_bit_is_noticed():
    """Damage never yields another secret."""
    box = AesGcmBox(KEY)
    envelope = box.seal(b"secret", "p")
    for place in range(len(envelope) * 8):
        damaged = bytearray(envelope)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(SecretError):
            box.open(bytes(damaged), "p")


@pytest.mark.parametrize("length", range(33))
def test_a_cut_envelope_is_noticed(length):
    """Too short to be one."""
    with pytest.raises(SecretError, match="damaged"):
        AesGcmBox(KEY).open(AesGcmBox(KEY).seal(b"", "p")[:length], "p")


def test_a_box_with_both_keys_opens_what_either_sealed():
    """While the master key is changed, the new one seals and both open."""
    old, new = AesGcmBox(KEY), AesGcmBox(KEY[::-1])
    both = AesGcmBox(KEY[::-1], KEY)
    assert both.open(old.seal(b"one", "p"), "p") == b"one"
    assert both.open(new.seal(b"two", "p"), "p") == b"two"
    assert new.open(both.seal(b"three", "p"), "p") == b"three"
    with pytest.raises(SecretError, match="master key"):
        old.open(both.seal(b"four", "p"), "p")


def test_an_envelope_of_the_first_version_opens():
    """It names no key: each is tried."""
    first = b"\x01" + bytes(12) + AESGCM(KEY).encrypt(bytes(12), b"secret", b"p")
    assert AesGcmBox(KEY).open(first, "p") == b"secret"
    assert AesGcmBox(KEY[::-1], KEY).open(first, "p") == b"secret"
    with pytest.raises(SecretError, match="master key"):
        AesGcmBox(KEY[::-1]).open(first, "p")
    for length in range(len(first)):
        with pytest.raises(SecretError):
            AesGcmBox(KEY).open(first[:length], "p")


def test_a_key_of_another_length_is_none():
    """The first one and all others."""
    for keys in ((KEY[:31],), (KEY, b"")):
        with pytest.raises(SecretError, match="32 bytes"):
            AesGcmBox(*keys)


def test_an_envelope_does_not_tell_the_key():
    """The id in it is no part of the key."""
    envelope = AesGcmBox(KEY).seal(b"", "p")
    assert envelope[1:5] not in KEY


def test_a_new_master_key_loads():
    """Text of 43 characters; whitespace around it and padding do not matter."""
    text = new_master_key()
    assert len(text) == 43
    assert load_master_key(f"  {text}=\n") == load_master_key(text)
    AesGcmBox(load_master_key(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("not base64!", "not base64url"),
        ("a" * 41, "not base64url"),
        ("a/+b" * 11, "not base64url"),
        ("ключ", "not base64url"),
        ("YWJj", "has 3 bytes"),
        ("A" * 43 + "YWJj", "not base64url"),
    ],
)
def test_a_wrong_master_key_is_explained(text, message):
    """What is wrong is said, what was given is not."""
    with pytest.raises(SecretError, match=message) as raised:
        load_master_key(text)
    assert not text.strip() or text.strip() not in str(raised.value)


def test_a_short_key_makes_no_box():
    """Nothing is sealed under a weak key."""
    with pytest.raises(SecretError):
        AesGcmBox(b"short")
