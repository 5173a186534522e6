"""One cheap real call to a provider, for the admin process: `GET {base}/models` by the client that
makes all calls, so that the same guard, checks and bounds hold, on a loop of its own. Bedrock lists
no models where it is asked for answers, but what runs in the background; Ollama lists them at
another path, and Vertex counts a word's tokens, which costs nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from tollway.adapters.http.options import UpstreamOptions
from tollway.adapters.http.resolver import Lookup, system_lookup
from tollway.adapters.http.upstream import HttpUpstream
from tollway.app.ports import Flow, Header, SecretBox, UpstreamCall
from tollway.app.ports_probe import ProbeReport
from tollway.app.turns import Turns
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.provider import CredentialRecord, ProviderKind, ProviderRecord

MAX_BODY_BYTES = 64 * 1024
_DEADLINE_S = 10.0
_VERSION: tuple[Header, ...] = ((b"anthropic-version", b"2023-06-01"),)
_JSON: tuple[Header, ...] = ((b"content-type", b"application/json"),)
_PATHS = {
    ProviderKind.BEDROCK: "/async-invoke",
    ProviderKind.OLLAMA: "/api/tags",
    ProviderKind.VERTEX: "/models/gemini-2.5-flash:countTokens",
}
_A_WORD = b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'
_ANSWERED = ProbeReport(True, None, "The provider is built in and answers.")
_ENOUGH = Failure(Phase.FIRST_EVENT, Cause.PROTOCOL, "The answer is longer than is looked at.")


class HttpProbe:
    """Implements `app.ports_probe.ProviderProbe`. To be called from threads without a loop."""

    def __init__(
        self,
        options: UpstreamOptions,
        box: SecretBox | None = None,
        *,
        lookup: Lookup = system_lookup,
    ) -> None:
        """The box opens sealed credentials."""
        self._box = box
        self._options = replace(
            options,
            headers_timeout_s=min(options.headers_timeout_s, _DEADLINE_S),
            total_timeout_s=min(options.total_timeout_s, _DEADLINE_S),
        )
        self._lookup = lookup
        self._turns = Turns()  # each holds a thread of the admin API

    def probe(
        self, provider: ProviderRecord, credential: CredentialRecord | None
    ) -> ProbeReport | None:
        """What came of it; None when too many are being tried at the time."""
        if provider.kind is ProviderKind.ECHO:
            return _ANSWERED
        with self._turns.turn(provider.tenant_id) as mine:
            return asyncio.run(self._ask(provider, credential)) if mine else None

    async def _ask(
        self, provider: ProviderRecord, credential: CredentialRecord | None
    ) -> ProbeReport:
        # The provider's own deadlines are for real work: a person is waiting here.
        hurried = replace(provider, headers_timeout_s=None, total_timeout_s=None)
        headers = _VERSION if provider.kind is ProviderKind.ANTHROPIC else ()
        method, path, body = "GET", _PATHS.get(provider.kind, "/models"), b""
        if provider.kind is ProviderKind.VERTEX:
            method, body, headers = "POST", _A_WORD, _JSON
        call = UpstreamCall(hurried, credential, method, path, headers, body, False)
        upstream = HttpUpstream(self._options, self._box, lookup=self._lookup)
        answer = _Answer()
        try:
            failure = await upstream.call(call, answer)
        finally:
            await upstream.close()
        if failure is not None and failure is not _ENOUGH:
            return ProbeReport(False, answer.status, failure.message)
        return _judged(answer.status, path)


class _Answer:
    """A `ResponseSink` that remembers the status and counts the body."""

    def __init__(self) -> None:
        self.status: int | None = None
        self._size_bytes = 0
        self._flow: Flow | None = None

    def attach(self, flow: Flow) -> None:
        self._flow = flow

    def head(self, status: int, headers: Sequence[Header]) -> None:
        self.status = status

    def data(self, data: bytes) -> None:
        self._size_bytes += len(data)
        if self._size_bytes > MAX_BODY_BYTES and self._flow is not None:
            self._flow.cancel(_ENOUGH)


def _judged(status: int | None, path: str) -> ProbeReport:
    if status is None:
        return ProbeReport(False, None, "The provider did not answer.")
    if 200 <= status < 300:
        return ProbeReport(True, status, "The provider answered.")
    if status == 403 and path == _PATHS[ProviderKind.BEDROCK]:
        reason = "The provider does not accept the credential, or it lacks ListAsyncInvokes."
        return ProbeReport(False, status, reason)
    if status in (401, 403):
        return ProbeReport(False, status, "The provider does not accept the credential.")
    if 300 <= status < 400:
        return ProbeReport(False, status, "The provider redirects; that is not followed.")
    if status == 404:
        return ProbeReport(False, status, f"There is no {path} below the provider's base URL.")
    return ProbeReport(False, status, f"The provider answered with status {status}.")
