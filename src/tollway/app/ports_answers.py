"""What was answered under an `Idempotency-Key`, so that a request that is sent again is neither
made nor billed again.
"""

from typing import NamedTuple, Protocol


class AnswerScope(NamedTuple):
    """Whose key it is: what one credential was told is never told to another."""

    tenant_id: str
    asker: str  # the API key, or the subject of a token
    given: str  # the Idempotency-Key


class StoredAnswer(NamedTuple):
    """A whole answer. `body` is None for a stream: that it ran is known, not what it said."""

    status: int
    body: bytes | None


class Claim(Protocol):
    """The right to answer a key for the first time. Ends by `keep` or `release`, once; when our
    process dies, by itself."""

    def keep(self, answer: StoredAnswer) -> None:
        """Remember the answer for a day. What cannot be stored is not remembered, and no error."""

    def release(self) -> None:
        """There was no answer: whoever sends the key again is the first. Nothing after `keep`."""


class Taken(NamedTuple):
    """Another request with this key runs, or the key was used for another body (`same` False)."""

    same: bool


class AnswerStore(Protocol):
    """Never raises: a store that cannot be used claims without remembering."""

    def claim(self, scope: AnswerScope, digest: bytes) -> Claim | StoredAnswer | Taken:
        """The claim, what was answered to the same request, or why neither can be had. `digest`
        stands for what is asked."""
