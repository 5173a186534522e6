"""How long a provider asks us to wait."""

import pytest

from tollway.domain.retry import retry_after_s


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
                b"Wed, 18 Nov 2026 11:06:40 GMT",
            )
        ),
    ],
)
def test_only_plain_numbers_count(headers, wait_s):
    """Milliseconds before seconds, at most a minute, and anything else is ignored."""
    assert retry_after_s(headers) == wait_s
