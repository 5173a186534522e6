"""Who judges JWTs in a worker. Imported only where an issuer is believed: the libraries that check
signatures are of no use to other workers.
"""

from tollway.adapters.identity.fetching import Fetcher
from tollway.adapters.identity.gateway_tokens import IssuedTokens
from tollway.app.ports import Clock
from tollway.app.ports_identity import JwtVerifier
from tollway.config import Settings


def build_verifier(settings: Settings, clock: Clock) -> JwtVerifier:
    """The issuers' keys begin to be fetched at once, so that the first request need not wait."""
    verifier = IssuedTokens(settings.jwt, fetcher=Fetcher(), clock=clock)
    verifier.warm()
    return verifier
