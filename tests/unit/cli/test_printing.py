"""What the commands print."""

from tollway.cli.printing import cell, listing, plain, table


def test_cells():
    """Nothing, an empty list and a switch read differently; parts that say nothing are left out."""
    assert [cell(value) for value in (None, [], {}, True, False, 0, "x")] == [
        *("-", "none", "-", "yes", "no", "0", "x")
    ]
    assert cell([{"model": "m", "weight": 1}, "b"]) == "model=m weight=1, b"
    assert cell({"input": "1", "output": None, "tiers": []}) == "input=1"


def test_names_cannot_steer_the_terminal():
    """Control characters and turned writing are shown as codes, whatever an API let through."""
    assert plain("red\x1b[31m\u202etxt\r\n\x07") == "red\\x1b[31m\\u202etxt\\r\\n\\x07"
    assert cell("Gr\u00fc\u00dfe \u4f60\u597d") == "Gr\u00fc\u00dfe \u4f60\u597d"


def test_columns_are_as_wide_as_their_widest_cell():
    """Without blanks at the ends of lines."""
    assert table(["a", "bb"], [["xxx", "y"], ["", "z"]]) == "a    bb\nxxx  y\n     z"
    assert listing({"a": "1", "bb": ""}) == "a   1\nbb"
