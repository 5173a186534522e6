"""How a secret goes onto a request, by kind of provider. Sources: Microsoft's, Anthropic's and
Google's and Amazon's API references; everybody else takes a bearer token.
"""

from collections.abc import Callable, Sequence

from tollway.adapters.http.credentials import CredentialError
from tollway.adapters.http.sigv4 import Signer, Unsigned
from tollway.app.ports import Header, UpstreamCall
from tollway.domain.bedrock import NO_REGION, AwsKeys, aws_keys, region_of
from tollway.domain.origin import Origin
from tollway.domain.provider import ProviderKind
from tollway.domain.result import Err

_NAMES = {
    ProviderKind.ANTHROPIC: "x-api-key",
    ProviderKind.AZURE_OPENAI: "api-key",
    ProviderKind.GEMINI: "x-goog-api-key",
}
# How Google's API keys begin. As bearer tokens, which service accounts get, they are refused.
_GOOGLE_KEYS = ("AIza", "AQ.")
# Ours to say, whatever the kind: a caller's own would stand beside it.
SECRET_HEADERS = frozenset(
    {
        b"authorization", b"x-amz-content-sha256", b"x-amz-date", b"x-amz-security-token",
        *(name.encode() for name in _NAMES.values()),
    }
)  # fmt: skip
# Of the request's fields those that are signed, besides ours: Amazon wants these.
_SIGNED = frozenset({b"content-type"})

Sign = Callable[[UpstreamCall], bytes]


def secret_line(kind: ProviderKind, secret: str) -> str:
    """The header line, its end included; nothing without a secret, or with one that signs."""
    if not secret or _keys(kind, secret) is not None:
        return ""
    name = _NAMES.get(kind)
    if kind is ProviderKind.VERTEX and secret.startswith(_GOOGLE_KEYS):
        name = _NAMES[ProviderKind.GEMINI]
    return f"authorization: Bearer {secret}\r\n" if name is None else f"{name}: {secret}\r\n"


def signing(kind: ProviderKind, secret: str, origin: Origin) -> Sign | None:
    """What gives each request its own header lines, where the kind wants a signature; None: the
    same line goes onto all. Raises CredentialError."""
    keys = _keys(kind, secret)
    if keys is None:
        return None
    region = region_of(origin.host)
    if region is None:
        raise CredentialError(NO_REGION)
    signer, host = Signer(keys, region), (b"host", origin.authority.encode())

    def sign(call: UpstreamCall) -> bytes:
        signed = (host, *(header for header in call.headers if header[0] in _SIGNED))
        target = (origin.path + call.path) or "/"
        return _rendered(signer.lines(Unsigned(call.method, target, signed, call.body)))

    return sign


def words_of(kind: ProviderKind, secret: str) -> tuple[str, ...]:
    """What of a secret nobody may read: itself, and its parts where a provider quotes those."""
    return (secret, *secret.split(":")) if kind is ProviderKind.BEDROCK else (secret,)


def _keys(kind: ProviderKind, secret: str) -> AwsKeys | None:
    if kind is not ProviderKind.BEDROCK:
        return None
    found = aws_keys(secret)
    if isinstance(found, Err):
        raise CredentialError(found.error)
    return found.value


def _rendered(headers: Sequence[Header]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
