"""What a provider says of itself at `/.well-known/openid-configuration`, checked and kept for an
hour. Source: OpenID Connect Discovery 1.0. A provider out there may not point us at this machine.
"""

from dataclasses import dataclass
from typing import Any

from tollway.adapters.identity.fetching import Fetcher, FetchError
from tollway.app.ports import Clock
from tollway.domain.issuer import is_loopback, url_problem

FRESH_S = 3600.0
KEEP_S = 86_400.0  # how long the last good document serves while there is no newer one
RETRY_S = 10.0


@dataclass(frozen=True, slots=True)
class Metadata:
    """The parts of a provider's document that are used."""

    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    secret_in_form: bool = False  # the client secret goes into the form, not into a header
    names_itself: bool = False  # the redirect back carries `iss` (RFC 9207)


class Discovery:
    """One provider's metadata. Thread-safe: a race costs one more fetch."""

    def __init__(self, issuer: str, fetcher: Fetcher, clock: Clock) -> None:
        self._issuer = issuer
        self._fetcher = fetcher
        self._clock = clock
        self._known: Metadata | None = None
        self._fetched_s = 0.0
        self._failure: tuple[float, str] | None = None

    @property
    def known(self) -> Metadata | None:
        """The last good metadata, without I/O."""
        return self._known

    def metadata(self) -> Metadata:
        """Fresh metadata, or the last good. Blocks. Raises FetchError."""
        now_s = self._clock.monotonic()
        known = self._known
        if known is not None and now_s - self._fetched_s < FRESH_S:
            return known
        try:
            return self._fetch(now_s)
        except FetchError:
            if known is not None and now_s - self._fetched_s < KEEP_S:
                return known
            raise

    def _fetch(self, now_s: float) -> Metadata:
        if self._failure is not None and now_s - self._failure[0] < RETRY_S:
            raise FetchError(self._failure[1])
        url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            answer = self._fetcher.get(url)
            if answer.status != 200:
                raise FetchError(f"{url}: answered {answer.status}")
            known = read_metadata(answer.document, self._issuer)
        except FetchError as error:
            self._failure = now_s, str(error)
            raise
        self._known, self._fetched_s, self._failure = known, now_s, None
        return known


def read_metadata(document: dict[str, Any], issuer: str) -> Metadata:
    """The metadata in a document. Raises FetchError for another issuer's or a dangerous one."""
    if document.get("issuer") != issuer:
        raise FetchError(f"{issuer}: the document names another issuer")
    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Metadata(
        jwks_uri=_place(document, "jwks_uri", issuer),
        authorization_endpoint=_place(document, "authorization_endpoint", issuer),
        token_endpoint=_place(document, "token_endpoint", issuer),
        userinfo_endpoint=_place(document, "userinfo_endpoint", issuer),
        end_session_endpoint=_place(document, "end_session_endpoint", issuer),
        secret_in_form="client_secret_basic" not in methods and "client_secret_post" in methods,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _place(document: dict[str, Any], name: str, issuer: str) -> str:
    url = document.get(name, "")
    if url == "" and name != "jwks_uri":
        return ""
    if not isinstance(url, str):
        raise FetchError(f"{issuer}: {name} is no text")
    problem = url_problem(url.partition("?")[0], what=name)
    if problem is None and is_loopback(url) and not is_loopback(issuer):
        problem = f"{name} points at this machine"
    if problem is not None:
        raise FetchError(f"{issuer}: {problem}")
    return url
