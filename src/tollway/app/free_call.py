"""The call that costs nothing, by kind of provider: its list of models. Bedrock lists none where it
is asked for answers, but what runs in the background; Ollama lists them at another path, and Vertex
counts a word's tokens.
"""

from collections.abc import Sequence

from tollway.app.ports import Flow, Header, UpstreamCall
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.provider import CredentialRecord, ProviderKind, ProviderRecord

MAX_BODY_BYTES = 64 * 1024
ENOUGH = Failure(Phase.FIRST_EVENT, Cause.PROTOCOL, "The answer is longer than is looked at.")
_VERSION: tuple[Header, ...] = ((b"anthropic-version", b"2023-06-01"),)
_JSON: tuple[Header, ...] = ((b"content-type", b"application/json"),)
_PATHS = {
    ProviderKind.BEDROCK: "/async-invoke",
    ProviderKind.OLLAMA: "/api/tags",
    ProviderKind.VERTEX: "/publishers/google/models/gemini-2.5-flash:countTokens",
}
_A_WORD = b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'


def free_call(provider: ProviderRecord, credential: CredentialRecord | None) -> UpstreamCall | None:
    """What to ask the provider; None: it is built in, and has nothing to be asked for."""
    kind = provider.kind
    if kind is ProviderKind.ECHO:
        return None
    headers = _VERSION if kind is ProviderKind.ANTHROPIC else ()
    method, path, body = "GET", _PATHS.get(kind, "/models"), b""
    if kind is ProviderKind.VERTEX:
        method, body, headers = "POST", _A_WORD, _JSON
    return UpstreamCall(provider, credential, method, path, headers, body, False)


class FreeAnswer:
    """A `ResponseSink` that remembers the status and counts the body: of one that is too long
    there is `ENOUGH`."""

    def __init__(self) -> None:
        self.status: int | None = None
        self._size_bytes = 0
        self._flow: Flow | None = None

    def attach(self, flow: Flow) -> None:
        """The call is about to be sent."""
        self._flow = flow

    def head(self, status: int, headers: Sequence[Header]) -> None:
        """The provider's status."""
        self.status = status

    def data(self, data: bytes) -> None:
        """A piece of the body."""
        self._size_bytes += len(data)
        if self._size_bytes > MAX_BODY_BYTES:
            self.stop(ENOUGH)

    def stop(self, failure: Failure) -> None:
        """End the call with this failure, if it has begun."""
        if self._flow is not None:
            self._flow.cancel(failure)
