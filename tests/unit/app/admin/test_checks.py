"""The grammar of what people name or point at: what passes, what does not, whose fault it is."""

import math

import pytest

from tollway.app.admin import checks

GOOD = [
    (checks.check_slug, ["a", "acme", "a-b", "0", "a" * 63]),
    (checks.check_name, ["A", "Acme, Inc.", "部門", "n" * 200]),
    (checks.check_email, ["ann@example.org", "a.b+c@d", "ü@example.org"]),
    (checks.check_model_name, ["gpt-5", "meta/llama:8b", "a@b", "m" * 200]),
    (checks.check_model_names, [None, (), ("a", "b/c")]),
    (checks.check_reference, ["env:OPENAI_API_KEY", "env:_x1", "file:/run/secrets/key"]),
    (checks.check_timeouts, [{"connect_timeout_s": None}, {"connect_timeout_s": 0.1}, {}]),
    (checks.check_endpoints, [None, ("chat.completions", "models")]),
    (checks.check_ip_ranges, [None, ("10.0.0.1", "10.0.0.1/8", "::1", "2001:db8::/32")]),
    (checks.check_tags, [(), (("team", "search"),), tuple((f"t{n}", "x") for n in range(10))]),
]
BAD = [
    (checks.check_slug, "slug", ["", "-a", "a-", "A", "a b", "a.b", "a" * 64, "a\n", "ä"]),
    (checks.check_name, "name", ["", " ", " a", "a ", "n" * 201, "a\nb", "a\x00", "a\u202eb"]),
    (
        checks.check_email,
        "email",
        [
            "",
            "ann",
            "@b.c",
            "a@",
            "a@b..c",
            "a b@c.d",
            "a@b\n",
            "a" * 65 + "@b.c",
            "a@" + "b" * 253,
        ],
    ),
    (checks.check_model_name, "name", ["", "-a", "a b", "a\n", "m" * 201, "ä"]),
    (checks.check_model_names, "models", [("good", "not good"), ("",)]),
    (
        checks.check_reference,
        "reference",
        ["", "sk-123", "env:", "env:1A", "env:A-B", "file:relative", "file:/a\nb", "vault:/a"],
    ),
    (
        checks.check_timeouts,
        "read_timeout_s",
        [{"read_timeout_s": value} for value in (0, -1, math.inf, math.nan)],
    ),
    (checks.check_endpoints, "endpoints", [("Chat",), ("",), ("a", "b c")]),
    (checks.check_ip_ranges, "ip_allow", [("10.0.0",), ("10.0.0.0/33",), ("",), ("x",)]),
    (
        checks.check_tags,
        "tags",
        [
            (("a", "b"), ("a", "c")),
            (("", "b"),),
            (("a", ""),),
            (("a", "b\n"),),
            (("a", "x" * 10_000),),
            tuple((f"t{n}", "x") for n in range(1000)),
        ],
    ),
]


@pytest.mark.parametrize(("check", "given"), [(c, g) for c, given in GOOD for g in given])
def test_what_people_write_passes(check, given):
    """Nothing to say."""
    assert check(given) is None


@pytest.mark.parametrize(
    ("check", "field", "given"), [(c, field, g) for c, field, given in BAD for g in given]
)
def test_what_cannot_be_right_is_named(check, field, given):
    """The field at fault, and words that say what to write."""
    wrong = check(given)
    assert wrong is not None
    assert wrong.field == field
    assert len(wrong.message) > 15


def test_a_secret_given_for_a_reference_is_not_repeated():
    """The message may end in a log."""
    assert "sk-very-secret" not in checks.check_reference("sk-very-secret").message


@pytest.mark.parametrize(
    ("url", "own", "passes"),
    [
        ("https://api.example.com/v1", True, True),
        ("http://127.0.0.1:8000/v1", False, True),
        ("http://127.0.0.1:8000/v1", True, False),
        ("https://169.254.169.254/latest", True, False),
        ("http://api.example.com/v1", True, False),
        ("ftp://api.example.com", False, False),
    ],
)
def test_where_a_provider_may_be(url, own, passes):
    """The platform's may be next door; a tenant's is public and https."""
    wrong = checks.check_base_url(url, tenant_owned=own)
    assert (wrong is None) == passes
    assert passes or wrong.field == "base_url"
