"""What secrets of Google's Vertex AI look like, where its models are and whose, and who may have a
service account's tokens fetched from where.
"""

import json
import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from tollway.domain.origin import parse_base_url
from tollway.domain.result import Err, Ok, Result

_USUAL = "https://oauth2.googleapis.com/token"  # where Google's own accounts get theirs
_GOOGLES = "/publishers/google"
_LOCATION = re.compile(r".*/projects/[^/]+/locations/[^/]+")
NO_PLACE = (
    "A provider of kind vertex needs a base_url that ends in its project and location, as in "
    "https://europe-west4-aiplatform.googleapis.com/v1/projects/PROJECT/locations/europe-west4; "
    "/publishers/google may stand behind it."
)
# `publishers/PUBLISHER/models/MODEL`, as Google's paths have it, or `PUBLISHER/MODEL`.
_NAMED = re.compile(r"(?:publishers/([a-z0-9-]+)/models/|([a-z0-9-]+)/)([^/]+)")
# Names that say of themselves whose they are.
_ANTHROPICS = re.compile(r"claude-[^/]+")
_GOOGLE_NAMES = re.compile(
    r"(?:models/)?((?:gemini|gemma|learnlm|medlm|text-embedding|text-multilingual-embedding"
    r"|textembedding|multimodalembedding)[-@][^/]+)"
)
_OPEN = "-maas"  # of Google's own those that are served like other publishers'
# Theirs are spoken to in dialects of their own.
_OTHER_DIALECTS = frozenset({"ai21", "mistralai"})
NO_PUBLISHER = (
    "At Vertex a model is claude-..., gemini-..., or is written with its publisher, as "
    "meta/llama-3.3-70b-instruct-maas or publishers/PUBLISHER/models/MODEL; models of Mistral and "
    "AI21 are not served there."
)
_NOT_ACCOUNT = (
    "A secret of Vertex is an access token, an API key, or the JSON of a service account's key "
    '("type": "service_account", with client_email, private_key and token_uri).'
)
_NOT_THERE = (
    "The token_uri of a tenant's service account must be below https://…googleapis.com: it is "
    "where the gateway would be sent."
)


class Publisher(Enum):
    """Whose models are spoken to alike. No text: it would equal that of a kind of provider."""

    GOOGLE = "google"  # generateContent
    ANTHROPIC = "anthropic"  # Messages, by rawPredict
    OTHERS = "others"  # Chat Completions, at one endpoint for all of them


_HOMES = {"google": Publisher.GOOGLE, "anthropic": Publisher.ANTHROPIC}


class VertexModel(NamedTuple):
    """A model as paths and bodies have it: of others with its publisher in front."""

    publisher: Publisher
    name: str


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
    """Whether models are below it: in a location, global, or behind a proxy."""
    return base_url.endswith(_GOOGLES) or _LOCATION.fullmatch(base_url) is not None


def place_of(base_url: str) -> str:
    """What all publishers' models are below."""
    return base_url.rstrip("/").removesuffix(_GOOGLES)


@lru_cache(maxsize=1024)
def vertex_model(model: str) -> VertexModel | None:
    """Whose model a target's is; None where its name leaves that open, or where it is spoken to in
    a dialect that nobody here speaks."""
    publisher, name = _parted(model)
    if publisher is None or publisher in _OTHER_DIALECTS:
        return None
    home = _HOMES.get(publisher, Publisher.OTHERS)
    if home is Publisher.OTHERS or (home is Publisher.GOOGLE and name.endswith(_OPEN)):
        return VertexModel(Publisher.OTHERS, f"{publisher}/{name}")
    return VertexModel(home, name)


def bare_name(model: str) -> str:
    """The model's name without its publisher, as books of prices have it."""
    return _parted(model)[1]


def _parted(model: str) -> tuple[str | None, str]:
    """The publisher, None where nothing says it, and the name."""
    named = _NAMED.fullmatch(model)
    if named is not None and named[2] != "models":
        return named[1] or named[2], named[3]
    if _ANTHROPICS.fullmatch(model):
        return "anthropic", model
    found = _GOOGLE_NAMES.fullmatch(model)
    return (None, model) if found is None else ("google", found[1])


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
