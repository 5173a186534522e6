"""The doors to who somebody is: passwords, identity providers, and JWTs on the gateway. Their
configuration and values are in `domain/oidc.py` and `domain/gateway_jwt.py`.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from tollway.domain.gateway_jwt import Claims
from tollway.domain.oidc import Identity, PendingLogin
from tollway.domain.result import Result


class PasswordHasher(Protocol):
    """Slow hashes of people's passwords. Blocks for tens of milliseconds: call it from a thread,
    outside every transaction. Never logs, never fails."""

    def hash(self, password: str) -> str:
        """What to store. Raises ValueError for a text `domain.password` would refuse to read."""

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether this is the password behind the hash. Takes the same time when there is none
        (no such account, or one without a password), so the time tells nothing."""

    def needs_rehash(self, stored: str) -> bool:
        """Whether to store it anew, with today's parameters, at the next right password."""


class IdentityProvider(Protocol):
    """One identity provider people sign in at. Fails closed: an `Err` holds a sentence for the log
    that names no secret. Blocks up to 10 s a fetch: call it from a thread."""

    def begin_login(self, redirect_uri: str) -> Result[tuple[str, PendingLogin], str]:
        """Where to send the browser, and what to keep for its return (see PendingLogin)."""

    def finish_login(
        self, pending: PendingLogin, params: Mapping[str, str]
    ) -> Result[Identity, str]:
        """Who came back with these parameters of the redirect URI. Works once for one code."""

    def logout_url(self, id_token: str, return_to: str) -> str | None:
        """Where to send the browser to sign out there too; None when that is not offered, or the
        provider was not reached yet. No I/O."""


@dataclass(frozen=True, slots=True)
class NeedsKeys:
    """A JWT that cannot be judged yet: its issuer's keys are on their way. `ready` is done when
    they came or cannot come; then ask once more, and answer 503 if it is NeedsKeys again."""

    ready: "Future[None]" = field(compare=False)


class JwtVerifier(Protocol):
    """JWTs in the place of API keys. Fails closed; while an issuer cannot be reached its last good
    keys serve for a day. Never blocks: keys are fetched by a thread of its own."""

    def verify(self, token: bytes, now_s: float) -> Claims | NeedsKeys | None:
        """What a believed token says; None for one that is not, whatever the reason. May be kept
        until `Claims.until_s`. `now_s` is UTC."""
