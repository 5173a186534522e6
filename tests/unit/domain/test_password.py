"""What a password must be."""

import pytest

from tollway.domain.password import MAX_PASSWORD_BYTES, password_bytes, password_problem


@pytest.mark.parametrize(
    ("password", "email", "part"),
    [
        ("short", "", "12 characters"),
        ("", "", "12 characters"),
        ("x" * 1025, "", "1024 bytes"),
        ("é" * 513, "", "1024 bytes"),
        ("half of a pair \ud800", "", "Unicode"),
        ("ababababababab", "", "four different"),
        ("Ada@acme.example", "ada@acme.example", "address"),
    ],
)
def test_what_is_no_password(password: str, email: str, part: str) -> None:
    """Each problem has its sentence."""
    problem = password_problem(password, email=email)
    assert problem is not None and part in problem


@pytest.mark.parametrize("password", ["correct horse battery", "пароль-подлиннее", "a b c d e f g"])
def test_length_is_enough(password: str) -> None:
    """No composition rules: spaces and every script are fine."""
    assert password_problem(password, email="ada@acme.example") is None


def test_equal_looking_passwords_are_one() -> None:
    """An accent typed as one character or as two is the same password."""
    assert password_bytes("caf\u00e9") == password_bytes("cafe\u0301")
    assert password_bytes("a" * MAX_PASSWORD_BYTES) is not None
    assert password_bytes("\ufb03" * 400) is None  # grows when normalised
