"""The audit's chain: whatever is done to a row shows, and the first bad row is named."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.domain.audit import GENESIS, Link, first_bad, head_mac, link_digest


def chain(contents):
    links, previous = [], GENESIS
    for seq, content in enumerate(contents, 1):
        digest = link_digest(seq, content, previous)
        links.append(Link(seq, tuple(content), previous, digest))
        previous = digest
    return links


ROWS = chain([("key.created", "key_1", None), ("key.revoked", "key_1", ""), ("x", "y", "z")])


def test_a_whole_chain_gives_its_head():
    """The number and digest of the last row."""
    assert first_bad(ROWS) == (3, ROWS[-1].digest)
    assert first_bad([]) == (0, GENESIS)
    assert first_bad(ROWS[1:], after=1, previous=ROWS[0].digest) == (3, ROWS[-1].digest)


@pytest.mark.parametrize(
    ("rows", "bad"),
    [
        ([replace(ROWS[0], content=("key.created", "key_2", None)), *ROWS[1:]], 1),
        ([ROWS[0], replace(ROWS[1], content=("key.revoked", "key_1", None)), ROWS[2]], 2),
        ([ROWS[0], ROWS[2]], 2),
        (ROWS[1:], 1),
        ([ROWS[1], ROWS[0], ROWS[2]], 1),
        ([ROWS[0], replace(ROWS[1], digest=bytes(32)), ROWS[2]], 2),
        ([ROWS[0], ROWS[1], ROWS[1], ROWS[2]], 3),
        ([*ROWS[:2], replace(ROWS[2], previous=bytes(32))], 3),
    ],
    ids=["changed", "null for empty", "gap", "no head", "swapped", "digest", "twice", "unlinked"],
)
def test_the_first_bad_row_is_named(rows, bad):
    """Changed, removed, moved or slipped in: the number is the first that is not what it was."""
    assert first_bad(rows) == bad


def test_a_recomputed_row_breaks_the_next():
    """Who can compute digests still cannot change one row alone."""
    content = ("forged", "key_1", None)
    forged = Link(1, content, GENESIS, link_digest(1, content, GENESIS))
    assert first_bad([forged, *ROWS[1:]]) == 2


def test_a_cut_tail_shows_by_its_mac_alone():
    """The chain of a cut audit is whole: only the head kept elsewhere tells."""
    assert first_bad(ROWS[:2]) == (2, ROWS[1].digest)
    kept = head_mac(b"secret", 3, ROWS[2].digest)
    assert kept != head_mac(b"secret", 2, ROWS[1].digest)
    assert kept != head_mac(b"other", 3, ROWS[2].digest)
    assert kept == head_mac(b"secret", 3, ROWS[2].digest)


texts = st.lists(st.none() | st.text(max_size=8), max_size=4)


@given(texts, texts)
def test_different_contents_have_different_digests(one, other):
    """Fields cannot run into each other."""
    same = link_digest(1, one, GENESIS) == link_digest(1, other, GENESIS)
    assert same is (one == other)
