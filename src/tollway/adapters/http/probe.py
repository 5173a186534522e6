"""One free real call to a provider, for the admin process: by the client that makes all calls, so
that the same guard, checks and bounds hold, on a loop of its own.
"""

import asyncio
from dataclasses import replace

from tollway.adapters.http.options import UpstreamOptions
from tollway.adapters.http.resolver import Lookup, system_lookup
from tollway.adapters.http.upstream import HttpUpstream
from tollway.app.free_call import ENOUGH, FreeAnswer, free_call
from tollway.app.ports import SecretBox, UpstreamCall
from tollway.app.ports_probe import ProbeReport
from tollway.app.turns import Turns
from tollway.domain.provider import CredentialRecord, ProviderKind, ProviderRecord

_DEADLINE_S = 10.0
_ANSWERED = ProbeReport(True, None, "The provider is built in and answers.")


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
        # The provider's own deadlines are for real work: a person is waiting here.
        hurried = replace(provider, headers_timeout_s=None, total_timeout_s=None)
        call = free_call(hurried, credential)
        if call is None:
            return _ANSWERED
        with self._turns.turn(provider.tenant_id) as mine:
            return asyncio.run(self._ask(call)) if mine else None

    async def _ask(self, call: UpstreamCall) -> ProbeReport:
        upstream = HttpUpstream(self._options, self._box, lookup=self._lookup)
        answer = FreeAnswer()
        try:
            failure = await upstream.call(call, answer)
        finally:
            await upstream.close()
        if failure is not None and failure is not ENOUGH:
            return ProbeReport(False, answer.status, failure.message)
        return _judged(answer.status, call)


def _judged(status: int | None, call: UpstreamCall) -> ProbeReport:
    if status is None:
        return ProbeReport(False, None, "The provider did not answer.")
    if 200 <= status < 300:
        return ProbeReport(True, status, "The provider answered.")
    if status == 403 and call.provider.kind is ProviderKind.BEDROCK:
        reason = "The provider does not accept the credential, or it lacks ListAsyncInvokes."
        return ProbeReport(False, status, reason)
    if status in (401, 403):
        return ProbeReport(False, status, "The provider does not accept the credential.")
    if 300 <= status < 400:
        return ProbeReport(False, status, "The provider redirects; that is not followed.")
    if status == 404:
        return ProbeReport(False, status, f"There is no {call.path} below the provider's base URL.")
    return ProbeReport(False, status, f"The provider answered with status {status}.")
