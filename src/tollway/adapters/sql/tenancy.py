"""Row-level security behind the repositories' own filters (PostgreSQL): which tables are held to
the tenants of a transaction's scope, and how a transaction enters it. DDL is derived from rules.

`tollway_app` is what a scoped transaction runs as: it owns no table and cannot step around the
policies. `tollway_system` sees everything, for a login that is not the owner; the owner does too.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from tollway.adapters.sql.engine import POSTGRES, reading
from tollway.app.ports_admin import Scope

APP, SYSTEM = "tollway_app", "tollway_system"
SETTING = "tollway.tenant"
_SCOPE = f"string_to_array(NULLIF(current_setting('{SETTING}', true), ''), ',')"


@dataclass(frozen=True, slots=True)
class Rule:
    """One table: what shows a row to a scope, and what lets the scope write it."""

    table: str
    seen: str
    written: str
    since: str = "r0004"  # the migration that held the table to its tenants


def _own(column: str = "tenant_id") -> str:
    return f"{column} = ANY({_SCOPE})"


def _through(parent: str, column: str, condition: str) -> str:
    seen = condition.format(parent=parent)
    return f"{column} IN (SELECT {parent}.id FROM {parent} WHERE {seen})"  # noqa: S608 - our names


_PARENT_SEEN = "{parent}.tenant_id IS NULL OR {parent}.tenant_id = ANY(" + _SCOPE + ")"
_PARENT_OWN = "{parent}.tenant_id = ANY(" + _SCOPE + ")"
_OR_PLATFORMS = f"tenant_id IS NULL OR {_own()}"

RULES = (
    Rule("tenants", _own("id"), _own("id")),
    Rule("tenant_settings", _own(), _own()),
    Rule("memberships", _own(), _own()),
    Rule("projects", _own(), _own()),
    Rule("api_keys", _own(), _own()),
    Rule("providers", _OR_PLATFORMS, _own()),
    Rule(
        "provider_config",
        _through("providers", "provider_id", _PARENT_SEEN),
        _through("providers", "provider_id", _PARENT_OWN),
    ),
    Rule(
        "provider_credentials",
        _through("providers", "provider_id", _PARENT_OWN),
        _through("providers", "provider_id", _PARENT_OWN),
    ),
    Rule("models", _OR_PLATFORMS, _own()),
    Rule(
        "model_targets",
        _through("models", "model_id", _PARENT_SEEN),
        _through("models", "model_id", _PARENT_OWN),
    ),
    Rule("grants", _OR_PLATFORMS, "false"),
    Rule("prices", _OR_PLATFORMS, "false"),
    Rule("quotas", _own(), _own(), since="r0005"),
    # Rows of a person or of the platform are found by their secret, never by a tenant.
    Rule("access_tokens", _OR_PLATFORMS, _OR_PLATFORMS),
    # The chain's head must be seen by whoever adds to it; what is listed is filtered by tenant.
    Rule("audit_log", "true", _OR_PLATFORMS),
    Rule("usage_rollups_15m", _own(), "false"),
    Rule("usage_rollups_day", _own(), "false"),
    Rule("ledger_entries", _own(), "false", since="r0006"),
    Rule("ledger_closings", _own(), "false", since="r0006"),
    Rule("webhooks", _own(), _own(), since="r0007"),
    Rule("events", _own(), "false", since="r0007"),
    Rule(
        "deliveries",
        _through("webhooks", "webhook_id", _PARENT_OWN),
        _through("webhooks", "webhook_id", _PARENT_OWN),
        since="r0007",
    ),
)
# Without a tenant, and needed by a scoped unit: its own sign-in, its number, its kept answers.
_SHARED = {
    "r0004": (
        "accounts", "identity_links", "sessions", "login_attempts", "snapshot_version",
        "idempotent_replies", "tombstones", "peppers",
    ),
    "r0005": ("gateways",),
    "r0006": (),
    "r0007": (),
}  # fmt: skip


# Nobody who acts for a tenant writes the ledger, nor what is left of it, nor what happened.
_READ_ONLY = ("ledger_entries", "ledger_closings", "events")


def roles_ddl() -> Iterator[str]:
    """The two roles, made once in a cluster, whoever migrates first."""
    for role in (APP, SYSTEM):
        yield (
            f"DO $$ BEGIN IF to_regrole('{role}') IS NULL THEN CREATE ROLE {role} NOLOGIN; END IF; "
            "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
        # Who may not grant it may have been given it beforehand, by whoever made it.
        yield (
            f"DO $$ BEGIN GRANT {role} TO CURRENT_USER; EXCEPTION WHEN insufficient_privilege THEN "
            f"IF NOT pg_has_role(CURRENT_USER, '{role}', 'MEMBER') THEN RAISE; END IF; END $$"
        )
        yield f"GRANT USAGE ON SCHEMA public TO {role}"


def security_ddl(revision: str) -> Iterator[str]:
    """Rights and policies of the tables that came with a migration."""
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {SYSTEM}"
    for table in _SHARED[revision]:
        yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {APP}"
    for rule in (rule for rule in RULES if rule.since == revision):
        append_only = rule.table in ("audit_log",)
        rights = "SELECT, INSERT" if append_only else "SELECT, INSERT, UPDATE, DELETE"
        if rule.table in _READ_ONLY:
            rights = "SELECT"
        yield f"GRANT {rights} ON {rule.table} TO {APP}"
        yield f"ALTER TABLE {rule.table} ENABLE ROW LEVEL SECURITY"
        yield (
            f"CREATE POLICY tollway_all ON {rule.table} FOR ALL TO {SYSTEM} "
            "USING (true) WITH CHECK (true)"
        )
        yield (
            f"CREATE POLICY tollway_seen ON {rule.table} FOR SELECT TO {APP} USING ({rule.seen})"
        )
        for verb, clause in (
            ("INSERT", f"WITH CHECK ({rule.written})"),
            ("UPDATE", f"USING ({rule.written}) WITH CHECK ({rule.written})"),
            ("DELETE", f"USING ({rule.written})"),
        ):
            if not append_only or verb == "INSERT":
                yield (
                    f"CREATE POLICY tollway_{verb.lower()} ON {rule.table} FOR {verb} TO {APP} "
                    f"{clause}"
                )


def enter_scope(connection: Connection, scope: Scope) -> None:
    """From here to its end, the transaction touches these tenants only; None is the whole system.
    Both settings end with the transaction, so a pooled connection keeps nothing of it."""
    if connection.dialect.name != POSTGRES or scope is None:
        return
    if any("," in tenant_id for tenant_id in scope):
        raise ValueError("an id with a comma is none of ours")
    connection.execute(
        text("SELECT set_config(:name, :scope, true)"),
        {"name": SETTING, "scope": ",".join(scope)},
    )
    connection.exec_driver_sql(f"SET LOCAL ROLE {APP}")


@dataclass(frozen=True, slots=True)
class RoleFinding:
    """Something wrong with the roles. Grave: row-level security does not hold."""

    grave: bool
    what: str


def role_findings(engine: Engine) -> list[RoleFinding]:
    """What is wrong with the roles, a sentence each; nothing on SQLite."""
    if engine.dialect.name != POSTGRES:
        return []
    with reading(engine) as connection:
        row = connection.execute(
            text(
                "SELECT rolsuper, rolbypassrls, rolcanlogin, EXISTS (SELECT 1 FROM pg_tables "
                "WHERE schemaname = 'public' AND tableowner = rolname) FROM pg_roles "
                "WHERE rolname = :role"
            ),
            {"role": APP},
        ).first()
        login = connection.execute(
            text("SELECT rolsuper FROM pg_roles WHERE rolname = session_user")
        ).scalar()
    if row is None:
        return [RoleFinding(True, f"The role {APP} does not exist: run the migrations.")]
    superuser, bypasses, logs_in, owns = row
    unheld = "row-level security does not hold"
    return [
        RoleFinding(grave, sentence)
        for wrong, grave, sentence in (
            (superuser, True, f"The role {APP} is a superuser: {unheld} it."),
            (bypasses, True, f"The role {APP} has BYPASSRLS: {unheld} it."),
            (owns, True, f"The role {APP} owns tables: {unheld} an owner."),
            (logs_in, False, f"The role {APP} can log in; nobody needs it to."),
            (
                login,
                False,
                "The gateway logs in as a superuser of the database; an owner suffices.",
            ),
        )
        if wrong
    ]
