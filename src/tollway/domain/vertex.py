"""What secrets of Google's Vertex AI look like, where its models are, and who may have a service
account's tokens fetched from where.
"""

import json
from typing import NamedTuple

from tollway.domain.origin import parse_base_url
from tollway.domain.result import Err, Ok, Result

_USUAL = "https://oauth2.googleapis.com/token"  # where Google's own accounts get theirs
_PUBLISHER = "/publishers/google"
NO_PUBLISHER = (
    "A provider of kind vertex needs a base_url that ends in /publishers/google, as in "
    "https://europe-west4-aiplatform.googleapis.com/v1/projects/PROJECT/locations/europe-west4"
    "/publishers/google"
)
_NOT_ACCOUNT = (
    "A secret of Vertex is an access token, an API key, or the JSON of a service account's key "
    '("type": "service_account", with client_email, private_key and token_uri).'
)
_NOT_THERE = (
    "The token_uri of a tenant's service account must be below https://…googleapis.com: it is "
    "where the gateway would be sent."
)


class ServiceAccount(NamedTuple):
    """What gets access tokens by signing for them. `private_key` is PEM."""

    email: str
    private_key: str
    token_uri: str
    key_id: str = ""


def is_account(secret: str) -> bool:
    """Whether a secret is JSON: no token and no key begins like it."""
    return secret.startswith("{")


def one_line(secret: str) -> str:
    """JSON without line breaks, as secrets have none; what is no JSON stays as it is."""
    if not is_account(secret):
        return secret
    try:
        return json.dumps(json.loads(secret), separators=(",", ":"))
    except (ValueError, RecursionError):
        return secret


def service_account(secret: str, *, tenant_owned: bool) -> Result[ServiceAccount, str]:
    """The account in a JSON secret. The error never repeats what was given."""
    try:
        value = json.loads(secret)
    except (ValueError, RecursionError):
        return Err(_NOT_ACCOUNT)
    if not isinstance(value, dict) or value.get("type") != "service_account":
        return Err(_NOT_ACCOUNT)
    told = [value.get(name) for name in ("client_email", "private_key")]
    more = [value.get("token_uri", _USUAL), value.get("private_key_id", "")]
    texts = [one for one in (*told, *more) if isinstance(one, str)]
    if len(texts) < 4 or not all(texts[:3]):
        return Err(_NOT_ACCOUNT)
    account = ServiceAccount(*texts)
    wrong = _wrong_place(account.token_uri, tenant_owned=tenant_owned)
    return Ok(account) if wrong is None else Err(wrong)


def is_place(base_url: str) -> bool:
    """Whether Google's models are below it: in a location, global, or behind a proxy."""
    return base_url.endswith(_PUBLISHER)


def _wrong_place(token_uri: str, *, tenant_owned: bool) -> str | None:
    """Tenants name the address in a file that they write: one that is not Google's would be a way
    to have the gateway call anything."""
    parsed = parse_base_url(token_uri, tenant_owned=tenant_owned)
    if isinstance(parsed, Err):
        return _NOT_THERE if tenant_owned else "The token_uri of the service account is no URL."
    origin = parsed.value
    if tenant_owned and not (origin.host.endswith(".googleapis.com") and origin.port == 443):
        return _NOT_THERE
    return None
