"""Secrets: opened or looked up for whom they are meant, kept for a while, and never shown."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.adapters.http.scripted import (
    GOOD,
    OPTIONS,
    Peer,
    Server,
    Sink,
    answers,
    client,
    make_call,
    provider,
)
from tollway.adapters.http import credentials
from tollway.adapters.http.credentials import CredentialError, Secrets
from tollway.adapters.http.upstream import HttpUpstream
from tollway.adapters.system.secrets import AesGcmBox
from tollway.app.admin.sealing import seal_credential
from tollway.domain.failure import Cause, Phase
from tollway.domain.ids import CredentialId, ProviderId, TenantId
from tollway.domain.provider import CredentialRecord, ProviderRecord

NAME = "TEST_UPSTREAM_KEY"
CREDENTIAL = CredentialId("crd_1")
PLATFORM = provider("https://api.example.com/v1")
TENANTS = replace(PLATFORM, tenant_id=TenantId("ten_a"))
BOX = AesGcmBox(bytes(32))


def sealed(at: ProviderRecord, secret: str = "word-of-the-tenant") -> CredentialRecord:
    return CredentialRecord(CREDENTIAL, envelope=seal_credential(BOX, at, secret))


class CountingBox:
    """Counts what was really opened."""

    def __init__(self) -> None:
        self.opened = 0

    def seal(self, secret: bytes, purpose: str) -> bytes:
        return BOX.seal(secret, purpose)

    def open(self, envelope: bytes, purpose: str) -> bytes:
        self.opened += 1
        return BOX.open(envelope, purpose)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time stands still until a test moves it."""
    time = [100.0]
    monkeypatch.setattr(credentials.time, "monotonic", lambda: time[0])
    return time


def test_empty() -> None:
    """No credential or no reference, no secret."""
    assert Secrets().resolve(PLATFORM, None) == ""
    assert Secrets().resolve(PLATFORM, CredentialRecord(CREDENTIAL)) == ""


def test_environment(monkeypatch: pytest.MonkeyPatch, now: list[float]) -> None:
    """A variable is read, without the line end that shells leave, and again after a second."""
    secrets = Secrets()
    monkeypatch.setenv(NAME, " sk-one\n")
    assert secrets.look_up(f"env:{NAME}") == "sk-one"
    monkeypatch.setenv(NAME, "sk-two")
    assert secrets.look_up(f"env:{NAME}") == "sk-one"
    now[0] += 1.0
    assert secrets.look_up(f"env:{NAME}") == "sk-two"


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
        assert secrets.look_up(f"file:{path}") == "sk-one"
    assert looked == 1
    path.write_text("sk-two\n")
    os.utime(path, ns=(1, 1))
    assert secrets.look_up(f"file:{path}") == "sk-one"
    now[0] += 1.0
    assert secrets.look_up(f"file:{path}") == "sk-two"
    path.unlink()
    now[0] += 1.0
    with pytest.raises(CredentialError):
        secrets.look_up(f"file:{path}")


@pytest.mark.parametrize(
    "content", ["", " \n", "sk\nsecond-line", "sk-ü", "sk\x00", "sk\r\nhost: x"]
)
def test_what_is_no_secret(tmp_path: Path, content: str) -> None:
    """The message names the reference and never what was found."""
    path = tmp_path / "key"
    path.write_text(content, newline="")
    with pytest.raises(CredentialError) as caught:
        Secrets().look_up(f"file:{path}")
    assert str(path) in str(caught.value)
    assert "sk" not in str(caught.value).replace(str(path), "")


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    """Opening one would wait for a writer, and the whole worker with it."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CredentialError, match="not a file"):
        Secrets().look_up(f"file:{tmp_path / 'pipe'}")


@pytest.mark.parametrize("reference", ["sk-pasted", "vault:x", "env:", "file:", f"env:{NAME}_GONE"])
def test_what_does_not_resolve(reference: str) -> None:
    """An unknown kind may be a pasted secret: it is not repeated."""
    with pytest.raises(CredentialError) as caught:
        Secrets().look_up(reference)
    assert "pasted" not in str(caught.value)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache does not grow with every reference ever used."""
    monkeypatch.setattr(credentials, "_MAX_KNOWN", 10)
    secrets = Secrets()
    for number in range(50):
        monkeypatch.setenv(f"{NAME}_{number}", "sk")
        secrets.look_up(f"env:{NAME}_{number}")
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


