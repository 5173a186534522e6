"""Tokens for the admin API."""

import re

import pytest

from tollway.domain.key import checksum, make_key, split_key
from tollway.domain.token import (
    TOKEN_PATTERN,
    digest_token,
    make_token,
    split_token,
    token_matches,
    token_prefix,
)

ENTROPY = bytes(range(41))


def test_a_token_is_read_back_as_it_was_made() -> None:
    """Id and secret come out of the text that make_token gave."""
    token_id, text = make_token(ENTROPY)
    split = split_token(text)
    assert split is not None
    assert split[0] == token_id
    assert token_matches(*split, digest_token(*split))
    assert not token_matches(token_id, split[1][:-1] + "0", digest_token(*split))
    assert re.fullmatch(TOKEN_PATTERN, text)
    assert text.startswith(token_prefix(text)) and split[1] not in token_prefix(text)


def test_neither_door_takes_the_others_credential() -> None:
    """A key is no token and a token is no key, whatever env the key has."""
    assert split_key(make_token(ENTROPY)[1]) is None
    for env in ("live", "test", "demo"):
        key = make_key(env, ENTROPY)[1]
        assert split_token(key) is None
        assert re.search(TOKEN_PATTERN, key) is None


@pytest.mark.parametrize("place", range(len(make_token(ENTROPY)[1])))
def test_one_wrong_character_anywhere_is_refused(place: int) -> None:
    """The checksum, the prefix and the lengths notice every single change, with no look-up."""
    text = make_token(ENTROPY)[1]
    wrong = "0" if text[place] != "0" else "1"
    assert split_token(text[:place] + wrong + text[place + 1 :]) is None


@pytest.mark.parametrize(
    "text", ["", "twp_", "twp", make_token(ENTROPY)[1] + "0", "é" * 67, "_" * 67, "\x00" * 67]
)
def test_what_is_no_token_is_refused(text: str) -> None:
    """Nothing but the exact form is split."""
    assert split_token(text) is None


@pytest.mark.parametrize(("id_chars", "secret_chars"), [(13, 42), (11, 44), (0, 55)])
def test_a_right_checksum_over_wrong_parts_is_refused(id_chars: int, secret_chars: int) -> None:
    """The lengths of id and secret count each, not only their sum."""
    head = f"twp_{'a' * id_chars}_{'b' * secret_chars}"
    assert split_token(f"{head}_{checksum(head)}") is None


def test_a_digest_is_bound_to_its_token() -> None:
    """A row moved under another id opens nothing."""
    assert digest_token("tok_a", "secret") != digest_token("tok_b", "secret")


def test_a_token_takes_exactly_its_entropy() -> None:
    """Less would be guessable."""
    with pytest.raises(ValueError, match="41"):
        make_token(bytes(40))
