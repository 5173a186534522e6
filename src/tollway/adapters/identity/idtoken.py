"""An ID token's checks, and who it says somebody is. Source: OpenID Connect Core 1.0 (3.1.3.7)."""

import hmac
from collections.abc import Mapping
from concurrent.futures import wait
from typing import Any

from tollway.adapters.identity.fetching import TIMEOUT_S
from tollway.adapters.identity.keycache import KeyCache
from tollway.adapters.identity.keyset import PublicKey
from tollway.domain.jwt_claims import (
    Expected,
    audiences_of,
    claims_hold,
    split_jwt,
    text_of,
    time_of,
)
from tollway.domain.oidc import Identity, OidcIssuer, PendingLogin, claimed

MAX_ID_TOKEN_BYTES = 64 * 1024  # groups make them large
_MAX_GROUPS = 1000
_MAX_EMAIL_CHARS = 254


class LoginRefusedError(Exception):
    """A sign-in that must not succeed. The text is for the log."""


def check_id_token(
    token: bytes, config: OidcIssuer, keys: KeyCache, *, pending: PendingLogin, now_s: float
) -> Mapping[str, Any]:
    """The claims of an ID token that holds. May wait for keys. Raises LoginRefusedError."""
    unverified = split_jwt(token, MAX_ID_TOKEN_BYTES)
    if unverified is None or unverified.algorithm not in config.algorithms:
        raise LoginRefusedError("the ID token has no acceptable form")
    claims = unverified.claims
    if not claims_hold(
        claims, Expected(config.issuer, (config.client_id,), config.leeway_s), now_s
    ):
        raise LoginRefusedError("the ID token is another's, for another, or not of this time")
    party = claims.get("azp", config.client_id if len(audiences_of(claims)) == 1 else None)
    if party != config.client_id:
        raise LoginRefusedError("the ID token was made for another party")
    issued_s = time_of(claims, "iat")
    if issued_s is None or issued_s < pending.began_s - config.leeway_s:
        raise LoginRefusedError("the ID token is older than the sign-in")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(
        nonce.encode("utf-8", "replace"), pending.nonce.encode()
    ):
        raise LoginRefusedError("the ID token is of another sign-in")
    if text_of(claims, "sub") is None:
        raise LoginRefusedError("the ID token names nobody")
    key = _key(keys, unverified.algorithm, unverified.key_id)
    if key is None or not key.signed(token, unverified.algorithm):
        raise LoginRefusedError("the ID token's signature is not the provider's")
    return claims


def read_identity(claims: Mapping[str, Any], config: OidcIssuer, id_token: str) -> Identity:
    """Who these claims are about. Raises LoginRefusedError when the groups were left out."""
    elsewhere = claims.get("_claim_names")
    if isinstance(elsewhere, Mapping) and config.groups_claim in elsewhere:
        # Too many groups for one token (Entra ID): reading them as none would take roles away.
        raise LoginRefusedError("the provider left the groups out; let it send fewer of them")
    email = claimed(claims, config.email_claim)
    if not isinstance(email, str) or not _is_email(email):
        email = None
    standard = claims.get("email")
    vouched = isinstance(standard, str) and email is not None and standard == email
    return Identity(
        issuer=config.issuer,
        subject=claims["sub"],
        email=None if email is None else email.lower(),
        email_verified=vouched and _is_true(claims.get("email_verified")),
        name=text_of(claims, "name") or text_of(claims, "preferred_username"),
        groups=_groups(claimed(claims, config.groups_claim)),
        id_token=id_token,
    )


def _key(keys: KeyCache, algorithm: str, key_id: str | None) -> PublicKey | None:
    key = keys.find(algorithm, key_id)
    if key is None:
        renewal = keys.renew()
        if renewal is not None:
            wait([renewal], 3 * TIMEOUT_S)
            key = keys.find(algorithm, key_id)
    return key


def _groups(value: object) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list):
        return ()
    return tuple(
        one
        for one in given[:_MAX_GROUPS]
        if isinstance(one, str) and 0 < len(one) <= 255 and one.isprintable()
    )


def _is_true(value: object) -> bool:
    return value is True or value == "true"  # some providers send it as text


def _is_email(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    return bool(local and domain) and text.isprintable() and len(text) <= _MAX_EMAIL_CHARS
