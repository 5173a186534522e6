"""Free text of callers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.domain.labels import MAX_TAGS, parse_tags, plain_label
from tollway.domain.refusal import BadRequest


@given(st.text(st.characters() | st.characters(categories=["Cs", "Cc"])))
def test_a_label_can_go_into_any_row(text):
    """No control characters, no surrogates, no line ends, at most 256 characters."""
    label = plain_label(text)
    label.encode()
    assert len(label) <= 256
    assert len(label.splitlines()) <= 1
    assert "\x00" not in label
    assert plain_label(label) == label


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", ()),
        (" , ,", ()),
        ("team=search", (("team", "search"),)),
        (" team = search , env=prod ", (("team", "search"), ("env", "prod"))),
        ("a=1,a=2", (("a", "2"),)),
        ("a=b=c", (("a", "b=c"),)),
        ("a=", (("a", ""),)),
        ("a\x00=b\x01", (("a", "b"),)),
        ("é=ü", (("é", "ü"),)),
    ],
)
def test_tags(text, tags):
    """Names and values are trimmed and cleaned; the last of equal names counts."""
    assert parse_tags(text) == tags


@pytest.mark.parametrize(
    "text",
    [
        "team",
        "=x",
        "\x00=x",
        "a" * 65 + "=x",
        "a=" + "é" * 33,
        ",".join(f"t{i}=x" for i in range(MAX_TAGS + 1)),
    ],
)
def test_what_is_refused(text):
    """No name, no equals sign, more than 64 bytes, or more than 16 tags."""
    refusal = parse_tags(text)
    assert isinstance(refusal, BadRequest)
    assert refusal.code == "invalid_tags"


def test_sixteen_tags_of_64_bytes_fit():
    """The caps themselves are allowed."""
    text = ",".join(f"{i:064}={'x' * 64}" for i in range(MAX_TAGS))
    assert len(parse_tags(text)) == MAX_TAGS
