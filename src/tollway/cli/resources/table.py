"""All nouns, in the order `--help` shows them."""

from tollway.cli.resources.alerts import EVENTS, WEBHOOKS
from tollway.cli.resources.house import ACCOUNTS, KEYS, MEMBERS, PROJECTS, TENANTS, TOKENS
from tollway.cli.resources.limits import QUOTAS
from tollway.cli.resources.routing import CREDENTIALS, GRANTS, MODELS, PRICES, PROVIDERS
from tollway.cli.resources.shape import Noun

NOUNS: dict[str, Noun] = {
    noun.name: noun
    for noun in (
        TENANTS,
        ACCOUNTS,
        MEMBERS,
        PROJECTS,
        KEYS,
        TOKENS,
        PROVIDERS,
        CREDENTIALS,
        MODELS,
        GRANTS,
        PRICES,
        QUOTAS,
        WEBHOOKS,
        EVENTS,
    )
}
