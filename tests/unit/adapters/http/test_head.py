"""What a provider is sent, and what a caller cannot put in."""

import os
from dataclasses import replace

import pytest

from tests.unit.adapters.http.scripted import GOOD, JSON, Peer, against, make_call, provider
from tollway.adapters.http.head import HeadError, RequestHeads
from tollway.domain.failure import Cause, Phase
from tollway.domain.ids import CredentialId
from tollway.domain.origin import Origin
from tollway.domain.provider import CredentialRecord, ProviderKind

ORIGIN = Origin(True, "api.example.com", 443, "/v1")
AT = provider("https://api.example.com/v1")


def heads() -> RequestHeads:
    return RequestHeads(ORIGIN, "tollway/1")


def test_the_whole_request() -> None:
    """Request line, host, agent, no compression, credential, the caller's fields, length, body."""
    call = make_call(AT, b'{"a":1}', headers=(JSON, (b"x-tab", b"a\tb \xff")))
    assert heads().render(call, "sk-1") == (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: api.example.com\r\n"
        b"user-agent: tollway/1\r\naccept-encoding: identity\r\nauthorization: Bearer sk-1\r\n"
        b"content-type: application/json\r\nx-tab: a\tb \xff\r\ncontent-length: 7\r\n\r\n"
        b'{"a":1}'
    )


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (ProviderKind.OPENAI, b"authorization: Bearer sk-1"),
        (ProviderKind.AZURE_OPENAI, b"api-key: sk-1"),
        (ProviderKind.ANTHROPIC, b"x-api-key: sk-1"),
        (ProviderKind.GEMINI, b"x-goog-api-key: sk-1"),
    ],
)
def test_where_a_kind_wants_its_secret(kind: ProviderKind, line: bytes) -> None:
    """In one place, and a caller's own there is refused whatever the kind."""
    at = replace(AT, kind=kind)
    sent = heads().render(make_call(at), "sk-1")
    assert sent.count(b"sk-1") == sent.count(line + b"\r\n") == 1
    for name in (b"authorization", b"api-key", b"x-api-key", b"x-goog-api-key"):
        with pytest.raises(HeadError):
            heads().render(make_call(at, headers=((name, b"mine"),)), "sk-1")


def test_a_path_that_asks_for_something() -> None:
    """Gemini's says in its query how the answer is to be streamed."""
    path = "/models/a%20b:streamGenerateContent?alt=sse"
    sent = heads().render(make_call(AT)._replace(path=path), "sk-1")
    assert sent.startswith(b"POST /v1/models/a%20b:streamGenerateContent?alt=sse HTTP/1.1\r\n")


def test_no_credential_no_field() -> None:
    """A provider without a secret is sent none."""
    assert b"authorization" not in heads().render(make_call(AT), "")


def test_what_is_kept_belongs_to_its_call() -> None:
    """Method, path, credential and secret each change the head; kept heads never answer for
    another."""
    kept = heads()
    calls = [
        make_call(AT, method=method, path=path, headers=headers)
        for method in ("GET", "POST")
        for path in ("/a", "/b")
        for headers in ((), (JSON,))
    ]
    for _ in range(2):
        for call in calls:
            for id_, secret in (("crd_1", ""), ("crd_2", "one"), ("crd_2", "two")):
                named = call._replace(credential=CredentialRecord(CredentialId(id_)))
                expected = heads().render(named, secret)
                assert kept.render(named, secret) == expected
                line = f"{call.method} /v1{call.path} HTTP/1.1\r\n".encode()
                assert expected.startswith(line)
                assert (secret.encode() in expected) if secret else b"Bearer" not in expected


def test_what_is_kept_is_bounded() -> None:
    """Clients choose paths and values: both caches stay small."""
    kept = heads()
    for number in range(3000):
        call = make_call(AT, path=f"/m/{number}", headers=((b"traceparent", b"%d" % number),))
        kept.render(call, "")
    assert len(kept._known) <= 256
    assert len(kept._fields) <= 1024


@pytest.mark.parametrize(
    "value", [b"a\r\nhost: evil", b"a\nb", b"a\rb", b"a\x00b", b"\x7f", b"a\x0bb", b"\n", b"x\r\n"]
)
def test_a_value_with_a_control_character(value: bytes) -> None:
    """Is refused, and not repeated in the message."""
    with pytest.raises(HeadError) as caught:
        heads().render(make_call(AT, headers=((b"traceparent", value),)), "")
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        b"", b"a b", b"a:b", b"a\r\nb", b"Upper", b"\xe4", b"host", b"content-length",
        b"connection", b"transfer-encoding", b"te", b"trailer", b"upgrade", b"expect",
        b"authorization", b"proxy-authorization", b"accept-encoding", b"user-agent", b"keep-alive",
    ],
)  # fmt: skip
def test_a_name_that_is_not_the_callers(name: bytes) -> None:
    """Fields about the connection or the credential are ours to set."""
    with pytest.raises(HeadError):
        heads().render(make_call(AT, headers=((name, b"x"),)), "")


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "/a b"},
        {"path": "/a\r\nhost: evil"},
        {"path": "/a#b"},
        {"path": "a"},
        {"path": "@evil.example/"},
        {"path": "/ä"},
        {"path": "/\x00"},
        {"method": "POST /x HTTP/1.1\r\n"},
        {"method": "post"},
        {"method": ""},
    ],
)
def test_a_request_line_that_is_none(changes: dict[str, str]) -> None:
    """Method and path cannot bring in another request or host."""
    with pytest.raises(HeadError):
        heads().render(make_call(AT, **changes), "")


async def test_over_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server reads what was meant; a bad header fails the call before anything is sent."""
    monkeypatch.setitem(os.environ, "TEST_UPSTREAM_KEY", "sk-wire")
    seen: list[tuple[str, dict[str, str], bytes]] = []

    async def script(peer: Peer) -> None:
        while True:
            seen.append(await peer.request())
            peer.write(GOOD)

    credential = CredentialRecord(CredentialId("crd_1"), "env:TEST_UPSTREAM_KEY")
    async with against(script) as (http, at, server):
        failure, _ = await http.ask(at, body=b"{1}", credential=credential)
        assert failure is None
        line, fields, body = seen[0]
        assert line == "POST /v1/chat/completions HTTP/1.1"
        agent = fields.pop("user-agent")
        assert agent.startswith("tollway/")
        assert fields == {
            "host": f"localhost:{server.port}",
            "accept-encoding": "identity",
            "authorization": "Bearer sk-wire",
            "content-type": "application/json",
            "content-length": "3",
        }
        assert body == b"{1}"
        failure, _ = await http.ask(at, headers=((b"x", b"a\r\nb"),), credential=credential)
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.PROTOCOL)
        failure, _ = await http.ask(at, method="GET", path="", body=b"", credential=None)
        assert failure is None
        assert seen[1][0] == "GET /v1 HTTP/1.1"
        assert len(seen) == 2


def test_paths_of_single_things_are_not_remembered() -> None:
    """Whoever asks for one thing after another must not push out what every request needs."""
    made = heads()
    made.render(make_call(AT, b"{}"), "sk-1")
    for number in range(1_000):
        call = make_call(AT, b"")._replace(method="GET", path=f"/responses/resp_{number}")
        sent = made.render(call, "sk-1")
        assert sent.startswith(b"GET /v1/responses/resp_%d HTTP/1.1\r\n" % number)
    assert [key[:2] for key in made._known] == [("POST", "/chat/completions")]
