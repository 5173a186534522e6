"""What a prompt can direct, and what stays text."""

import pytest

from tollway.adapters.echo.directives import PLAIN, DirectiveError, Script, read_script, read_words


def test_a_prompt_without_brackets_is_left_alone() -> None:
    """Ordinary text costs nothing and changes nothing."""
    assert read_script("hello there", "m") == ("hello there", PLAIN)


def test_every_directive_is_read() -> None:
    """All names of docs/echo.md reach the script."""
    text = (
        "say [[tokens=20 delay_ms=50 gap_ms=5 status=429 cut=7 retry_after=3 usage=none "
        "error_event=3 stall=4 id=abc]] this"
    )
    rest, script = read_script(text, "m")
    assert rest.split() == ["say", "this"]
    assert script == Script(20, 50, 5, 429, 3, 7, 4, 3, False, "abc")


def test_a_later_block_wins() -> None:
    """Blocks add up; of two values for one name the last counts."""
    rest, script = read_script("[[tokens=1 gap_ms=2]] a [[tokens=3]]", "m")
    assert (rest.split(), script.tokens, script.gap_ms) == (["a"], 3, 2)


def test_a_block_for_another_model_does_nothing() -> None:
    """`on` limits a block to one target, so that failing over can be asked for."""
    rest, script = read_script("x [[status=503 on=bad]]", "good")
    assert (rest.split(), script.status) == (["x"], None)
    assert read_script("x [[status=503 on=bad]]", "bad")[1].status == 503


@pytest.mark.parametrize(
    "text",
    ["[[wiki link]]", "[[ -n $x ]]", "[[]]", "[[tokens=1 other=2]]", "[[tokens]]", "[[a=1]]"],
)
def test_other_brackets_are_text(text: str) -> None:
    """Only a block made of known names directs; anything else is echoed."""
    assert read_script(text, "m") == (text, PLAIN)


@pytest.mark.parametrize(
    ("block", "name"),
    [
        ("tokens=-1", "tokens"),
        ("tokens=100001", "tokens"),
        ("tokens=" + "9" * 400, "tokens"),
        ("tokens=٣", "tokens"),
        ("gap_ms=fast", "gap_ms"),
        ("status=200", "status"),
        ("status=600", "status"),
        ("cut=", "cut"),
        ("usage=some", "usage"),
    ],
)
def test_a_value_that_cannot_be_is_named(block: str, name: str) -> None:
    """A known name with a wrong value is an error that says which."""
    with pytest.raises(DirectiveError, match=name):
        read_script(f"x [[{block}]]", "m")


def test_other_readers_bring_their_own_names() -> None:
    """The block syntax is shared; the names are the reader's."""
    assert read_words("a [[fault=reset at=7]]", {"fault", "at"}, "m") == (
        "a  ",
        {"fault": "reset", "at": "7"},
    )
