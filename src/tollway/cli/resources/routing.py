"""The nouns of where requests go and what they cost: providers, credentials, models, grants,
prices.
"""

from dataclasses import replace

from tollway.cli.resources.house import TENANT
from tollway.cli.resources.shape import (
    Into,
    Kind,
    Noun,
    Option,
    Verb,
    acting,
    changing,
    deleting,
    listing,
    reading,
)

_OWNER = replace(
    TENANT, into=Into.BODY, required=False, help="Whose; without one the platform's. Slug or id."
)
_OF = replace(TENANT, into=Into.QUERY, required=False)
_WHOSE = replace(_OWNER, into=Into.NAMING)
_NAME = Option(flag="--name", field="name")
_ENABLED = Option(flag="--enabled", field="enabled", kind=Kind.SWITCH)
_SECRET = (
    Option(flag="--secret", field="api_key", kind=Kind.SECRET),
    Option(
        flag="--reference",
        field="reference",
        help="Where the gateway finds the secret: env:NAME or file:/PATH. Platform's only.",
    ),
)
_KINDS = (
    "openai", "azure_openai", "anthropic", "gemini", "vertex", "bedrock", "ollama",
    "openai_compatible", "echo",
)  # fmt: skip
_URL = Option(flag="--base-url", field="base_url", help="Such as https://api.example.com/v1.")
_CONFIG = (
    _ENABLED,
    Option(flag="--residency", field="residency", help="Such as eu."),
    Option(
        flag="--stream-usage",
        field="config.stream_usage",
        kind=Kind.CHOICE,
        choices=("force", "native", "none"),
    ),
    *(
        Option(
            flag=f"--{name}-timeout",
            field=f"config.{name.replace('-', '_')}_timeout_s",
            kind=Kind.NUMBER,
            help="Seconds.",
        )
        for name in ("connect", "headers", "first-token", "idle", "total")
    ),
    *(
        Option(
            flag=f"--{name}",
            field=f"config.{name.replace('-', '_')}",
            kind=Kind.NUMBER,
            help="What each of its accounts takes; none: that is learned.",
        )
        for name in ("requests-at-once", "requests-per-minute", "tokens-per-minute")
    ),
    Option(
        flag="--translate-responses",
        field="config.translate_responses",
        kind=Kind.SWITCH,
        help="It has no Responses of its own: they go as chat.",
    ),
)

PROVIDERS = Noun(
    name="providers",
    one="provider",
    help="Where models run: connect, change, try.",
    path="/providers",
    id_prefix="prv_",
    owned=True,
    options=(_WHOSE,),
    columns=("name", "kind", "base_url", "enabled", "tenant_id", "id"),
    verbs=(
        listing("listProviders", replace(_OF, help="This tenant's own.")),
        reading("readProvider"),
        Verb(
            name="create",
            operation="createProvider",
            method="POST",
            help="A new provider, with its first credential if one is given.",
            new="name",
            options=(
                Option(
                    flag="--kind", field="kind", kind=Kind.CHOICE, choices=_KINDS, required=True
                ),
                _OWNER,
                _URL,
                *_CONFIG,
                *_SECRET,
            ),
        ),
        changing("updateProvider", _NAME, _URL, *_CONFIG, *_SECRET),
        deleting("deleteProvider", "Gone with its secrets; not while models lead to it."),
        acting(
            "test",
            "testProvider",
            "Ask it for its models, as every call would.",
            holds="ok",
            options=(
                Option(
                    flag="--credential", field="credential_id", help="Its id; default: the first."
                ),
            ),
        ),
    ),
)

_WEIGHT = Option(flag="--weight", field="weight", kind=Kind.NUMBER, help="Share of the calls.")
CREDENTIALS = Noun(
    name="credentials",
    one="credential",
    help="Secrets of a provider; none is ever shown.",
    path="/providers/{provider_id}/credentials",
    id_prefix="crd_",
    called=("reference",),
    columns=("id", "sealed", "reference", "weight", "created_at"),
    options=(
        Option(
            flag="--provider",
            field="provider_id",
            names="providers",
            into=Into.PATH,
            required=True,
            help="Its name or id.",
        ),
        _WHOSE,
    ),
    verbs=(
        listing("listCredentials"),
        reading("readCredential"),
        Verb(
            name="create",
            operation="createCredential",
            method="POST",
            help="One more secret; calls are spread by weight.",
            options=(_WEIGHT, *_SECRET),
        ),
        changing("updateCredential", _WEIGHT, *_SECRET),
        deleting("deleteCredential", "The secret is gone."),
    ),
)

