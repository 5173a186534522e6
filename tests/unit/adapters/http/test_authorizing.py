"""Secrets of Bedrock: what signs, what is sent as it is, and what nobody reads."""

import re
import time
from calendar import timegm
from dataclasses import replace

import pytest

from tests.unit.adapters.http.scripted import (
    GOOD,
    JSON,
    Peer,
    against,
    make_call,
    provider,
)
from tollway.adapters.http.authorizing import words_of
from tollway.adapters.http.credentials import CredentialError
from tollway.adapters.http.head import HeadError, RequestHeads
from tollway.adapters.http.sigv4 import Signer, Unsigned
from tollway.domain.bedrock import AwsKeys
from tollway.domain.failure import Cause, Phase
from tollway.domain.ids import CredentialId
from tollway.domain.origin import Origin
from tollway.domain.provider import CredentialRecord, ProviderKind

HOST = "bedrock-runtime.us-west-2.amazonaws.com"
AT = replace(provider(f"https://{HOST}"), kind=ProviderKind.BEDROCK)
PATH = "/model/a.b-v1%3A0/converse"
SIGNED = re.compile(
    rb"x-amz-date: (\d{8})T\d{6}Z\r\n(?:x-amz-security-token: (\S+)\r\n)?"
    rb"authorization: AWS4-HMAC-SHA256 Credential=AKID/(\d{8})/us-west-2/bedrock/aws4_request, "
    rb"SignedHeaders=(\S+), Signature=[0-9a-f]{64}\r\n"
)


def heads(host: str = HOST) -> RequestHeads:
    return RequestHeads(Origin(True, host, 443, ""), "tollway/1")


@pytest.mark.parametrize(
    ("secret", "token", "names"),
    [
        ("AKID:secret", None, b"content-type;host;x-amz-date"),
        ("AKID:secret:tok==", b"tok==", b"content-type;host;x-amz-date;x-amz-security-token"),
    ],
)
def test_a_signed_request(secret: str, token: bytes | None, names: bytes) -> None:
    """The signature is on its request, and the secret is not. What others may change on the way is
    not signed."""
    call = make_call(AT, b'{"a":1}', path=PATH, headers=(JSON, (b"traceparent", b"00-1-1-01")))
    sent = heads().render(call, secret)
    found = SIGNED.search(sent)
    assert found is not None
    assert found[1] == found[3]
    assert (found[2], found[4]) == (token, names)
    assert b"secret" not in sent
    assert sent.startswith(b"POST /model/a.b-v1%3A0/converse HTTP/1.1\r\nhost: " + HOST.encode())
    assert sent.endswith(b'content-length: 7\r\n\r\n{"a":1}')


def test_each_request_has_its_own() -> None:
    """A head is kept, a signature is not: another body, another signature, as `Signer` makes it."""
    kept = heads()
    for body in (b"{}", b"[]", b"{}"):
        sent = kept.render(make_call(AT, body, path=PATH), "AKID:secret")
        date = re.search(rb"x-amz-date: (\S+)", sent)
        assert date is not None
        at_s = timegm(time.strptime(date[1].decode(), "%Y%m%dT%H%M%SZ"))
        signer = Signer(AwsKeys("AKID", "secret"), "us-west-2", clock=lambda at_s=at_s: at_s)
        request = Unsigned("POST", PATH, ((b"host", HOST.encode()), JSON), body)
        authorization = dict(signer.lines(request))[b"authorization"]
        assert authorization in sent


def test_an_api_key_is_sent_as_it_is() -> None:
    """It needs no region."""
    sent = heads("10.0.0.7").render(make_call(AT, path=PATH), "bedrock-api-key-x")
    assert b"authorization: Bearer bedrock-api-key-x\r\n" in sent
    assert b"x-amz" not in sent
    assert b"authorization" not in heads().render(make_call(AT, path=PATH), "")


@pytest.mark.parametrize(
    ("host", "secret", "words"),
    [("10.0.0.7", "AKID:secret", "region"), (HOST, "AKID:", "ACCESS_KEY_ID:SECRET_ACCESS_KEY")],
)
def test_what_cannot_sign(host: str, secret: str, words: str) -> None:
    """A host without a region, a secret that is none; neither is repeated."""
    with pytest.raises(CredentialError, match=words) as caught:
        heads(host).render(make_call(AT, path=PATH), secret)
    assert "AKID:" not in str(caught.value)


@pytest.mark.parametrize("name", [b"x-amz-date", b"x-amz-security-token", b"x-amz-content-sha256"])
def test_what_is_ours_to_say(name: bytes) -> None:
    """A caller's own would be signed, or stand beside it."""
    with pytest.raises(HeadError):
        heads().render(make_call(AT, headers=((name, b"x"),)), "AKID:secret")


def test_no_secret_of_another_kind_signs() -> None:
    """A colon in one means nothing."""
    sent = heads().render(make_call(provider(f"https://{HOST}")), "a:b")
    assert b"authorization: Bearer a:b\r\n" in sent
    assert words_of(ProviderKind.OPENAI, "a:b") == ("a:b",)


async def test_over_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server reads a signed request. What Amazon quotes of it when it says no, a session's token
    for one, is not repeated; a secret that is none fails the call before anything is sent."""
    monkeypatch.setenv("TEST_UPSTREAM_KEY", "AKIDWIRE:secret/wire:token+wire")
    monkeypatch.setenv("TEST_BAD_KEY", "AKIDWIRE::")
    seen: list[tuple[str, dict[str, str], bytes]] = []

    async def script(peer: Peer) -> None:
        while True:
            seen.append(await peer.request())
            peer.write(GOOD)

    credential = CredentialRecord(CredentialId("crd_1"), "env:TEST_UPSTREAM_KEY")
    bad = CredentialRecord(CredentialId("crd_2"), "env:TEST_BAD_KEY")
    async with against(script, lookup=lambda host, port: ["127.0.0.1"]) as (http, at, server):
        url = f"http://{HOST}:{server.port}"
        there = replace(at, kind=ProviderKind.BEDROCK, base_url=url)
        failure, sink = await http.ask(there, path=PATH, credential=credential)
        assert failure is None
        line, fields, _ = seen[0]
        assert line == f"POST {PATH} HTTP/1.1"
        assert fields["host"] == f"{HOST}:{server.port}"
        assert fields["x-amz-security-token"] == "token+wire"
        assert fields["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDWIRE/")
        assert sink.flow is not None
        quoted = sink.flow.redact(
            "expected x-amz-security-token:token+wire of AKIDWIRE secret/wire"
        )
        assert not any(word in quoted for word in ("token+wire", "AKIDWIRE", "secret/wire"))
        failure, _ = await http.ask(there, path=PATH, credential=bad)
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.CREDENTIAL)
        assert len(seen) == 1


@pytest.mark.parametrize(
    ("secret", "line"),
    [
        ("ya29.token", b"authorization: Bearer ya29.token\r\n"),
        ("AIzaKey", b"x-goog-api-key: AIzaKey\r\n"),
        ("AQ.key", b"x-goog-api-key: AQ.key\r\n"),
    ],
)
def test_tokens_and_keys_of_vertex(secret: str, line: bytes) -> None:
    """Google takes a key by its own header only."""
    at = replace(provider("https://aiplatform.googleapis.com"), kind=ProviderKind.VERTEX)
    assert line in heads().render(make_call(at), secret)
