"""Passwords under argon2id."""

import logging
import time

import pytest
from argon2 import PasswordHasher as Argon2

from tollway.adapters.identity.passwords import Argon2Hasher

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def hasher() -> Argon2Hasher:
    return Argon2Hasher()


def test_only_the_right_password_opens(hasher: Argon2Hasher) -> None:
    """Each hash has its own salt; equal-looking spellings are one password."""
    stored = hasher.hash("café au lait, double")
    assert stored != hasher.hash("café au lait, double")
    assert hasher.verify(stored, "cafe\u0301 au lait, double")
    assert not hasher.verify(stored, "cafe au lait, double")
    assert not hasher.verify(stored, "")


def test_the_parameters_are_owasps(hasher: Argon2Hasher) -> None:
    """argon2id with at least 19 MiB and 2 passes; nothing of it needs rehashing."""
    stored = hasher.hash(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert not hasher.needs_rehash(stored)


def test_old_and_foreign_hashes_need_rehashing(hasher: Argon2Hasher) -> None:
    """A weaker hash still opens, and says that it should be replaced."""
    weak = Argon2(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    assert hasher.verify(weak, PASSWORD) and hasher.needs_rehash(weak)
    assert hasher.needs_rehash("") and hasher.needs_rehash("plain text")


@pytest.mark.parametrize("stored", ["", "plain text", PASSWORD, "$argon2id$v=19$m=1", "$2b$12$x"])
def test_a_damaged_hash_opens_nothing(hasher: Argon2Hasher, stored: str) -> None:
    """Not even for its own text."""
    assert not hasher.verify(stored, stored)


@pytest.mark.parametrize("password", ["x" * 1025, "é" * 513, "\ud800" * 20, "x" * 1_000_000])
def test_what_is_too_long_or_no_text_is_refused(hasher: Argon2Hasher, password: str) -> None:
    """It neither becomes a password nor passes as one."""
    with pytest.raises(ValueError, match="not hashed"):
        hasher.hash(password)
    assert not hasher.verify(None, password)


def test_nobody_takes_as_long_as_somebody(hasher: Argon2Hasher) -> None:
    """The time of a refusal does not tell whether the account exists, or the password's size."""
    stored = hasher.hash(PASSWORD)

    def cpu_s(known: str | None, password: str) -> float:
        times = []
        for _ in range(5):
            began = time.thread_time()
            assert not hasher.verify(known, password)
            times.append(time.thread_time() - began)
        return min(times)

    wrong_s = cpu_s(stored, "a wrong password")
    for known, password in ((None, PASSWORD), (None, ""), (stored, "x" * 5000)):
        assert 0.5 < cpu_s(known, password) / wrong_s < 2


def test_the_empty_password_is_nobodys(hasher: Argon2Hasher) -> None:
    """An account without a password cannot be entered, whatever is typed."""
    for password in ("", PASSWORD, "None"):
        assert not hasher.verify(None, password)


def test_nothing_is_logged(hasher: Argon2Hasher, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a password nor its hash."""
    with caplog.at_level(logging.DEBUG):
        hasher.verify(hasher.hash(PASSWORD), "wrong " + PASSWORD)
        hasher.verify("damaged", PASSWORD)
    assert caplog.records == []
