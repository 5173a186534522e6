"""How a secret goes onto a request, by kind of provider. Sources: Microsoft's, Anthropic's and
Google's API references; everybody else takes a bearer token.
"""

from tollway.domain.provider import ProviderKind

_NAMES = {
    ProviderKind.ANTHROPIC: "x-api-key",
    ProviderKind.AZURE_OPENAI: "api-key",
    ProviderKind.GEMINI: "x-goog-api-key",
}
# Ours to say, whatever the kind: a caller's own would stand beside it.
SECRET_HEADERS = frozenset({b"authorization", *(name.encode() for name in _NAMES.values())})


def secret_line(kind: ProviderKind, secret: str) -> str:
    """The header line, its end included; nothing without a secret."""
    if not secret:
        return ""
    name = _NAMES.get(kind)
    return f"authorization: Bearer {secret}\r\n" if name is None else f"{name}: {secret}\r\n"