_MODEL = (
    Option(
        flag="--strategy",
        field="strategy",
        kind=Kind.CHOICE,
        choices=(
            "priority",
            "round_robin",
            "weighted",
            "failover",
            "cost_optimized",
            "least_latency",
        ),
    ),
    Option(flag="--fallbacks", field="fallbacks", kind=Kind.LIST, help="Names of models."),
    Option(flag="--max-output-tokens", field="max_output_tokens", kind=Kind.NUMBER),
    Option(
        flag="--cache-affinity",
        field="cache_affinity",
        kind=Kind.SWITCH,
        help="One conversation goes to one target, for its prompt cache.",
    ),
    _ENABLED,
)
_TARGET = Option(
    flag="--target",
    field="targets",
    kind=Kind.TARGETS,
    required=True,
    help="PROVIDER/MODEL[,weight=N][,priority=N]; repeat for more.",
)
MODELS = Noun(
    name="models",
    one="model",
    help="The names that clients send, and where they lead.",
    path="/models",
    id_prefix="mdl_",
    owned=True,
    options=(_WHOSE,),
    columns=("name", "strategy", "targets.model", "fallbacks", "enabled", "tenant_id", "id"),
    verbs=(
        listing("listModels", replace(_OF, help="What this tenant may call.")),
        reading("readModel"),
        Verb(
            name="create",
            operation="createModel",
            method="POST",
            help="A new model.",
            new="name",
            options=(_TARGET, _OWNER, *_MODEL),
        ),
        changing("updateModel", _NAME, replace(_TARGET, required=False), *_MODEL),
        deleting("deleteModel", "Nobody can call it any more."),
    ),
)

_GRANTED = Option(
    flag="--model",
    field="model_id",
    names="models",
    platform=True,
    help="A platform's model, by name or id.",
)
_GROUP = Option(flag="--group", field="group", help="A group of tenants.")
_ONE_GRANT = (
    replace(_GRANTED, into=Into.PATH, required=True),
    replace(TENANT, field="holder", required=False),
    replace(_GROUP, into=Into.PATH, field="holder", prefix="group:"),
)
GRANTS = Noun(
    name="grants",
    one="grant",
    help="Platform models opened to tenants and groups of tenants.",
    path="/grants",
    id="holder",
    called=(),
    columns=("model_id", "tenant_id", "group", "created_at"),
    verbs=(
        listing(
            "listGrants",
            replace(_OF, help="What this tenant holds, itself or by group."),
            replace(_GROUP, into=Into.QUERY),
            replace(_GRANTED, into=Into.QUERY),
        ),
        Verb(
            name="get",
            operation="readGrant",
            method="GET",
            help="One of them.",
            tail="/{model_id}/{holder}",
            options=_ONE_GRANT,
        ),
        Verb(
            name="create",
            operation="createGrant",
            method="POST",
            help="Open a model to a tenant or a group.",
            options=(replace(_GRANTED, required=True), replace(_OF, into=Into.BODY), _GROUP),
        ),
        Verb(
            name="delete",
            operation="deleteGrant",
            method="DELETE",
            help="The model is closed to it.",
            tail="/{model_id}/{holder}",
            options=_ONE_GRANT,
        ),
    ),
)

PRICES = Noun(
    name="prices",
    one="price",
    help="What upstream models cost, and from when on.",
    path="/prices",
    id_prefix="prc_",
    called=(),
    columns=("model", "rates", "effective_from", "provider_kind", "tenant_id", "source", "id"),
    verbs=(
        listing(
            "listPrices",
            Option(flag="--model", field="model", into=Into.QUERY, help="With just this name."),
        ),
        reading("readPrice"),
        Verb(
            name="create",
            operation="createPrice",
            method="POST",
            help="A new entry; it changes nothing that was billed before.",
            new="model",
            options=(
                Option(
                    flag="--rate",
                    field="rates",
                    kind=Kind.PAIRS,
                    required=True,
                    help="input=0.15: USD for a million tokens (request: each); repeat for more.",
                ),
                Option(flag="--tiers", field="rates.tiers", kind=Kind.JSON),
                Option(flag="--from", field="effective_from", help="Default: now."),
                replace(_OF, into=Into.BODY, help="For this tenant only."),
                Option(flag="--provider-kind", field="provider_kind", help="Such as openai."),
                Option(flag="--provider", field="provider_id", names="providers"),
            ),
        ),
        deleting("deletePrice", "Take back an entry that has not begun."),
    ),
)
