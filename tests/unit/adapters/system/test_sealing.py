"""Ids that clients carry: nothing but what was sealed opens."""

from tollway.adapters.system.sealing import SivSealing

SECRET, OWNER, PLAIN = b"s" * 16, b"ten_a", b"1\x00prv_1\x00resp_0a1b"


def test_what_was_sealed_opens_and_is_the_same_each_time():
    """In any process: nothing is drawn, nothing is kept."""
    sealed = SivSealing().seal(PLAIN, secret=SECRET, owner=OWNER)
    assert SivSealing().seal(PLAIN, secret=SECRET, owner=OWNER) == sealed
    assert SivSealing().open(sealed, secret=SECRET, owner=OWNER) == PLAIN
    assert PLAIN not in sealed
    assert b"resp_0a1b" not in sealed


def test_another_owner_or_secret_opens_nothing():
    """Each alone is enough."""
    sealed = SivSealing().seal(PLAIN, secret=SECRET, owner=OWNER)
    assert SivSealing().open(sealed, secret=SECRET, owner=b"ten_b") is None
    assert SivSealing().open(sealed, secret=b"t" * 16, owner=OWNER) is None


def test_every_bit_counts():
    """One bit changed, one byte less, one byte more."""
    sealing = SivSealing()
    sealed = sealing.seal(PLAIN, secret=SECRET, owner=OWNER)
    for place in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[place // 8] ^= 1 << (place % 8)
        assert sealing.open(bytes(changed), secret=SECRET, owner=OWNER) is None
    for length in range(len(sealed)):
        assert sealing.open(sealed[:length], secret=SECRET, owner=OWNER) is None
    assert sealing.open(sealed + b"\x00", secret=SECRET, owner=OWNER) is None


def test_equal_things_of_two_owners_look_different():
    """Nobody can tell that two ids mean one response, nor how two of them differ."""
    sealing = SivSealing()
    one, other = (sealing.seal(PLAIN, secret=SECRET, owner=who) for who in (b"a", b"b"))
    near = sealing.seal(PLAIN[:-1] + b"c", secret=SECRET, owner=b"a")
    assert one[:16] != other[:16]
    assert one[16:24] != near[16:24]
