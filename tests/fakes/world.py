"""Two tenants that must not know of each other, with everything either can have, and everybody who
may be in them: the stage for tests of roles and isolation.

Ids say whose a thing is: those of tenant A have `aaaa` in them, those of everybody else `zqzq`, so
that one search finds a leak. An absent id has the form of a present one.
"""

import sqlite3
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from tests.fakes.control_plane import ADMIN_TOKEN, MASTER_KEY, Answer, ControlPlane
from tests.fakes.database import NOW_S, database
from tollway.adapters.sql.alerts import SqlAlerts
from tollway.adapters.system.entropy import system_entropy
from tollway.adapters.system.secrets import AesGcmBox
from tollway.app.admin.commands.peppers import ensure_pepper
from tollway.app.admin.hook_sealing import seal_webhook
from tollway.app.views import (
    AccountView,
    CredentialView,
    GrantView,
    KeyView,
    MemberView,
    ModelView,
    PriceView,
    ProjectView,
    ProviderView,
    QuotaView,
    SessionView,
    TenantSettings,
    TenantView,
    TokenView,
    WebhookView,
)
from tollway.domain.account import Role
from tollway.domain.event import Event, EventKind
from tollway.domain.key import digest_key, make_key, split_key
from tollway.domain.model import Target
from tollway.domain.notice import NoticeFormat
from tollway.domain.policy import Actor
from tollway.domain.provider import ProviderKind
from tollway.domain.quota import Metric, QuotaRecord, Scope
from tollway.domain.session import csrf_token, digest_cookie, make_cookie
from tollway.domain.token import digest_token, make_token, split_token, token_prefix
from tollway.domain.window import Period
from tollway.web.admin.signing_in import COOKIE, CSRF_HEADER

