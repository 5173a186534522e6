"""The nouns of a tenant's house: tenants, accounts, members, projects, keys, tokens."""

from dataclasses import replace

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

TENANT = Option(
    flag="--tenant",
    field="tenant_id",
    names="tenants",
    into=Into.PATH,
    required=True,
    help="Its slug or id.",
)
_NAME = Option(flag="--name", field="name")
_ROLE = Option(
    flag="--role", field="role", kind=Kind.CHOICE, choices=("tenant_admin", "user", "viewer")
)
_MODELS = Option(
    flag="--models",
    field="models",
    kind=Kind.LIST,
    help="The models it may call; none: all that its tenant may.",
)
_EXPIRES = Option(flag="--expires-at", field="expires_at", help="Such as 2027-01-31T12:00:00Z.")

_SETTINGS = (
    Option(
        flag="--models",
        field="settings.models",
        kind=Kind.CHOICE,
        choices=("all", "listed"),
        help="All models of the platform, or those it was granted.",
    ),
    Option(flag="--group", field="settings.group", help="Whose grants it has too."),
    Option(flag="--timezone", field="settings.timezone", help="Such as Europe/Berlin."),
    Option(flag="--retention-days", field="settings.retention_days", kind=Kind.NUMBER),
    Option(flag="--content-logging", field="settings.content_logging", kind=Kind.SWITCH),
    Option(flag="--cache", field="settings.cache", kind=Kind.JSON),
    Option(
        flag="--weight",
        field="settings.weight",
        kind=Kind.NUMBER,
        help="Its share where a provider cannot take everybody; 1 is usual.",
    ),
    Option(
        flag="--allowed-residency",
        field="settings.allowed_residency",
        kind=Kind.LIST,
        help="Of providers that may see its data; none: any.",
    ),
    Option(
        flag="--default-model",
        field="settings.default_model",
        help="Of requests that name no model.",
    ),
)

TENANTS = Noun(
    name="tenants",
    one="tenant",
    help="Tenants: activate, deactivate, delete, restore.",
    path="/tenants",
    id_prefix="ten_",
    called=("slug",),
    search="q",
    columns=("slug", "name", "active", "settings.models", "settings.group", "id"),
    verbs=(
        listing(
            "listTenants",
            Option(flag="--search", field="q", into=Into.QUERY, help="Part of slug or name."),
            Option(
                flag="--deleted",
                field="deleted",
                into=Into.QUERY,
                kind=Kind.SWITCH,
                help="Deleted ones too.",
            ),
        ),
        reading("readTenant"),
        Verb(
            name="create",
            operation="createTenant",
            method="POST",
            help="A new tenant.",
            new="slug",
            options=(_NAME, *_SETTINGS),
        ),
        changing("updateTenant", _NAME, *_SETTINGS),
        acting("activate", "activateTenant", "Its keys open again."),
        acting("deactivate", "deactivateTenant", "Its keys open nothing, within a second."),
        deleting("deleteTenant", "Gone for everybody; can be restored for 30 days."),
        acting("restore", "restoreTenant", "Take a deletion back; give its id."),
    ),
)

_ADMIN = Option(flag="--platform-admin", field="platform_admin", kind=Kind.SWITCH)
ACCOUNTS = Noun(
    name="accounts",
    one="account",
    help="People: enable, disable, set passwords.",
    path="/accounts",
    id_prefix="acc_",
    called=("email",),
    search="q",
    columns=("email", "name", "active", "platform_admin", "has_password", "id"),
    verbs=(
        listing(
            "listAccounts",
            Option(flag="--search", field="q", into=Into.QUERY, help="Part of address or name."),
        ),
        reading("readAccount"),
        Verb(
            name="create",
            operation="createAccount",
            method="POST",
            help="A new account; `members create` makes it a member too.",
            new="email",
            options=(_NAME, _ADMIN),
        ),
        changing("updateAccount", Option(flag="--email", field="email"), _NAME, _ADMIN),
        acting("enable", "enableAccount", "May sign in again."),
        acting("disable", "disableAccount", "Its sessions, tokens and keys open nothing."),
        acting(
            "password",
            "setPassword",
            "Set the password.",
            options=(Option(flag="--secret", field="password", kind=Kind.SECRET, required=True),),
        ),
    ),
)

