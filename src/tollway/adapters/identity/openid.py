"""Signing people in at an OpenID provider: authorization code with PKCE. Every answer is checked
against what was asked, and anything missing refuses. Sources: OpenID Connect Core 1.0 (3.1), RFC
7636, RFC 9207, RP-Initiated Logout 1.0.
"""

import hmac
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import quote_plus, urlencode

from tollway.adapters.identity.discovery import Discovery, Metadata
from tollway.adapters.identity.fetching import Fetcher, FetchError
from tollway.adapters.identity.idtoken import LoginRefusedError, check_id_token, read_identity
from tollway.adapters.identity.keycache import KeyCache, key_source
from tollway.app.ports import Clock
from tollway.app.ports_admin import Entropy
from tollway.domain.oidc import PENDING_S, Identity, OidcIssuer, PendingLogin, issuer_problems
from tollway.domain.result import Err, Ok, Result


class OpenIdProvider:
    """Implements `app.ports_identity.IdentityProvider`. Thread-safe."""

    def __init__(
        self, config: OidcIssuer, *, fetcher: Fetcher, clock: Clock, entropy: Entropy
    ) -> None:
        """Raises ValueError for a configuration with a problem: it stays off. No I/O."""
        problems = list(issuer_problems(config))
        if problems:
            raise ValueError(f"Identity provider {config.name!r}: {' '.join(problems)}")
        self._config = config
        self._fetcher = fetcher
        self._clock = clock
        self._entropy = entropy
        self._discovery = Discovery(config.issuer, fetcher, clock)
        source = key_source(fetcher, discovery=self._discovery)
        self._keys = KeyCache(config.issuer, source, clock)

    def begin_login(self, redirect_uri: str) -> Result[tuple[str, PendingLogin], str]:
        try:
            metadata = self._discovery.metadata()
        except FetchError as error:
            return Err(str(error))
        if not metadata.authorization_endpoint or not metadata.token_endpoint:
            return Err(f"{self._config.issuer}: offers no sign-in")
        pending = PendingLogin(
            self._config.issuer, redirect_uri, int(self._now_s()),
            self._secret(), self._secret(), self._secret(),
        )  # fmt: skip
        query = {
            "response_type": "code",
            "client_id": self._config.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._config.scopes),
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": _base64url(sha256(pending.verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        return Ok((_with_query(metadata.authorization_endpoint, query), pending))

    def finish_login(
        self, pending: PendingLogin, params: Mapping[str, str]
    ) -> Result[Identity, str]:
        try:
            metadata = self._discovery.metadata()
            code = self._code_of(pending, params, metadata)
            tokens = self._redeem(code, pending, metadata)
            return Ok(self._identity(tokens, pending, metadata))
        except (FetchError, LoginRefusedError) as error:
            return Err(str(error))

    def logout_url(self, id_token: str, return_to: str) -> str | None:
        metadata = self._discovery.known
        if metadata is None or not metadata.end_session_endpoint:
            return None
        query = {
            "client_id": self._config.client_id,
            "id_token_hint": id_token,
            "post_logout_redirect_uri": return_to,
        }
        if not id_token:
            del query["id_token_hint"]
        return _with_query(metadata.end_session_endpoint, query)

    def _code_of(self, pending: PendingLogin, params: Mapping[str, str], metadata: Metadata) -> str:
        if pending.issuer != self._config.issuer:
            raise LoginRefusedError("the sign-in was begun at another provider")
        if not _same(params.get("state", ""), pending.state):
            raise LoginRefusedError("the state is not the one this browser was sent with")
        if not 0 <= self._now_s() - pending.began_s + 1 <= PENDING_S:
            raise LoginRefusedError("the sign-in took too long")
        named = params.get("iss")
        # Mix-up: a code of one provider must not be redeemed at another (RFC 9207).
        if named != self._config.issuer and (named is not None or metadata.names_itself):
            raise LoginRefusedError("the answer is not from this provider")
        if "error" in params:
            raise LoginRefusedError(f"the provider refused: {_shown(params['error'])}")
        code = params.get("code", "")
        if not code or not code.isascii():
            raise LoginRefusedError("the answer holds no code")
        return code

    def _redeem(self, code: str, pending: PendingLogin, metadata: Metadata) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": pending.redirect_uri,
            "code_verifier": pending.verifier,
        }
        client_id, secret = self._config.client_id, self._config.client_secret
        authorization = ""
        if self._config.public or metadata.secret_in_form:
            form["client_id"] = client_id
            if secret:
                form["client_secret"] = secret
        else:
            pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
            authorization = f"Basic {b64encode(pair.encode()).decode()}"
        answer = self._fetcher.post(metadata.token_endpoint, form, authorization=authorization)
        if answer.status != 200:
            reason = _shown(answer.document.get("error"))
            raise LoginRefusedError(f"the provider refused the code: {answer.status} {reason}")
        return answer.document

    def _identity(
        self, tokens: Mapping[str, Any], pending: PendingLogin, metadata: Metadata
    ) -> Identity:
        id_token = tokens.get("id_token")
        if not isinstance(id_token, str):
            raise LoginRefusedError("the provider sent no ID token")
        claims = check_id_token(
            id_token.encode(), self._config, self._keys, pending=pending, now_s=self._now_s()
        )
        access_token = tokens.get("access_token")
        wanted = {self._config.email_claim, self._config.groups_claim, "name"}
        if metadata.userinfo_endpoint and isinstance(access_token, str) and wanted - claims.keys():
            claims = {**self._userinfo(metadata, access_token, claims["sub"]), **claims}
        return read_identity(claims, self._config, id_token)

    def _userinfo(self, metadata: Metadata, access_token: str, subject: str) -> Mapping[str, Any]:
        if not access_token.isascii() or not access_token.isprintable():
            raise LoginRefusedError("the access token is malformed")
        answer = self._fetcher.get(
            metadata.userinfo_endpoint, authorization=f"Bearer {access_token}"
        )
        # Without this check another person's answer could be substituted (Core 1.0, 5.3.2).
        if answer.status != 200 or answer.document.get("sub") != subject:
            raise LoginRefusedError(f"the userinfo is not this person's ({answer.status})")
        return answer.document

    def _secret(self) -> str:
        return _base64url(self._entropy(32))

    def _now_s(self) -> float:
        return self._clock.wall_ns() / 1e9


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _with_query(url: str, query: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def _shown(reason: object) -> str:
    """An error code as a log may show it: the provider, or a forged redirect, wrote it."""
    if not isinstance(reason, str) or not reason.isascii() or not reason.isprintable():
        return "no reason given"
    return reason[:64]
