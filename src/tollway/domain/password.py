"""What a password must be. Theory: NIST SP 800-63B-4, 3.1.1: length decides, composition rules do
not; every character counts; equal-looking ones are one (NFKC).
"""

import unicodedata

MIN_PASSWORD_CHARS = 12
MAX_PASSWORD_BYTES = 1024  # bounds what a login makes the hash read


def password_bytes(password: str) -> bytes | None:
    """The password as it is hashed; None for a text that is too long or no Unicode."""
    if len(password) > MAX_PASSWORD_BYTES:
        return None
    try:
        encoded = unicodedata.normalize("NFKC", password).encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return None
    return encoded if len(encoded) <= MAX_PASSWORD_BYTES else None


def password_problem(password: str, *, email: str = "") -> str | None:
    """Why this may not be somebody's new password, in a sentence; None when it may."""
    if password_bytes(password) is None:
        return f"A password has at most {MAX_PASSWORD_BYTES} bytes of Unicode text."
    if len(password) < MIN_PASSWORD_CHARS:
        return f"A password has at least {MIN_PASSWORD_CHARS} characters."
    if len(set(password)) < 4:
        return "A password has at least four different characters."
    if email and password.strip().lower() == email.lower():
        return "A password is not the address it protects."
    return None