MEMBERS = Noun(
    name="members",
    one="member",
    help="Who belongs to a tenant, and with which role.",
    path="/tenants/{tenant_id}/members",
    id="account_id",
    id_prefix="acc_",
    called=("email",),
    columns=("email", "name", "role", "models", "active", "source", "account_id"),
    options=(TENANT,),
    verbs=(
        listing("listMembers"),
        reading("readMember"),
        Verb(
            name="create",
            operation="addMember",
            method="POST",
            help="A person becomes a member; who is not known yet gets an account.",
            new="email",
            options=(_NAME, _ROLE, _MODELS),
        ),
        changing("updateMember", _ROLE, _MODELS),
        deleting("removeMember", "No member any more; the account stays."),
    ),
)

PROJECTS = Noun(
    name="projects",
    one="project",
    help="Projects of a tenant.",
    path="/tenants/{tenant_id}/projects",
    id_prefix="prj_",
    columns=("name", "models", "managed_by", "id"),
    options=(TENANT,),
    verbs=(
        listing("listProjects"),
        reading("readProject"),
        Verb(
            name="create",
            operation="createProject",
            method="POST",
            help="A new project.",
            new="name",
            options=(_MODELS,),
        ),
        changing("updateProject", _NAME, _MODELS),
        deleting("deleteProject", "The project is gone; not while keys name it."),
    ),
)

_SCOPE = (
    Option(flag="--project", field="project_id", names="projects", help="Its name or id."),
    _MODELS,
    Option(flag="--endpoints", field="endpoints", kind=Kind.LIST, help="Such as embeddings."),
    Option(flag="--ip-allow", field="ip_allow", kind=Kind.LIST, help="Such as 10.0.0.0/8."),
    Option(flag="--tag", field="tags", kind=Kind.PAIRS, help="For the ledger; repeat for more."),
    Option(flag="--not-before", field="not_before", help="Such as 2027-01-31T12:00:00Z."),
    _EXPIRES,
)
_ACCOUNT = Option(flag="--account", field="account_id", names="members", help="Email or id.")
KEYS = Noun(
    name="keys",
    one="key",
    help="API keys of a tenant: rotate, revoke.",
    path="/tenants/{tenant_id}/keys",
    id_prefix="key_",
    columns=("name", "prefix", "last4", "models", "expires_at", "revoked_at", "id"),
    options=(TENANT,),
    verbs=(
        listing(
            "listKeys",
            replace(_ACCOUNT, into=Into.QUERY),
            replace(_SCOPE[0], into=Into.QUERY),
            Option(
                flag="--live",
                field="live",
                into=Into.QUERY,
                kind=Kind.SWITCH,
                help="Not revoked, or revoked.",
            ),
        ),
        reading("readKey"),
        Verb(
            name="create",
            operation="createKey",
            method="POST",
            help="A new key, shown this once. Without an account it is a service key.",
            new="name",
            once="key",
            options=(
                _ACCOUNT,
                Option(
                    flag="--env", field="env", kind=Kind.CHOICE, choices=("live", "test", "demo")
                ),
                *_SCOPE,
            ),
        ),
        changing("updateKey", _NAME, *_SCOPE),
        acting(
            "rotate",
            "rotateKey",
            "A new text, shown this once; the old one opens for the overlap.",
            once="key",
            options=(
                Option(
                    flag="--overlap",
                    field="overlap_s",
                    kind=Kind.NUMBER,
                    help="Seconds; default 0.",
                ),
            ),
        ),
        acting("revoke", "revokeKey", "It opens nothing any more, within a second."),
    ),
)

TOKENS = Noun(
    name="tokens",
    one="token",
    help="Tokens for this API: a tenant's (--tenant), or your own.",
    path="/tenants/{tenant_id}/tokens",
    alone="/me/tokens",
    id_prefix="tok_",
    columns=("name", "prefix", "last4", "role", "read_only", "expires_at", "revoked_at", "id"),
    options=(replace(TENANT, required=False),),
    verbs=(
        listing("listTokens", alone="listMyTokens"),
        Verb(
            name="create",
            operation="createToken",
            alone="createMyToken",
            method="POST",
            help="A new token, shown this once.",
            new="name",
            once="token",
            options=(
                replace(_ROLE, help="Of a tenant's token."),
                Option(flag="--read-only", field="read_only", kind=Kind.SWITCH),
                _EXPIRES,
            ),
        ),
        Verb(
            name="revoke",
            operation="revokeToken",
            alone="revokeMyToken",
            method="DELETE",
            help="It opens nothing any more.",
            object=True,
        ),
    ),
)
