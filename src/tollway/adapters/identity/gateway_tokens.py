"""JWTs in the place of API keys, judged without waiting. What costs nothing is asked first: a token
that is expired or for somebody else neither fetches keys nor has its signature checked.
"""

from collections.abc import Sequence
from concurrent.futures import Future

from tollway.adapters.identity.discovery import Discovery
from tollway.adapters.identity.fetching import Fetcher
from tollway.adapters.identity.keycache import KeyCache, key_source
from tollway.app.ports import Clock
from tollway.app.ports_identity import NeedsKeys
from tollway.domain.gateway_jwt import Claims, JwtIssuer, claims_of, jwt_issuer_problems
from tollway.domain.jwt_claims import Expected, claims_hold, split_jwt


class IssuedTokens:
    """Implements `app.ports_identity.JwtVerifier`. One per worker."""

    def __init__(self, issuers: Sequence[JwtIssuer], *, fetcher: Fetcher, clock: Clock) -> None:
        """Raises ValueError for an issuer with a problem, or one that stands twice."""
        self._issuers: dict[str, tuple[JwtIssuer, Expected, KeyCache]] = {}
        for config in issuers:
            problems = list(jwt_issuer_problems(config))
            if config.issuer in self._issuers:
                problems.append("The issuer stands twice.")
            if problems:
                raise ValueError(f"JWT issuer {config.issuer!r}: {' '.join(problems)}")
            discovery = None if config.jwks_url else Discovery(config.issuer, fetcher, clock)
            source = key_source(fetcher, discovery=discovery, jwks_url=config.jwks_url)
            cache = KeyCache(config.issuer, source, clock)
            self._issuers[config.issuer] = config, config.expected, cache

    def warm(self) -> "list[Future[None]]":
        """Begins to fetch all keys, so that the first request need not wait for them."""
        renewals = [cache.renew() for _, _, cache in self._issuers.values()]
        return [renewal for renewal in renewals if renewal is not None]

    def verify(self, token: bytes, now_s: float) -> Claims | NeedsKeys | None:
        unverified = split_jwt(token)
        if unverified is None:
            return None
        issuer = unverified.claims.get("iss")
        found = self._issuers.get(issuer) if isinstance(issuer, str) else None
        if found is None:
            return None
        config, expected, cache = found
        algorithm = unverified.algorithm
        if algorithm not in config.algorithms or not claims_hold(
            unverified.claims, expected, now_s
        ):
            return None
        key = cache.find(algorithm, unverified.key_id)
        if key is None:
            return _keys_for(cache)
        if not key.signed(token, algorithm):
            return None
        return claims_of(unverified.claims, config, now_s)


def _keys_for(cache: KeyCache) -> NeedsKeys | None:
    """A fetch under way may bring the key; just after one, an unknown key id is a wrong one."""
    renewal = cache.renew()
    if renewal is not None:
        return NeedsKeys(renewal)
    if cache.usable:
        return None
    over: Future[None] = Future()
    over.set_result(None)
    return NeedsKeys(over)
