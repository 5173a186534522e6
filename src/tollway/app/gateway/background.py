"""Asking for what a provider makes in the background: once, or again and again until it is done.
Who asks is the request itself, whose stream has ended early, or whoever comes after a process that
died (`jobs/follow.py`). By the same ways and rules as every call; it is neither billed nor counted.
"""

import asyncio
from collections.abc import Sequence

from tollway.app.gateway.runtime import Gateway
from tollway.app.ports import Flow, Header, UpstreamCall
from tollway.dialects.background import ACCEPT, Made, path_of, read_made
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.provider import CredentialRecord, ProviderRecord

_SLOWEST_S = 30.0
_GONE = frozenset({404, 410})
_SURE_GONE = 2  # answers in a row: what was just made may not be everywhere yet
LATE = Failure(Phase.BODY, Cause.TIMEOUT, "The answer took longer than one may in the background.")
_LARGE = Failure(Phase.FIRST_EVENT, Cause.PROTOCOL, "The answer is larger than is held here.")
GONE = Failure(Phase.BODY, Cause.CLIENT_GONE, "The provider does not have the response any more.")


class MadeAnswer:
    """A `ResponseSink` that holds one answer about a response."""

    def __init__(self, most_bytes: int) -> None:
        self.status = 0
        self._most_bytes = most_bytes
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self._flow: Flow | None = None
        self._stopped: Failure | None = None

    @property
    def body(self) -> bytes:
        """All that came."""
        return b"".join(self._pieces)

    def attach(self, flow: Flow) -> None:
        """The call is about to be sent."""
        self._flow = flow
        if self._stopped is not None:
            flow.cancel(self._stopped)

    def head(self, status: int, headers: Sequence[Header]) -> None:
        """The provider's status."""
        self.status = status

    def data(self, data: bytes) -> None:
        """A piece of the body."""
        self._size_bytes += len(data)
        if self._size_bytes > self._most_bytes:
            self.stop(_LARGE)
        else:
            self._pieces.append(data)

    def stop(self, failure: Failure) -> None:
        """End the call, now or as soon as it begins."""
        self._stopped = failure
        if self._flow is not None:
            self._flow.cancel(failure)


class Asking:
    """One response at one account. `stop` ends a waiting `until_final`, from wherever."""

    def __init__(
        self,
        gateway: Gateway,
        provider: ProviderRecord,
        credential: CredentialRecord | None,
        name: str,
    ) -> None:
        self._gateway = gateway
        self._provider = provider
        self._credential = credential
        self._name = name
        self._answer: MadeAnswer | None = None
        self._stopped = asyncio.Event()
        self._gone = 0

    def stop(self, failure: Failure) -> None:
        """Nobody waits any more."""
        self._stopped.set()
        if self._answer is not None:
            self._answer.stop(failure)

    async def until_final(self) -> Made | None:
        """How the response ended; None: it was stopped, or the provider has it no more."""
        wait_s = self._gateway.options.background_poll_s
        while not self._stopped.is_set():
            made = await self.once()
            if made is not None and made.final:
                return made
            if self._gone >= _SURE_GONE:
                return None
            await self._pause(wait_s * (1.0 + self._gateway.draw()) / 2)
            wait_s = min(2 * wait_s, max(_SLOWEST_S, self._gateway.options.background_poll_s))
        return None

    async def once(self) -> Made | None:
        """How it stands; None: that cannot be had now."""
        return await self._ask("GET", "")

    async def cancelled(self) -> Made | None:
        """Have the provider end it; how it stands then, as far as the provider says."""
        made = await self._ask("POST", "/cancel")
        return made if made is not None and made.final else await self.once()

    @property
    def is_gone(self) -> bool:
        """Whether the provider has said often enough that there is no such response."""
        return self._gone >= _SURE_GONE

    async def _ask(self, method: str, suffix: str) -> Made | None:
        provider = self._provider
        call = UpstreamCall(
            provider, self._credential, method, path_of(self._name, suffix), ACCEPT, b"", False
        )
        answer = self._answer = MadeAnswer(self._gateway.options.reply_bytes)
        try:
            failure = await self._gateway.upstreams[provider.kind].call(call, answer)
        finally:
            self._answer = None
        if failure is not None:
            return None
        self._gone = self._gone + 1 if answer.status in _GONE else 0
        return read_made(answer.body) if 200 <= answer.status < 300 else None

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopped.wait(), seconds)
        except TimeoutError:
            return