@pytest.mark.parametrize("at", [PLATFORM, TENANTS], ids=["platform", "tenant"])
def test_a_sealed_secret_opens_once(at: ProviderRecord) -> None:
    """For its provider; it is then kept, also when another path leads to the same origin."""
    box = CountingBox()
    secrets = Secrets(box)
    credential = sealed(at)
    assert [secrets.resolve(at, credential) for _ in range(3)] == ["word-of-the-tenant"] * 3
    assert box.opened == 1
    moved = replace(at, base_url="https://API.example.com:443/v2")
    assert secrets.resolve(moved, credential) == "word-of-the-tenant"


@pytest.mark.parametrize(
    "other",
    [
        PLATFORM,
        replace(TENANTS, tenant_id=TenantId("ten_b")),
        replace(TENANTS, id=ProviderId("prv_2")),
        replace(TENANTS, base_url="https://evil.example/v1"),
        replace(TENANTS, base_url="https://api.example.com:444/v1"),
        replace(TENANTS, base_url="http://api.example.com/v1"),
    ],
    ids=["owner", "tenant", "provider", "host", "port", "scheme"],
)
def test_a_sealed_secret_stays_where_it_was_sealed_for(other: ProviderRecord) -> None:
    """An envelope moved to another owner, provider or origin does not open there, though it was
    opened before where it belongs."""
    secrets = Secrets(BOX)
    credential = sealed(TENANTS)
    assert secrets.resolve(TENANTS, credential)
    with pytest.raises(CredentialError, match="'one' does not open"):
        secrets.resolve(other, credential)


@pytest.mark.parametrize("box", [None, AesGcmBox(bytes(31) + b"1")], ids=["none", "wrong"])
def test_a_wrong_master_key_opens_nothing(
    box: AesGcmBox | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack 129: the error names the provider; a reference beside it is no way out."""
    monkeypatch.setenv(NAME, "sk-other")
    credential = replace(sealed(PLATFORM), reference=f"env:{NAME}")
    with pytest.raises(CredentialError, match="'one'") as caught:
        Secrets(box).resolve(PLATFORM, credential)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize("secret", ["", "sk-\u00fc", "sk\r\nhost: x", "sk\x00"])
def test_a_sealed_text_that_is_no_key(secret: str) -> None:
    """It would end up in a header."""
    with pytest.raises(CredentialError) as caught:
        Secrets(BOX).resolve(PLATFORM, sealed(PLATFORM, secret))
    assert "sk" not in str(caught.value)


def test_what_was_opened_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotated secrets do not pile up."""
    monkeypatch.setattr(credentials, "_MAX_KNOWN", 10)
    secrets = Secrets(BOX)
    for _ in range(50):
        secrets.resolve(PLATFORM, sealed(PLATFORM))
    assert len(secrets._opened) <= 10


@pytest.mark.parametrize("reference", [f"env:{NAME}", "file:/etc/hostname"])
def test_a_tenants_provider_has_no_reference(
    reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway's own environment and files are no tenant's to send anywhere."""
    monkeypatch.setenv(NAME, "sk-of-the-platform")
    credential = CredentialRecord(CREDENTIAL, reference)
    assert Secrets(BOX).resolve(PLATFORM, credential)
    with pytest.raises(CredentialError, match="tenant"):
        Secrets(BOX).resolve(TENANTS, credential)


async def test_a_provider_is_sent_what_was_sealed_for_it() -> None:
    """The whole way: envelope in, header out; and the call can take it out of any text."""
    asked = []

    async def script(peer: Peer) -> None:
        asked.append((await peer.request())[1]["authorization"])
        peer.write(GOOD)

    async with Server(script) as server:
        at = provider(server.url)
        http = HttpUpstream(OPTIONS, BOX)
        try:
            sink = Sink()
            call = make_call(at, credential=sealed(at, "word-of-the-tenant"))
            assert await http.call(call, sink) is None
        finally:
            await http.close()
    assert asked == ["Bearer word-of-the-tenant"]
    assert sink.flow is not None
    assert sink.flow.redact("bad key word-of-the-tenant!") == "bad key [redacted]!"


def test_a_service_account_in_a_file(tmp_path: Path) -> None:
    """Is written with line breaks; in a header, or as an envelope, it would have none."""
    path = tmp_path / "key.json"
    path.write_text('{\n  "private_key": "a\\nb",\n  "n": "c d"\n}\n')
    assert Secrets().look_up(f"file:{path}") == '{"private_key":"a\\nb","n":"c d"}'
    path = tmp_path / "none.json"
    path.write_text("{\n")
    assert Secrets().look_up(f"file:{path}") == "{"


def test_a_sealed_service_account() -> None:
    """Has spaces in it, as keys have not, and opens all the same."""
    secret = '{"private_key":"-----BEGIN PRIVATE KEY-----\\nx"}'
    assert Secrets(BOX).resolve(TENANTS, sealed(TENANTS, secret)) == secret
