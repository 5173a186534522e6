"""Access tokens of service accounts: exchanged at the account's token endpoint, by the client that
makes all calls and by its rules, and kept until shortly before they end. One exchange serves all
who wait; while a token is good, nobody waits for the next one.

Source: Google, "Using OAuth 2.0 for server to server applications".
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec

from tollway.adapters.http.assertions import assertion
from tollway.adapters.http.credentials import CredentialError
from tollway.app.ports import Flow, Header, ResponseSink, UpstreamCall
from tollway.dialects.redact import shown
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.ids import ProviderId
from tollway.domain.provider import ProviderKind, ProviderRecord
from tollway.domain.result import Err
from tollway.domain.vertex import is_account, service_account

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_FORM: tuple[Header, ...] = (
    (b"content-type", b"application/x-www-form-urlencoded"),
    (b"accept", b"application/json"),
)
_DEADLINE_S = 10.0
_SOON_S = 300.0  # before its end a token is renewed, while it is still sent
_LAST_S = 30.0  # before its end it is sent no more: a request may be on its way for a while
_AGAIN_S = 5.0  # after a failure nobody asks for so long
_USUAL_S, _LONGEST_S = 3600.0, 43_200.0  # how long Google's tokens are good, and may be
_MOST_KNOWN = 10_000
_MAX_BODY_BYTES = 64 * 1024
_TOKEN = re.compile(r"[!-~]{1,8192}")
_ENOUGH = Failure(Phase.FIRST_EVENT, Cause.PROTOCOL, "The answer is longer than a token.")

Call = Callable[[UpstreamCall, ResponseSink], Awaitable[Failure | None]]
_Place = tuple[str | None, str, str]  # owner, provider, secret
Obtained = str | Failure


class _Kept(NamedTuple):
    """A token. Times are of the timer, in seconds."""

    token: str
    renew_at: float
    until: float


class AccessTokens:
    """Those of one worker."""

    def __init__(
        self,
        call: Call,
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives seconds since 1970, for what is signed; `timer` measures what is kept."""
        self._call = call
        self._clock = clock
        self._timer = timer
        self._kept: dict[_Place, _Kept] = {}
        self._failed: dict[_Place, tuple[float, Failure]] = {}
        self._tasks: dict[_Place, asyncio.Task[Obtained]] = {}

    def at_hand(self, provider: ProviderRecord, secret: str) -> Obtained | None:
        """What is sent: the secret itself where it is no account, else the account's token, or why
        there is none. None: it must be obtained."""
        if not is_account(secret):
            return secret
        place, now = (provider.tenant_id, provider.id, secret), self._timer()
        kept = self._kept.get(place)
        failed = self._failed.get(place)
        resting = failed is not None and now < failed[0]
        if kept is not None and now < kept.until:
            if now >= kept.renew_at and not resting:
                self.obtain(provider, secret)
            return kept.token
        return failed[1] if failed is not None and resting else None

    def obtain(self, provider: ProviderRecord, secret: str) -> asyncio.Task[Obtained]:
        """The exchange that is under way, or a new one. It goes on whoever stops waiting."""
        place = (provider.tenant_id, provider.id, secret)
        task = self._tasks.get(place)
        if task is None:
            task = self._tasks[place] = asyncio.create_task(self._obtain(place, provider))
            task.add_done_callback(lambda _: self._tasks.pop(place, None))
        return task

    async def close(self) -> None:
        """No exchange goes on."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _obtain(self, place: _Place, provider: ProviderRecord) -> Obtained:
        try:
            token, lifetime_s = await self._exchange(provider, place[2])
        except CredentialError as error:
            message = f"The provider {provider.name!r} has no access token: {error}"
            failure = Failure(Phase.CONNECT, Cause.CREDENTIAL, message)
            _make_room(self._failed)
            self._failed[place] = self._timer() + _AGAIN_S, failure
            return failure
        now = self._timer()
        _make_room(self._kept)
        early_s = min(_SOON_S, lifetime_s / 2)
        self._kept[place] = _Kept(token, now + lifetime_s - early_s, now + lifetime_s - _LAST_S)
        self._failed.pop(place, None)
        return token

    async def _exchange(self, provider: ProviderRecord, secret: str) -> tuple[str, float]:
        """A token and its life in seconds. Raises CredentialError."""
        # Asked again: what was sealed before a rule is held to it too.
        found = service_account(secret, tenant_owned=provider.tenant_id is not None)
        if isinstance(found, Err):
            raise CredentialError(found.error)
        account = found.value
        signed = await asyncio.to_thread(assertion, account, int(self._clock()))
        endpoint = ProviderRecord(
            ProviderId(f"{provider.id}/tokens"),
            provider.name,
            ProviderKind.OPENAI_COMPATIBLE,
            account.token_uri,
            provider.tenant_id,  # whose addresses are checked
            headers_timeout_s=_DEADLINE_S,
            total_timeout_s=_DEADLINE_S,
        )
        body = urlencode({"grant_type": _GRANT, "assertion": signed}).encode()
        answer = _Answer()
        failure = await self._call(
            UpstreamCall(endpoint, None, "POST", "", _FORM, body, False), answer
        )
        if failure is not None:
            raise CredentialError(f"the token endpoint failed. {failure.message}")
        return _granted(answer)


class _Answer:
    """A `ResponseSink` that keeps a short body."""

    def __init__(self) -> None:
        self.status = 0
        self.body = bytearray()
        self._flow: Flow | None = None

    def attach(self, flow: Flow) -> None:
        self._flow = flow

    def head(self, status: int, headers: Sequence[Header]) -> None:
        self.status = status

    def data(self, data: bytes) -> None:
        self.body += data
        if len(self.body) > _MAX_BODY_BYTES and self._flow is not None:
            self._flow.cancel(_ENOUGH)


def _granted(answer: _Answer) -> tuple[str, float]:
    try:
        value = msgspec.json.decode(bytes(answer.body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    said = value if isinstance(value, dict) else {}
    if answer.status != 200:
        raise CredentialError(f"the token endpoint answered {answer.status}{_reason(said)}.")
    token, lifetime = said.get("access_token"), said.get("expires_in")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise CredentialError("the token endpoint's answer holds no access_token.")
    if not isinstance(lifetime, int | float) or not 0 <= lifetime <= _LONGEST_S:
        lifetime = _USUAL_S
    return token, float(lifetime)


def _reason(said: dict[str, object]) -> str:
    """In the endpoint's words: an error's name, and what it says of it."""
    words = (said.get(name) for name in ("error", "error_description"))
    told = [text for one in words if isinstance(one, str) and (text := shown(one))]
    return f": {', '.join(told)}".rstrip(".") if told else ""


def _make_room(known: dict[_Place, _Kept] | dict[_Place, tuple[float, Failure]]) -> None:
    if len(known) >= _MOST_KNOWN:
        known.clear()
