"""Texts of others, made fit to show."""

import pytest

from tollway.dialects.redact import redact, shown
from tollway.domain.key import make_key

KEY = make_key("live", bytes(range(41)))[1]


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        "sk-proj-abcDEF0123456789_-xyz",
        "sk-ant-api03-abcdefgh",
        "sk-***************wxyz",
        "gsk_abcdefghijklmnop",
        "hf_abcdefghijklmnop",
        "AIzaSyA0123456789abcdefghijklmnopq",
        "ya29.c.c0ASRK0Ga0123456789",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
    ],
)
def test_secrets_are_taken_out(secret):
    """Keys by their form, wherever they stand in a sentence."""
    for text in (f"bad key {secret}.", f"'{secret}'", f"key={secret}&x", f"{secret}"):
        assert secret not in redact(text)
        assert "[redacted]" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abc123xyz",
        "got basic dXNlcjpwYXNz",
        "API key provided: hunter2hunter",
    ],
)
def test_secrets_without_a_form_are_known_by_what_stands_before(text):
    """What follows `Bearer` or `key provided:` is a credential whatever it looks like."""
    assert text.rsplit(" ", 1)[1] not in redact(text)


def test_known_secrets_are_taken_out():
    """A caller that knows the credential has it removed by value; an empty one changes nothing."""
    assert redact("no plainword here", ("plainword", "")) == "no [redacted] here"


@pytest.mark.parametrize("kept", range(3, 16))
def test_a_secret_cut_by_the_end_is_taken_out(kept):
    """A text made short may end inside the secret: from four characters on that is a leak."""
    text = shown("x" * (499 - kept) + "plainwordsecret!" + "y" * 500)
    assert text.endswith("plainwordsecret!"[:kept] + "…")
    left = redact(text, ("plainwordsecret!",))
    assert ("plai" in left) is False
    assert left.endswith(("[redacted]…", "pla…"))


def test_plain_sentences_stay():
    """Ordinary error texts are not touched."""
    text = (
        "The model `gpt-4o-mini` does not exist, or the task-specific token limit is 128 (basic)."
    )
    assert redact(text) == text
    assert shown(text) == text


def test_one_short_line():
    """Line breaks and control characters become spaces; long texts are cut with a mark."""
    assert shown(" a\r\n\x1b[31mb\u2028c\x00 ") == "a [31mb c"
    long = shown("word " * 1000)
    assert len(long) == 500
    assert long.endswith("…")


def test_a_page_shows_its_title():
    """Of HTML only the title is shown, and nothing when it has none."""
    assert shown("<html><head><TITLE>502 Bad\nGateway</TITLE>") == "502 Bad Gateway"
    assert shown("<!doctype html><p>internal details") is None
    assert shown("   ") is None
