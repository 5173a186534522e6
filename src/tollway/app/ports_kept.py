"""Sealing what a client carries for us: ids of things that lie at a provider."""

from typing import Protocol


class Sealing(Protocol):
    """Authenticated encryption that needs no randomness: equal values have equal envelopes, and
    nothing else is told of them. Pure; never fails to seal."""

    def seal(self, plain: bytes, *, secret: bytes, owner: bytes) -> bytes:
        """An envelope that opens only with the same secret for the same owner."""

    def open(self, sealed: bytes, *, secret: bytes, owner: bytes) -> bytes | None:
        """What was sealed; None for everything that is not such an envelope, unchanged."""
