"""The nouns of who is told what happens: webhooks and events."""

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

_OF = replace(TENANT, into=Into.QUERY, required=False, help="This tenant's.")
_OWNER = replace(
    TENANT, into=Into.BODY, required=False, help="Whose; without one the platform's. Slug or id."
)
_SECRET = Option(flag="--secret", field="secret", kind=Kind.SECRET)
_TOLD = (
    # Not --url: that is the admin API's.
    Option(flag="--webhook-url", field="url", kind=Kind.SECRET),
    Option(
        flag="--recipients",
        field="recipients",
        kind=Kind.LIST,
        help="Of the format email: addresses.",
    ),
    Option(flag="--kinds", field="kinds", kind=Kind.LIST, help="Such as key.expired; none: all."),
    Option(flag="--enabled", field="enabled", kind=Kind.SWITCH),
)

WEBHOOKS = Noun(
    name="webhooks",
    one="webhook",
    help="Who is told of limits reached and keys that end.",
    path="/webhooks",
    id_prefix="whk_",
    owned=True,
    options=(replace(_OWNER, into=Into.NAMING),),
    columns=("name", "format", "place", "recipients", "kinds", "enabled", "tenant_id", "id"),
    verbs=(
        listing("listWebhooks", _OF),
        reading("readWebhook"),
        Verb(
            name="create",
            operation="createWebhook",
            method="POST",
            help="A new webhook; of the format json, its signing secret is shown this once.",
            new="name",
            once="secret",
            options=(
                Option(
                    flag="--format",
                    field="format",
                    kind=Kind.CHOICE,
                    choices=("json", "slack", "teams", "email"),
                    required=True,
                    help="What the receiver understands.",
                ),
                _OWNER,
                *_TOLD,
                _SECRET,
            ),
        ),
        changing("updateWebhook", Option(flag="--name", field="name"), *_TOLD),
        Verb(
            name="rotate-secret",
            operation="rotateWebhookSecret",
            method="POST",
            help="A new signing secret; the one before signs along until the next time.",
            object=True,
            tail="/secret/rotate",
            once="secret",
            options=(_SECRET,),
        ),
        acting("test", "testWebhook", "Send a test, now and once.", holds="delivered"),
        Verb(
            name="deliveries",
            operation="listDeliveries",
            method="GET",
            help="What was told to it, the newest first.",
            object=True,
            many=True,
            tail="/deliveries",
            columns=("at", "kind", "title", "state", "attempts", "reason", "event_id"),
        ),
        deleting("deleteWebhook", "Gone, with what was on its way to it."),
    ),
)

EVENTS = Noun(
    name="events",
    one="event",
    help="What happened, whether anybody was told or not.",
    path="/events",
    id_prefix="evt_",
    called=(),
    columns=("at", "kind", "title", "tenant_id", "id"),
    verbs=(listing("listEvents", _OF),),
)
