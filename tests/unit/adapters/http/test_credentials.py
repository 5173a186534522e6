"""Secrets by reference: resolved, cached, re-read, and never shown."""

import os
from pathlib import Path

import pytest

from tests.unit.adapters.http.scripted import Server, answers, client, provider
from tollway.adapters.http import credentials
from tollway.adapters.http.credentials import CredentialError, Secrets
from tollway.domain.failure import Cause, Phase
from tollway.domain.ids import CredentialId
from tollway.domain.provider import CredentialRecord

NAME = "TEST_UPSTREAM_KEY"


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time stands still until a test moves it."""
    time = [100.0]
    monkeypatch.setattr(credentials.time, "monotonic", lambda: time[0])
    return time


def test_empty() -> None:
    """No reference, no secret."""
    assert Secrets().resolve("") == ""


def test_environment(monkeypatch: pytest.MonkeyPatch, now: list[float]) -> None:
    """A variable is read, without the line end that shells leave, and again after a second."""
    secrets = Secrets()
    monkeypatch.setenv(NAME, " sk-one\n")
    assert secrets.resolve(f"env:{NAME}") == "sk-one"
    monkeypatch.setenv(NAME, "sk-two")
    assert secrets.resolve(f"env:{NAME}") == "sk-one"
    now[0] += 1.0
    assert secrets.resolve(f"env:{NAME}") == "sk-two"


def test_file(tmp_path: Path, now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is read again when it changed, and looked at no more than once a second."""
    path = tmp_path / "key"
    path.write_text("sk-one\n")
    looked = 0
    stat = os.stat

    def counted(*args: object, **kwargs: object) -> os.stat_result:
        nonlocal looked
        looked += 1
        return stat(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(credentials.os, "stat", counted)
    secrets = Secrets()
    for _ in range(10):
        assert secrets.resolve(f"file:{path}") == "sk-one"
    assert looked == 1
    path.write_text("sk-two\n")
    os.utime(path, ns=(1, 1))
    assert secrets.resolve(f"file:{path}") == "sk-one"
    now[0] += 1.0
    assert secrets.resolve(f"file:{path}") == "sk-two"
    path.unlink()
    now[0] += 1.0
    with pytest.raises(CredentialError):
        secrets.resolve(f"file:{path}")


@pytest.mark.parametrize(
    "content", ["", " \n", "sk\nsecond-line", "sk-ü", "sk\x00", "sk\r\nhost: x"]
)
def test_what_is_no_secret(tmp_path: Path, content: str) -> None:
    """The message names the reference and never what was found."""
    path = tmp_path / "key"
    path.write_text(content, newline="")
    with pytest.raises(CredentialError) as caught:
        Secrets().resolve(f"file:{path}")
    assert str(path) in str(caught.value)
    assert "sk" not in str(caught.value).replace(str(path), "")


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    """Opening one would wait for a writer, and the whole worker with it."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CredentialError, match="not a file"):
        Secrets().resolve(f"file:{tmp_path / 'pipe'}")


@pytest.mark.parametrize("reference", ["sk-pasted", "vault:x", "env:", "file:", f"env:{NAME}_GONE"])
def test_what_does_not_resolve(reference: str) -> None:
    """An unknown kind may be a pasted secret: it is not repeated."""
    with pytest.raises(CredentialError) as caught:
        Secrets().resolve(reference)
    assert "pasted" not in str(caught.value)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache does not grow with every reference ever used."""
    monkeypatch.setattr(credentials, "_MAX_KNOWN", 10)
    secrets = Secrets()
    for number in range(50):
        monkeypatch.setenv(f"{NAME}_{number}", "sk")
        secrets.resolve(f"env:{NAME}_{number}")
    assert len(secrets._known) <= 10


async def test_a_call_without_its_secret_is_not_made() -> None:
    """Nothing is connected or sent; the failure names the reference."""
    credential = CredentialRecord(CredentialId("crd_1"), f"env:{NAME}_GONE")
    async with Server(answers) as server, client() as http:
        failure, sink = await http.ask(provider(server.url), credential=credential)
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.CREDENTIAL)
        assert f"{NAME}_GONE" in failure.message
        assert sink.flow is None
        assert server.accepted == 0
