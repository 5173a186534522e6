"""From a request's credential to an actor: a bearer token, or a session's cookie with its proof
against forged requests on everything that changes something.
"""

from urllib.parse import urlsplit

from fastapi import Request

from tollway.app.admin.authenticate import SignedIn, by_cookie, by_token
from tollway.domain.brand import SESSION_COOKIE
from tollway.domain.session import csrf_matches
from tollway.web.admin.problems import ProblemError
from tollway.web.admin.services import Services

COOKIE = f"__Host-{SESSION_COOKIE}"
CSRF_HEADER = "x-csrf-token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def authenticated(services: Services, http: Request) -> SignedIn:
    """Who calls. Blocks on the database. Raises ProblemError 401 or 403."""
    scheme, _, token = http.headers.get("authorization", "").partition(" ")
    cookie = http.cookies.get(COOKIE)
    with services.configuration.read() as uow:
        if scheme.lower() == "bearer":
            found = by_token(uow, token.strip(), admin_token=services.admin_token)
        elif cookie is not None:
            found = by_cookie(uow, cookie)
        else:
            found = None
    if found is None:
        raise ProblemError(
            401,
            "unauthenticated",
            "Sign in, or send a token as 'Authorization: Bearer ...'.",
            headers={"www-authenticate": "Bearer"},
        )
    if found.session is not None and cookie is not None and http.method not in _SAFE:
        refuse_forged(services, http)
        if not csrf_matches(cookie, http.headers.get(CSRF_HEADER, "")):
            raise ProblemError(
                403, "csrf", f"Send '{CSRF_HEADER}' with the value that /api/v1/me gives."
            )
    _touch(services, found)
    return found


def refuse_forged(services: Services, http: Request) -> None:
    """Raises ProblemError 403 for a request that another site's page made."""
    origin, site = http.headers.get("origin"), http.headers.get("sec-fetch-site")
    own = origin is None or origin == own_origin(services, http)
    if not own or site not in (None, "same-origin", "none"):
        raise ProblemError(403, "csrf", "The request came from another site's page.")


def own_origin(services: Services, http: Request) -> str:
    """Scheme and authority under which browsers reach us."""
    parts = urlsplit(services.admin_url or str(http.base_url))
    return f"{parts.scheme}://{parts.netloc}"


def _touch(services: Services, found: SignedIn) -> None:
    """Write down that the credential was used, at most once a minute."""
    if found.stale_token is None and found.stale_session is None:
        return
    with services.configuration.begin() as uow:
        if found.stale_token is not None:
            uow.tokens.touch(found.stale_token, uow.now_s)
        if found.stale_session is not None:
            uow.sessions.touch(found.stale_session, uow.now_s)
        uow.commit()
