"""Tokens of service accounts: exchanged once for all who wait, kept, renewed in time, and what
becomes of calls when there is none.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.fakes.google import TOKEN_URI, account_file, pem_of, private_key
from tests.unit.adapters.http.scripted import (
    GOOD,
    Client,
    Peer,
    Server,
    Sink,
    client,
    make_call,
    provider,
)
from tollway.adapters.http.access_tokens import AccessTokens
from tollway.app.ports import ResponseSink, UpstreamCall
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.ids import CredentialId, TenantId
from tollway.domain.provider import CredentialRecord, ProviderKind, ProviderRecord

RESET = Failure(Phase.HEADERS, Cause.RESET, "The provider closed the connection.")
KEY = CredentialRecord(CredentialId("crd_1"), "env:TEST_UPSTREAM_KEY")
AT = replace(provider("https://x.example"), kind=ProviderKind.VERTEX)


def granted(token: str = "ya29.one", **changes: Any) -> bytes:
    said = {"access_token": token, "expires_in": 3599, "token_type": "Bearer", **changes}
    return json.dumps(said).encode()


class Endpoint:
    """A token endpoint without sockets: answers in order, each once the gate is open."""

    def __init__(self, *answers: tuple[int, bytes] | Failure) -> None:
        self.answers = list(answers)
        self.calls: list[UpstreamCall] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def call(self, call: UpstreamCall, sink: ResponseSink) -> Failure | None:
        self.calls.append(call)
        await self.gate.wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Failure):
            return answer
        stopped: list[Failure] = []

        class Flow:
            cancel = staticmethod(stopped.append)

        sink.attach(Flow())  # type: ignore[arg-type]
        sink.head(answer[0], ())
        sink.data(answer[1])
        return stopped[0] if stopped else None


def tokens(
    endpoint: Endpoint, timer: Callable[[], float] = lambda: 0.0
) -> tuple[AccessTokens, str]:
    secret = json.dumps(json.loads(account_file()))
    return AccessTokens(endpoint.call, clock=lambda: 1000.0, timer=timer), secret


async def test_what_is_no_account_is_sent_as_it_is() -> None:
    """Nobody is asked."""
    endpoint = Endpoint()
    kept, _ = tokens(endpoint)
    assert kept.at_hand(AT, "ya29.mine") == "ya29.mine"
    assert kept.at_hand(AT, "") == ""
    assert endpoint.calls == []
    await kept.close()


async def test_an_exchange() -> None:
    """A form with a signed JWT, by the rules for whoever owns the provider, in its own time."""
    endpoint = Endpoint((200, granted()))
    kept, secret = tokens(endpoint)
    owned = replace(AT, tenant_id=TenantId("ten_1"), total_timeout_s=900.0)
    assert kept.at_hand(owned, secret) is None
    assert await kept.obtain(owned, secret) == "ya29.one"
    assert kept.at_hand(owned, secret) == "ya29.one"
    assert kept.at_hand(AT, secret) is None, "another's token"
    [call] = endpoint.calls
    assert (call.method, call.path, call.credential) == ("POST", "", None)
    assert (call.provider.base_url, call.provider.tenant_id) == (TOKEN_URI, "ten_1")
    assert call.provider.total_timeout_s == 10.0
    assert (b"content-type", b"application/x-www-form-urlencoded") in call.headers
    form = parse_qs(call.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    key = RSAKey.import_key(pem_of(private_key()))
    claims = jwt.decode(form["assertion"][0], key, algorithms=["RS256"]).claims
    assert (claims["aud"], claims["iat"], claims["exp"]) == (TOKEN_URI, 1000, 4600)


async def test_all_who_wait_share_one_exchange() -> None:
    """And it goes on when one of them leaves."""
    endpoint = Endpoint((200, granted()))
    endpoint.gate.clear()
    kept, secret = tokens(endpoint)
    waiting = [kept.obtain(AT, secret) for _ in range(20)]
    leaving = asyncio.ensure_future(asyncio.wait([waiting[0]]))
    await asyncio.sleep(0)
    leaving.cancel()
    endpoint.gate.set()
    assert set(await asyncio.gather(*waiting)) == {"ya29.one"}
    assert len(endpoint.calls) == 1


async def test_a_token_is_renewed_while_it_is_good() -> None:
    """Five minutes before its end, by nobody who waits; half a minute before it is not sent."""
    now = [0.0]
    endpoint = Endpoint((200, granted("one", expires_in=3600)), (200, granted("two")), RESET)
    kept, secret = tokens(endpoint, lambda: now[0])
    await kept.obtain(AT, secret)
    now[0] = 3299.0
    assert kept.at_hand(AT, secret) == "one"
    await asyncio.sleep(0)
    assert len(endpoint.calls) == 1
    now[0] = 3300.0
    assert [kept.at_hand(AT, secret) for _ in range(3)] == ["one"] * 3
    await kept.obtain(AT, secret)  # the one that is under way
    assert len(endpoint.calls) == 2
    assert kept.at_hand(AT, secret) == "two"
    now[0] += 3400.0  # the next renewal fails: what is good is sent on, and nobody asks at once
    assert kept.at_hand(AT, secret) == "two"
    assert isinstance(await kept.obtain(AT, secret), Failure)
    assert kept.at_hand(AT, secret) == "two"
    assert len(endpoint.calls) == 3
    now[0] += 3599.0 - 3400.0 - 30.0
    assert kept.at_hand(AT, secret) is None


async def test_a_token_that_ends_soon() -> None:
    """Is renewed at half its time; one that has hardly any is never kept."""
    now = [0.0]
    endpoint = Endpoint((200, granted(expires_in=100)), (200, granted(expires_in=20)))
    kept, secret = tokens(endpoint, lambda: now[0])
    await kept.obtain(AT, secret)
    now[0] = 69.0
    assert kept.at_hand(AT, secret) == "ya29.one"
    assert await kept.obtain(AT, secret) == "ya29.one"
    assert kept.at_hand(AT, secret) is None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (RESET, "the token endpoint failed. The provider closed the connection."),
        (
            (400, b'{"error":"invalid_grant","error_description":"Invalid JWT Signature."}'),
            "the token endpoint answered 400: invalid_grant, Invalid JWT Signature.",
        ),
        ((500, b"<html>"), "the token endpoint answered 500."),
        ((302, b"[]"), "the token endpoint answered 302."),
        ((200, b"[]"), "the token endpoint's answer holds no access_token."),
        ((200, b"\xff"), "the token endpoint's answer holds no access_token."),
        ((200, granted("a\r\nb")), "the token endpoint's answer holds no access_token."),
        ((200, b" " * 70_000), "the token endpoint failed. The answer is longer than a token."),
    ],
)
async def test_an_exchange_that_fails(answer: tuple[int, bytes] | Failure, words: str) -> None:
    """Is the credential's fault; for some seconds nobody asks again."""
    now = [0.0]
    endpoint = Endpoint(answer, (200, granted()))
    kept, secret = tokens(endpoint, lambda: now[0])
    failure = await kept.obtain(AT, secret)
    assert isinstance(failure, Failure)
    assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.CREDENTIAL)
    assert failure.message == f"The provider 'one' has no access token: {words}"
    assert kept.at_hand(AT, secret) == failure
    now[0] = 5.0
    assert kept.at_hand(AT, secret) is None
    assert await kept.obtain(AT, secret) == "ya29.one"
    assert kept.at_hand(AT, secret) == "ya29.one"


