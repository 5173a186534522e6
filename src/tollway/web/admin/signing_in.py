"""From a request's credential to an actor: a bearer token, or a session's cookie with its CSRF
proof on everything that changes something.
"""

import hmac

from fastapi import Request

from tollway.domain.policy import Actor
from tollway.web.admin.problems import ProblemError
from tollway.web.admin.services import Services


async def authenticated(services: Services, http: Request) -> Actor:
    """Who calls. Raises ProblemError 401 or 403."""
    scheme, _, token = http.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(
        token.strip().encode(), services.admin_token.encode()
    ):
        return Actor("bootstrap", "bootstrap token", "bootstrap", platform_admin=True)
    raise ProblemError(
        401,
        "unauthenticated",
        "Sign in, or send a token as 'Authorization: Bearer ...'.",
        headers={"www-authenticate": "Bearer"},
    )
