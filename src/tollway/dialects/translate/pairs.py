"""Which client's side goes with which provider's: every pair of dialects that differ, and some that
do not, for providers that are to be translated to all the same.
"""

from tollway.dialects.carrier import Carrier
from tollway.dialects.translate import (
    bedrock_provider,
    chat_client,
    chat_provider,
    embed_bedrock,
    embed_google,
    embed_sides,
    gemini_provider,
    messages_client,
    messages_provider,
    ollama_client,
    ollama_generate_client,
    ollama_provider,
    responses_client,
    vertex_provider,
)
from tollway.dialects.translate.sides import ProviderSide
from tollway.dialects.translate.translation import Translation
from tollway.dialects.translate.vectors import EmbedProvider, EmbedTranslation
from tollway.domain.provider import ProviderKind
from tollway.domain.vertex import Publisher

OPENAI_KINDS = (
    ProviderKind.OPENAI,
    ProviderKind.AZURE_OPENAI,
    ProviderKind.OPENAI_COMPATIBLE,
    ProviderKind.ECHO,
)

# What is chat-shaped reaches every provider that chats: through these sides where it must.
_CLIENT_SIDES = {
    "chat_completions": chat_client.CLIENT,
    "messages": messages_client.CLIENT,
    "responses": responses_client.CLIENT,
    "ollama_chat": ollama_client.CLIENT,
    "ollama_generate": ollama_generate_client.CLIENT,
}
# At Vertex the publisher of a model says how it is spoken to, elsewhere the kind of provider.
Speaker = ProviderKind | Publisher
_PROVIDER_SIDES: dict[Speaker, ProviderSide] = {
    **dict.fromkeys(OPENAI_KINDS, chat_provider.PROVIDER),
    ProviderKind.ANTHROPIC: messages_provider.PROVIDER,
    ProviderKind.GEMINI: gemini_provider.PROVIDER,
    Publisher.GOOGLE: vertex_provider.PROVIDER,
    Publisher.ANTHROPIC: vertex_provider.CLAUDE,
    Publisher.OTHERS: vertex_provider.OTHERS,
    ProviderKind.BEDROCK: bedrock_provider.PROVIDER,
    ProviderKind.OLLAMA: ollama_provider.PROVIDER,
}

# And texts whose vectors are wanted reach every provider that makes them.
_EMBED_CLIENTS = {
    "embeddings": embed_sides.OPENAI_CLIENT,
    "ollama_embed": embed_sides.OLLAMA_CLIENT,
}
_EMBED_PROVIDERS: dict[Speaker, EmbedProvider] = {
    **dict.fromkeys(OPENAI_KINDS, embed_sides.OPENAI_PROVIDER),
    ProviderKind.OLLAMA: embed_sides.OLLAMA_PROVIDER,
    ProviderKind.GEMINI: embed_google.GEMINI,
    Publisher.GOOGLE: embed_google.VERTEX,
    ProviderKind.BEDROCK: embed_bedrock.TITAN,
}

TRANSLATIONS: dict[tuple[str, Speaker], Carrier] = {
    (endpoint, kind): Translation(client, provider)
    for endpoint, client in _CLIENT_SIDES.items()
    for kind, provider in _PROVIDER_SIDES.items()
} | {
    (endpoint, kind): EmbedTranslation(asking, making)
    for endpoint, asking in _EMBED_CLIENTS.items()
    for kind, making in _EMBED_PROVIDERS.items()
}