@pytest.mark.parametrize("lifetime", [None, "3600", -1, 10**9])
async def test_a_lifetime_that_is_none(lifetime: object) -> None:
    """Is an hour."""
    now = [0.0]
    kept, secret = tokens(Endpoint((200, granted(expires_in=lifetime))), lambda: now[0])
    await kept.obtain(AT, secret)
    now[0] = 3299.0
    assert kept.at_hand(AT, secret) == "ya29.one"
    now[0] = 3571.0
    assert kept.at_hand(AT, secret) is None


async def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """By forgetting."""
    monkeypatch.setattr("tollway.adapters.http.access_tokens._MOST_KNOWN", 1)
    endpoint = Endpoint((200, granted()), (200, granted("two")))
    kept, secret = tokens(endpoint)
    other = replace(AT, tenant_id=TenantId("ten_1"))
    await kept.obtain(AT, secret)
    await kept.obtain(other, secret)
    assert (kept.at_hand(AT, secret), kept.at_hand(other, secret)) == (None, "two")


class Google:
    """A server that is both: tokens at `/token`, answers elsewhere."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self.answers = list(answers)
        self.exchanges = 0
        self.seen: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()

    async def __call__(self, peer: Peer) -> None:
        while True:
            line, fields, _ = await peer.request()
            if line != "POST /token HTTP/1.1":
                self.seen.append(fields["authorization"])
                peer.write(GOOD)
                continue
            self.exchanges += 1
            self.asked.set()
            await self.gate.wait()
            status, body = self.answers.pop(0)
            head = f"HTTP/1.1 {status} Said\r\ncontent-length: {len(body)}\r\n\r\n"
            peer.write(head.encode() + body)


def served(server: Server, monkeypatch: pytest.MonkeyPatch) -> ProviderRecord:
    """Vertex at this server, with an account whose tokens come from there too."""
    secret = account_file(f"http://127.0.0.1:{server.port}/token")
    monkeypatch.setenv("TEST_UPSTREAM_KEY", secret)
    return replace(provider(server.url), kind=ProviderKind.VERTEX)


async def test_over_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that come at once share an exchange; later ones need none. What the provider quotes of
    the token is not repeated."""
    google = Google((200, granted("ya29.wire")))
    async with Server(google) as server, client() as http:
        at = served(server, monkeypatch)
        answers = await asyncio.gather(*[http.ask(at, credential=KEY) for _ in range(8)])
        assert [failure for failure, _ in answers] == [None] * 8
        failure, sink = await http.ask(at, credential=KEY)
        assert (failure, sink.body) == (None, b"hi")
        assert google.exchanges == 1
        assert google.seen == ["Bearer ya29.wire"] * 9
        assert sink.flow is not None
        assert sink.flow.redact("no: ya29.wire") == "no: [redacted]"