MINE, THEIRS = "aaaa", "zqzq"
LEAK = THEIRS.encode()
NOBODYS = f"{MINE}x"
THIRD = "ten_cccc000000000000"  # a tenant that one person of A is in too
PASSWORD = "correct horse battery staple"  # of those who call
EACH = 19  # objects of each kind that tenant B has
KINDS = (
    "tenant",
    "account",
    "project",
    "key",
    "provider",
    "credential",
    "model",
    "granted",
    "price",
    "quota",
    "webhook",
    "event",
    "token",
    "service_token",
    "session",
    "holder",
    "group",
    "model_name",
    "email",
)
_PREFIXES = {
    "tenant": "ten",
    "account": "acc",
    "project": "prj",
    "key": "key",
    "provider": "prv",
    "credential": "crd",
    "model": "mdl",
    "price": "prc",
    "quota": "quo",
    "webhook": "whk",
    "event": "evt",
    "token": "tok",
    "service_token": "tok",
}
_RATES = {"input": "1", "output": "2"}


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who calls: how they prove it, and what the policy should take them for."""

    name: str
    actor: Actor
    token: str | None = None
    headers: tuple[tuple[str, str], ...] = ()  # a browser's: cookie and proof


@dataclass(slots=True)
class World:
    """The stage. `mine` and `theirs` hold ids by kind; the same index belongs together."""

    plane: ControlPlane
    engine: Engine
    path: str
    people: dict[str, Who] = field(default_factory=dict)
    mine: dict[str, list[str]] = field(default_factory=dict)
    theirs: dict[str, list[str]] = field(default_factory=dict)
    own: dict[tuple[str, str], str] = field(default_factory=dict)  # (who, kind)
    api_key: str = ""
    _watch: sqlite3.Connection | None = None
    _kept: sqlite3.Connection | None = None
    _before: dict[str, list[tuple[Any, ...]]] | None = None

    def ask(self, who: str | None, method: str, path: str, **request: Any) -> Answer:
        """One request of somebody; None is nobody."""
        if who is None:
            return self.plane.ask(method, path, token=None, **request)
        caller = self.people[who]
        headers = {**dict(caller.headers), **request.pop("headers", {})}
        return self.plane.ask(method, path, token=caller.token, headers=headers, **request)

    def id_for(self, who: str, kind: str) -> str:
        """A thing of this kind that is theirs, else one of their tenant's."""
        return self.own.get((who, kind)) or self.mine[kind][0]

    def keep(self) -> None:
        """This is the state to come back to."""
        self._watch = sqlite3.connect(self.path, isolation_level=None)
        self._watch.execute("PRAGMA synchronous = OFF")
        self._kept = sqlite3.connect(":memory:")
        self._watch.backup(self._kept)

    def mark(self) -> int:
        """A number that another has when somebody wrote anything in between."""
        (number,) = self._watch.execute("PRAGMA data_version").fetchone()
        return int(number)

    def restore(self) -> None:
        """Back to the kept state."""
        self._kept.backup(self._watch)

    def changed(self, marked: str = "", *, but: str | None = None) -> set[str]:
        """The tables that are not as they were kept, in rows with this mark in an id, rows that
        name `but` left out. When something was last used does not count."""
        mark = f"_{marked}" if marked else ""
        if self._before is None:
            self._before = _dump(self._kept)
        now, before = _dump(self._watch), self._before

        def of(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
            return [
                row
                for row in rows
                if mark in (shown := repr(row)) and (but is None or but not in shown)
            ]

        return {
            table
            for table in now
            if now[table] != before[table] and of(now[table]) != of(before[table])
        }

    def query(self, statement: str, *, kept: bool = False) -> list[tuple[Any, ...]]:
        """Rows as they are, or as they were kept."""
        return (self._kept if kept else self._watch).execute(statement).fetchall()

    def close(self) -> None:
        """Let go of the files."""
        for connection in (self._watch, self._kept):
            if connection is not None:
                connection.close()
        self.plane.close()
        self.engine.dispose()


def _dump(database: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
    found = {}
    for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'"):
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        shown = [name for name in columns if name not in ("last_used_s", "last_seen_s")]
        found[table] = database.execute(f"SELECT {', '.join(shown)} FROM {table}").fetchall()
    return found


def named(kind: str, owner: str, number: int) -> str:
    """The id of a thing of this kind and owner."""
    if kind == "session":
        return sha256(f"session {owner} {number}".encode()).hexdigest()
    if kind == "group":
        return f"{owner}-group-{number:02}"
    if kind == "holder":
        return f"group:{named('group', owner, number)}" if number else named("tenant", owner, 0)
    if kind == "granted":
        return f"mdl_{owner}p{number:011}"
    if kind == "model_name":
        return f"{owner}-model-{number:02}"
    if kind == "email":
        return f"{owner}{number:02}@people.example"
    length = 12 if kind in ("key", "token", "service_token") else 16
    return f"{_PREFIXES[kind]}_{owner}{number:0{length - len(owner)}}"


NOBODYS_MODEL = named("model", NOBODYS, 1)  # the platform's, and granted to nobody


def absent_like(present: str) -> str:
    """An id of the same form, beside the present one, that nothing has."""
    last = present[-1]
    return present[:-1] + {"z": "y", "Z": "Y"}.get(last, "z" if last != "e" else "f")


def build(directory: Path, **services: Any) -> World:
    """The world on a new database in this directory."""
    engine = database(directory)
    event.listen(engine, "connect", _careless)
    plane = ControlPlane(engine, **services)
    world = World(plane, engine, str(directory / "tollway.db"))
    for kind in KINDS:
        world.mine[kind] = [named(kind, MINE, number) for number in range(EACH)]
        world.theirs[kind] = [named(kind, THEIRS, number) for number in range(EACH)]
    world.mine["service_token"] = world.mine["token"][::2]
    with plane.configuration.begin() as uow:
        _furnish(world, uow)
        uow.commit()
    _happen(world)
    world.people["platform"] = Who(
        "platform",
        Actor("bootstrap", "bootstrap token", "bootstrap", platform_admin=True),
        ADMIN_TOKEN,
    )
    for who in world.people:
        world.ask(who, "GET", "/tenants")  # whatever a first use writes is written
    world.keep()
    return world


def _careless(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")  # nothing here must survive a power cut


def _furnish(world: World, uow: Any) -> None:
    a, b = world.mine["tenant"][0], world.theirs["tenant"][0]
    listed = TenantSettings(models="listed", group=world.mine["group"][0])
    uow.tenants.add(TenantView(a, "aaaa", "Tenant A", listed), b"salt" * 8)
    for number, tenant_id in enumerate(world.theirs["tenant"]):
        settings = TenantSettings(models="listed", group=named("group", THEIRS, number))
        uow.tenants.add(
            TenantView(tenant_id, f"{THEIRS}-{number}", f"{THEIRS} tenant {number}", settings),
            b"salt" * 8,
        )
    _people(world, uow)
    _colleagues(world, uow)
    for owner, tenant_id in ((MINE, a), (THEIRS, b)):
        for number in reversed(range(EACH)):
            _things(world, uow, owner, tenant_id, number)
    _routing(uow, None, NOBODYS, 1)
    _webhook(uow, None, f"whk_{THEIRS}p{0:011}")
    _keys(world, uow)


def _people(world: World, uow: Any) -> None:
    a, b, c = world.mine["tenant"][0], world.theirs["tenant"][0], THIRD
    uow.tenants.add(
        TenantView(c, "third", "Tenant C", TenantSettings(models="listed")), b"salt" * 8
    )
    member = {
        "admin": {a: Role.TENANT_ADMIN},
        "user": {a: Role.USER},
        "viewer": {a: Role.VIEWER},
        "dual": {a: Role.TENANT_ADMIN, c: Role.USER},
        "reader": {a: Role.TENANT_ADMIN},
        "browser": {a: Role.TENANT_ADMIN},
        "other_admin": {b: Role.TENANT_ADMIN},
    }
    for number, (name, roles) in enumerate(member.items()):
        owner = THEIRS if name == "other_admin" else MINE
        account = named("account", owner, number)
        email = f"{owner}-{name}@people.example"
        uow.accounts.add(AccountView(account, email, f"{owner} {name}"))
        uow.accounts.set_password(account, f"plain:{PASSWORD}")
        for tenant_id, role in roles.items():
            uow.members.add(MemberView(tenant_id, account, email, f"{owner} {name}", role))
        actor = Actor(account, name, "token", account, roles=roles, read_only=name == "reader")
        world.own[name, "account"] = account
        if name == "browser":
            world.people[name] = _browser(uow, actor)
        else:
            _token(world, uow, Who(name, actor), read_only=actor.read_only)
    for role in Role:
        actor = Actor("", role, "token", roles={a: role})
        _token(world, uow, Who(f"service_{role}", actor), tenant_id=a, role=role)


def _token(
    world: World,
    uow: Any,
    who: Who,
    *,
    tenant_id: str | None = None,
    role: Role | None = None,
    read_only: bool = False,
) -> None:
    entropy = sha256(who.name.encode()).digest() + b"123456789"
    token_id, text = make_token(entropy)
    _, secret = split_token(text)
    view = TokenView(
        token_id,
        who.name,
        token_prefix(text),
        text[-4:],
        None if tenant_id is not None else who.actor.account_id,
        tenant_id,
        role,
        read_only,
    )
    uow.tokens.add(view, digest_token(token_id, secret))
    world.own[who.name, "token"] = token_id
    world.people[who.name] = Who(who.name, who.actor, text)


def _browser(uow: Any, actor: Actor) -> Who:
    cookie = make_cookie(sha256(b"browser").digest())
    session = SessionView(
        digest_cookie(cookie), actor.account_id, NOW_S - 10, NOW_S, NOW_S + 86_400
    )
    uow.sessions.add(session)
    proof = (
        ("cookie", f"{COOKIE}={cookie}"),
        (CSRF_HEADER, csrf_token(cookie)),
        ("origin", "https://admin.test"),
    )
    return Who("browser", actor, None, proof)


def _colleagues(world: World, uow: Any) -> None:
    """People of A and B besides those who call."""
    taken = {own for (_, kind), own in world.own.items() if kind == "account"}
    for owner, pool in ((MINE, world.mine), (THEIRS, world.theirs)):
        for number, account in enumerate(pool["account"]):
            if account in taken:
                continue
            email = pool["email"][number]
            uow.accounts.add(AccountView(account, email, f"{owner} {number}"))
            uow.members.add(
                MemberView(pool["tenant"][0], account, email, f"{owner} {number}", Role.USER)
            )
            digest = bytes.fromhex(pool["session"][number])
            uow.sessions.add(SessionView(digest, account, NOW_S, NOW_S, NOW_S + 86_400))
            uow.accounts.link(account, "https://issuer.example", f"{owner}-subject-{number}")


def _things(world: World, uow: Any, owner: str, tenant_id: str, number: int) -> None:
    pool = world.mine if owner == MINE else world.theirs
    at = number
    uow.projects.add(ProjectView(pool["project"][at], tenant_id, pool["model_name"][at]))
    _routing(uow, tenant_id, owner, at)
    # A platform model that is opened to this tenant alone.
    hidden = pool["granted"][at]
    provider = f"prv_{owner}p{at:011}"
    uow.providers.add(
        ProviderView(
            provider,
            f"{THEIRS}-platform-{owner}-{at}",
            ProviderKind.OPENAI_COMPATIBLE,
            "https://platform.example/v1",
        )
    )
    uow.models.add(ModelView(hidden, f"{owner}-platform-{at:02}", (Target(provider, "upstream"),)))
    uow.grants.add(GrantView(hidden, tenant_id=tenant_id))
    uow.grants.add(GrantView(hidden, group=pool["group"][at]))
    uow.prices.add(PriceView(pool["price"][at], f"{owner}-{at}", NOW_S + 1000, _RATES, tenant_id))
    counted = (Metric.REQUESTS, Period.DAY, 1000 + at)
    place = (Scope.PROJECT, pool["project"][at])
    if owner == MINE and at == 0:
        world.own["user", "quota"] = pool["quota"][at]
        place = (Scope.ACCOUNT, world.own["user", "account"])
    rule = (pool["quota"][at], tenant_id, *place, *counted)
    uow.quotas.add(QuotaView(QuotaRecord(*rule, name=f"{owner}-{at}"), set_by="tenant"))
    _webhook(uow, tenant_id, pool["webhook"][at])
    whose = {"tenant_id": tenant_id, "role": Role.VIEWER}
    if at % 2:
        whose = {"account_id": pool["account"][at]}
    token = TokenView(pool["token"][at], f"{owner} {at}", f"twp_{owner}", "abcd", **whose)
    uow.tokens.add(token, digest_token(token.id, f"{owner}{at}"))


def _webhook(uow: Any, tenant_id: str | None, webhook: str) -> None:
    view = WebhookView(webhook, tenant_id, webhook, NoticeFormat.JSON, "https://hooks.example")
    url = f"https://hooks.example/{webhook}"
    sealed = seal_webhook(AesGcmBox(MASTER_KEY), view, url=url, secrets=(b"s" * 32,))
    uow.webhooks.add(view, sealed)


def _happen(world: World) -> None:
    """Events of both tenants, and one of the platform's alone; each is on its way to the webhooks
    of its owner and to the platform's."""
    owners = [(world.mine, MINE), (world.theirs, THEIRS)]
    found = [
        (pool["event"][at], _event(pool["tenant"][0], f"{owner}-{at}"))
        for pool, owner in owners
        for at in range(EACH)
    ]
    found.append((f"evt_{THEIRS}p{0:011}", _event(None, f"{THEIRS}-platform")))
    SqlAlerts(world.engine).keep(found, at_s=NOW_S)


def _event(tenant_id: str | None, name: str) -> Event:
    return Event(
        EventKind.KEY_EXPIRED, name, NOW_S, tenant_id, name, (("Key", name),), {"of": name}
    )


def _routing(uow: Any, tenant_id: str | None, owner: str, at: int) -> None:
    """A provider with one credential, and a model that leads there."""
    provider = named("provider", owner, at)
    uow.providers.add(
        ProviderView(
            provider,
            named("model_name", owner, at),
            ProviderKind.OPENAI_COMPATIBLE,
            "https://models.example/v1",
            tenant_id,
        )
    )
    uow.providers.add_credential(
        CredentialView(named("credential", owner, at), provider, "env:NOWHERE"), None
    )
    uow.models.add(
        ModelView(
            named("model", owner, at),
            named("model_name", owner, at),
            (Target(named("provider", owner, at or 1), "upstream"),),
            tenant_id,
        )
    )


def _keys(world: World, uow: Any) -> None:
    """Service keys and personal keys of both tenants; one that opens the data plane."""
    version, pepper = ensure_pepper(uow, AesGcmBox(MASTER_KEY), system_entropy)
    callers = [name for name in ("user", "admin", "viewer", "dual") if name in world.people]
    for pool, owner in ((world.mine, MINE), (world.theirs, THEIRS)):
        tenant_id = pool["tenant"][0]
        for number, key_id in enumerate(pool["key"]):
            account = pool["account"][number] if number % 2 else None
            if owner == MINE and number < len(callers):
                account = world.own[callers[number], "account"]
                world.own[callers[number], "key"] = key_id
            digest = digest_key(pepper, tenant_id, key_id, "secret")
            uow.keys.add(
                KeyView(
                    key_id,
                    tenant_id,
                    f"{owner} key {number}",
                    "live",
                    f"tw_live_{key_id[4:]}",
                    "abcd",
                    pool["project"][number or 1],
                    account,
                ),
                digest,
                version,
            )
    key_id, world.api_key = make_key("live", system_entropy(41))
    digest = digest_key(pepper, world.mine["tenant"][0], key_id, split_key(world.api_key)[1])
    opens = KeyView(key_id, world.mine["tenant"][0], "opens", "live", "tw_live", "abcd")
    uow.keys.add(opens, digest, version)
