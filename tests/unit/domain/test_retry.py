"""How long a provider asks us to wait."""

import pytest

from tollway.domain.retry import retry_after_s, used_up_s

NOW_S = 1_795_003_200.0  # 2026-11-18T12:00:00Z
_PAST, _NOW, _SOON = (
    b"Wed, 18 Nov 2026 %b GMT" % at for at in (b"11:06:40", b"12:00:00", b"12:00:07")
)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ([], None),
        ([(b"retry-after", b"3")], 3.0),
        ([(b"retry-after", b"1.5")], 1.5),
        ([(b"retry-after-ms", b"250")], 0.25),
        ([(b"retry-after", b"9"), (b"retry-after-ms", b"250")], 0.25),
        ([(b"retry-after", b"9"), (b"retry-after-ms", b"soon")], 9.0),
        ([(b"retry-after", b"86400")], 60.0),
        ([(b"retry-after-ms", b"99999999")], 60.0),
        *(
            ([(b"retry-after", value)], None)
            for value in (
                b"",
                b".",
                b"-1",
                b"1e9",
                b"nan",
                b"inf",
                b"1.2.3",
                b"0x5",
                b"1" * 13,
                b"Wed, 18 Nov 2026 12:00:07",
                b"2026-11-18T12:00:07Z",
                b"\xff",
            )
        ),
        ([(b"x-ms-retry-after-ms", b"250"), (b"retry-after", b"1")], 0.25),
        ([(b"x-ms-retry-after-ms", b"250"), (b"retry-after-ms", b"300")], 0.3),
        ([(b"retry-after", _SOON)], 7.0),
        ([(b"retry-after", b"Wednesday, 18-Nov-26 12:00:07 GMT")], 7.0),
        ([(b"retry-after", b"Wed Nov 18 12:00:07 2026")], 7.0),
        ([(b"retry-after", _PAST)], 0.0),
        ([(b"retry-after", b"Fri, 31 Dec 9999 23:59:59 GMT")], 60.0),
        ([(b"date", _NOW), (b"retry-after", _SOON)], 7.0),
        ([(b"date", b"Sun, 01 Nov 2026 12:00:00 GMT"), (b"retry-after", _SOON)], 60.0),
        ([(b"date", _SOON), (b"retry-after", _NOW)], 0.0),
        ([(b"date", b"now"), (b"retry-after", _SOON)], 7.0),
        (
            [
                (b"retry-after", b"Sun, 01 Nov 2026 12:00:03 GMT"),
                (b"date", b"Sun, 01 Nov 2026 12:00:00 GMT"),
            ],
            3.0,
        ),
    ],
)
def test_what_retry_after_says(headers, wait_s):
    """Milliseconds before seconds and dates, by the provider's clock where it tells, at most a
    minute; anything else is ignored."""
    assert retry_after_s(headers, NOW_S) == wait_s


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ([], None),
        ([(b"x-ratelimit-remaining-requests", b"0")], None),
        ([("x-ratelimit-remaining-requests", "1"), ("x-ratelimit-reset-requests", "9s")], None),
        ([("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "1s")], 1.0),
        ([("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "20ms")], 0.02),
        ([("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "6m0s")], 60.0),
        ([("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "1h")], 60.0),
        ([("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "7.66s")], 7.66),
        ([("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "")], None),
        ([("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "soon")], None),
        ([("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "9" * 41)], None),
        ([("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "\xff")], None),
        (
            [
                ("x-ratelimit-remaining-requests", "0"),
                ("x-ratelimit-reset-requests", "2s"),
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "5s"),
            ],
            5.0,
        ),
        (
            [
                ("anthropic-ratelimit-tokens-remaining", "0"),
                ("anthropic-ratelimit-tokens-reset", "2026-11-18T12:00:07Z"),
            ],
            7.0,
        ),
        (
            [
                ("anthropic-ratelimit-requests-remaining", "0"),
                ("anthropic-ratelimit-requests-reset", "2026-11-18T11:00:00Z"),
            ],
            0.0,
        ),
        (
            [
                ("anthropic-ratelimit-requests-remaining", "0"),
                ("anthropic-ratelimit-requests-reset", "2026-11-18T12:00:07"),
            ],
            None,
        ),
    ],
)
def test_an_account_that_has_nothing_left_says_until_when(headers, wait_s):
    """The longest of them, at most a minute; without a time it says nothing."""
    raw = [
        tuple(part if isinstance(part, bytes) else part.encode("latin-1") for part in pair)
        for pair in headers
    ]
    found = used_up_s(raw, NOW_S)
    assert found == (None if wait_s is None else pytest.approx(wait_s))
