"""Dates of HTTP headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.domain.http_date import read_http_date

NOW_S = 1_795_003_200.0  # 2026-11-18T12:00:00Z
NOON_S = 784_111_777.0  # the RFC's own example


@pytest.mark.parametrize(
    ("text", "at_s"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", NOON_S),
        ("Sunday, 06-Nov-94 08:49:37 GMT", NOON_S),
        ("Sun Nov  6 08:49:37 1994", NOON_S),
        ("Sun Nov 16 08:49:37 1994", NOON_S + 864_000),
        ("Wednesday, 18-Nov-26 12:00:00 GMT", NOW_S),
        ("Saturday, 18-Nov-00 12:00:00 GMT", 974_548_800.0),
        ("Wednesday, 18-Nov-76 12:00:00 GMT", 3_372_926_400.0),
        ("Friday, 18-Nov-77 12:00:00 GMT", 248_702_400.0),
        ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_799.0),
    ],
)
def test_the_three_forms(text, at_s):
    """In UTC; a year of two digits is never more than 50 years ahead."""
    assert read_http_date(text, NOW_S) == at_s


@pytest.mark.parametrize(
    "text",
    [
        "", "soon", "3", "2026-11-18T12:00:00Z",
        "Sun, 06 Nov 1994 08:49:37 +0100", "Sun, 06 Nov 1994 08:49:37", "Sun, 6 Nov 1994 08:49 GMT",
        "Sun, 31 Feb 2026 08:49:37 GMT", "Sun, 06 Nov 2026 25:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, Mon, 07 Nov 1994 08:49:37 GMT",
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT\n",
    ],
)  # fmt: skip
def test_what_is_no_date(text):
    """Other zones, other spellings, days that are none."""
    assert read_http_date(text, NOW_S) is None


@given(st.text(max_size=60), st.floats(0, 4e9))
def test_no_text_makes_it_raise(text, now_s):
    """Whatever a provider sends."""
    assert read_http_date(text, now_s) is None or isinstance(read_http_date(text, now_s), float)
