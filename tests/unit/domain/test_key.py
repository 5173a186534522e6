"""API keys: form, checksum, digest, validity."""

import re
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.domain.key import (
    BASE62,
    KEY_ENVS,
    KEY_PATTERN,
    KeyRecord,
    checksum,
    digest_key,
    is_live,
    make_key,
    masked,
    matches,
    split_key,
)

ENTROPY = bytes(range(41))
KEY_ID, KEY = make_key("live", ENTROPY)
SECRET = KEY.split("_")[3]
RECORD = KeyRecord(KEY_ID, "ten_a", digest_key(b"pepper", "ten_a", KEY_ID, SECRET), 1)


def test_the_form_never_changes():
    """Keys that were given out must open the same door for ever."""
    assert KEY == "tw_live_005McJmDgrvc_28tXK1Or6W6dxxtkBjpgyO1OMqFi6605981s6EEnt4y_3VBPYt"
    assert KEY_ID == "key_005McJmDgrvc"
    assert RECORD.digest.hex() == (
        "036432bb830a55069d6b9cf0ed3c8a59d60a7b0818649fac6092babdb71b7693"
    )


def test_the_checksum_is_crc32_in_base62():
    """Anyone can check a key without us: CRC32 of all before the last underscore, in base62."""
    head, _, digits = KEY.rpartition("_")
    number = 0
    for digit in digits:
        number = number * 62 + BASE62.index(digit)
    assert number == zlib.crc32(head.encode())
    assert checksum(head) == digits


@given(st.sampled_from(KEY_ENVS), st.binary(min_size=41, max_size=41))
def test_a_made_key_splits_into_its_parts(env, entropy):
    """Id and secret come back, whatever the entropy; the public pattern finds the key."""
    key_id, key = make_key(env, entropy)
    assert split_key(key) == (key_id, key.split("_")[3])
    assert re.fullmatch(KEY_PATTERN, key)
    assert re.search(KEY_PATTERN, f"x={key};")


@given(st.integers(0, len(KEY) - 1), st.sampled_from(BASE62))
def test_one_wrong_character_is_seen(place, character):
    """CRC32 sees every change of one character, so a typing error costs no look-up."""
    wrong = KEY[:place] + character + KEY[place + 1 :]
    assert (split_key(wrong) is None) == (wrong != KEY)


def with_checksum(head):
    return f"{head}_{checksum(head)}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tw_live",
        KEY + "x",
        KEY[:-1],
        KEY.replace("tw_", "sk_"),
        KEY.replace("live", "prod"),
        "é" * len(KEY),
        KEY.replace("_", "-"),
        with_checksum(KEY[:71].rpartition("_")[0].replace("live", "1ive")),
        with_checksum("tw_live_005McJmDgrv_" + "c" * 44),
        with_checksum("tw_live_005McJmDgr-c_" + SECRET),
        with_checksum("tw_live_005McJmDgrvc_" + "-" * 43),
        with_checksum("xx_live_005McJmDgrvc_" + SECRET),
    ],
)
def test_other_texts_are_no_keys(text):
    """Length, prefix, environment, parts and alphabet are checked besides the checksum."""
    assert split_key(text) is None


@pytest.mark.parametrize(("env", "size"), [("prod", 41), ("live", 40), ("live", 42)])
def test_making_a_key_takes_the_right_parts(env, size):
    """A caller's mistake is loud."""
    with pytest.raises(ValueError, match="a key takes"):
        make_key(env, bytes(size))


def test_the_digest_binds_tenant_key_and_pepper():
    """A stored digest is worth nothing under another tenant, id or pepper."""
    assert matches(RECORD, b"pepper", SECRET)
    assert not matches(RECORD, b"pepper", SECRET[:-1])
    assert not matches(RECORD, b"other", SECRET)
    assert not matches(replace(RECORD, tenant_id="ten_b"), b"pepper", SECRET)
    assert not matches(replace(RECORD, id="key_other"), b"pepper", SECRET)


@pytest.mark.parametrize(
    ("times", "live"),
    [
        ({}, True),
        ({"expires_s": 101.0}, True),
        ({"expires_s": 100.0}, False),
        ({"not_before_s": 100.0}, True),
        ({"not_before_s": 101.0}, False),
        ({"not_before_s": 50.0, "expires_s": 150.0}, True),
        ({"revoked_s": 999.0}, False),
    ],
)
def test_a_key_lives_from_its_beginning_to_its_end(times, live):
    """Valid from `not_before` on, not at `expires` any more, and never once revoked."""
    assert is_live(replace(RECORD, **times), 100.0) is live


def test_a_masked_key_opens_nothing():
    """Prefix, id and four characters remain; the secret does not."""
    shown = masked(KEY)
    assert shown == "tw_live_005McJmDgrvc_…BPYt"
    assert SECRET[:4] not in shown