async def test_no_token_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is sent, for all who waited and for those who come right after."""
    google = Google((401, b'{"error":"invalid_client"}'))
    async with Server(google) as server, client() as http:
        at = served(server, monkeypatch)
        for _ in range(2):
            failure, _ = await http.ask(at, credential=KEY)
            assert failure is not None
            assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.CREDENTIAL)
            assert "401: invalid_client" in failure.message
        assert google.exchanges == 1
        assert google.seen == []


async def test_a_path_that_must_not_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is refused with a new token as with a kept one."""
    async with Server(Google((200, granted()))) as server, client() as http:
        at = served(server, monkeypatch)
        for _ in range(2):
            failure, _ = await http.ask(at, credential=KEY, path="/a b")
            assert failure is not None
            assert failure.cause is Cause.PROTOCOL


GONE = Failure(Phase.CONNECT, Cause.CLIENT_GONE, "The client left.")


async def test_who_leaves_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the token is there for the next."""
    google = Google((200, granted()))
    google.gate.clear()
    async with Server(google) as server, client() as http:
        at = served(server, monkeypatch)
        sink = Sink()
        asking = asyncio.ensure_future(http.ask(at, sink, credential=KEY))
        await google.asked.wait()
        assert sink.flow is not None
        sink.flow.cancel(GONE)
        assert (await asking)[0] == GONE
        google.gate.set()
        assert (await http.ask(at, credential=KEY))[0] is None
        assert google.exchanges == 1


async def test_closing_ends_exchanges(monkeypatch: pytest.MonkeyPatch) -> None:
    """And who waits for them is told why."""
    google = Google()
    google.gate.clear()
    async with Server(google) as server, client() as http:
        at = served(server, monkeypatch)
        asking = asyncio.ensure_future(http.ask(at, credential=KEY))
        await google.asked.wait()
        await http.http.close()
        failure, _ = await asking
        assert failure is not None
        assert failure.cause is Cause.DRAINED


async def ask_as_tenant(http: Client, token_uri: str) -> Failure | None:
    """A call of a tenant's provider, whose secret was sealed before any rule."""
    secret = json.dumps(json.loads(account_file(token_uri)))
    at = replace(provider("https://x.googleapis.com"), kind=ProviderKind.VERTEX)
    at = replace(at, tenant_id=TenantId("ten_1"))
    http.http._secrets.resolve = lambda *_: secret  # type: ignore[method-assign]
    return await http.http.call(make_call(at, credential=KEY), Sink())


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://127.0.0.1:{port}/token", "googleapis.com"),
        ("https://evil.example:{port}/token", "googleapis.com"),
        ("https://oauth2.googleapis.com/token", "may not be at this address"),
    ],
)
async def test_a_tenants_account_leads_nowhere_else(uri: str, words: str) -> None:
    """Neither by what stands in its file nor by what Google's name is made to resolve to."""
    google = Google((200, granted()))
    async with Server(google) as server, client(lookup=lambda *_: ["127.0.0.1"]) as http:
        failure = await ask_as_tenant(http, uri.format(port=server.port))
        assert failure is not None
        assert failure.cause is Cause.CREDENTIAL
        assert words in failure.message
        assert server.accepted == 0
