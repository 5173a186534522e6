"""The route gate bypassed: every command and query, called directly for somebody who may not,
refuses by itself and writes nothing. The functions are found by introspection.
"""

import ast
import importlib
import inspect
import pkgutil
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import tollway.app.admin.commands
import tollway.app.admin.queries
import tollway.web.admin
from tests.fakes.acting import work_of
from tests.fakes.database import NOW_S
from tests.fakes.world import MINE, NOBODYS_MODEL, build
from tollway.app.admin.commands.credentials import Secret
from tollway.app.admin.commands.webhooks import WebhookSpec
from tollway.app.admin.queries.keys import KeyFilter
from tollway.app.admin.work import Work
from tollway.app.ports_directory import Page
from tollway.app.ports_records import AuditFilter
from tollway.domain.account import Role
from tollway.domain.ids import QuotaId
from tollway.domain.model import Target
from tollway.domain.notice import NoticeFormat
from tollway.domain.policy import Actor
from tollway.domain.quota import Metric, QuotaRecord, Scope
from tollway.domain.result import Err, Ok
from tollway.domain.window import Period

# Their callers have asked the policy already. The web never names them.
INNER = {
    "accounts.add_account",
    "accounts.store_password",
    "credentials.changeable_provider",
    "credentials.drop_credential",
    "credentials.put_credential",
    "fallbacks.check_fallbacks",
    "members.join",
    "members.leave",
    "quotas.carry_quotas",
    "quotas.drop_quotas_on",
    "tenants.living_tenant",
}
# They make somebody an actor, so there is none to ask about; their own tests attack them.
SIGNING_IN = {
    "sign_in.begin_guess",
    "sign_in.finish_guess",
    "sign_in.open_session",
    "sign_in.sign_in_identified",
}
# What they touch is the actor's own and nobody else's, whoever the actor is.
OWN: set[str] = {"sign_in.sign_out", "sign_in.change_password", "tokens.create_token"}
MINE_ALONE = ("me.", "people.my_")  # and whole modules of that sort


def _found(package) -> dict[str, Any]:
    named = {}
    for module in pkgutil.iter_modules(package.__path__):
        loaded = importlib.import_module(f"{package.__name__}.{module.name}")
        for name, function in inspect.getmembers(loaded, inspect.isfunction):
            if name.startswith("_") or function.__module__ != loaded.__name__:
                continue
            first = next(iter(get_type_hints(function).items()), ("", None))
            if first[1] is Work:
                named[f"{module.name}.{name}"] = function
    return named


COMMANDS = _found(tollway.app.admin.commands)
QUERIES = _found(tollway.app.admin.queries)
OWN |= {name for name in (*COMMANDS, *QUERIES) if name.startswith(MINE_ALONE)}
GATED = sorted({*COMMANDS, *QUERIES} - INNER - SIGNING_IN - OWN)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = build(tmp_path_factory.mktemp("world"))
    yield world
    world.close()


def strangers(world):
    """Who may do nothing in tenant A."""
    b = world.theirs["tenant"][0]
    yield Actor("acc_nobody", "nobody", "session", "acc_nobody")
    yield Actor("tok_b", "b", "token", roles={b: Role.TENANT_ADMIN})
    yield world.people["other_admin"].actor


def readers(world):
    """Who may change nothing in tenant A."""
    a = world.mine["tenant"][0]
    yield world.people["viewer"].actor
    yield world.people["reader"].actor
    yield Actor("tok_a", "a", "token", roles={a: Role.VIEWER})
    yield Actor("cli", "cli", "cli", platform_admin=True, read_only=True)


def example(world, uow, name: str, hint: Any) -> Any:
    """A fit argument of this name or type, about a thing of tenant A."""
    given = {
        "tenant_id": world.mine["tenant"][0],
        "account_id": world.mine["account"][15],
        "holder": world.mine["holder"][0],
        "price_id": world.mine["price"][0],
        "token_id": world.mine["token"][0],  # a machine's
        "email": "fresh@people.example",
        "slug": "fresh",
        "name": "fresh",
        "format": NoticeFormat.JSON,
        "group": None,
        "hashed": "$argon2id$",
        "password": "a long enough password",
        "right": True,
        "entries": (),
        "everywhere": True,
        "cookie": None,
        "reference": "env:ANYTHING",
        "quota": QuotaRecord(
            QuotaId(""),
            world.mine["tenant"][0],
            Scope.PROJECT,
            world.mine["project"][0],
            Metric.TOKENS,
            Period.DAY,
            1000,
        ),
        "role": Role.VIEWER,
        "kind": "openai",
        "base_url": "https://elsewhere.example/v1",
        "model": "upstream",
        "targets": (Target(world.mine["provider"][0], "upstream"),),
        "rates": {"input": "1", "output": "1"},
        "effective_from_s": 2_000_000_000,
        "active": False,
        "at": Page(),
        "only": AuditFilter() if hint is AuditFilter else KeyFilter(),
        "limit": 10,
        "before": None,
        "secret": Secret("sk-fresh"),
        "member": None,
        "at_s": NOW_S,
        "models": None,
        "mail_configured": True,
    }
    if name == "wanted":
        return wanted(world, uow, hint)
    if name in ("spec",) or (is_dataclass(hint) and name not in given):
        hints = get_type_hints(hint)
        needed = [
            part
            for part in fields(hint)
            if part.default is MISSING and part.default_factory is MISSING
        ]
        owner = {"tenant_id": world.mine["tenant"][0]} if "tenant_id" in hints else {}
        return hint(
            **owner,
            **{
                part.name: example(world, uow, part.name, hints[part.name])
                for part in needed
                if part.name not in owner
            },
        )
    if name in given:
        return given[name]
    return world.mine[name.removesuffix("_id")][0]


def fitting(world) -> dict[str, dict[str, Any]]:
    """Where the example would stop at the state of things, even for who may."""
    return {
        "create_grant": {"model_id": NOBODYS_MODEL, "tenant_id": world.mine["tenant"][0]},
        "ensure_grant": {"model_id": NOBODYS_MODEL, "tenant_id": world.mine["tenant"][0]},
        "delete_grant": {"model_id": world.mine["granted"][0]},
        "ensure_credential": {"provider_id": f"prv_{MINE}p" + "0" * 11},
        "revoke_token": {"tenant_id": world.mine["tenant"][0]},
        "read_grant": {"model_id": world.mine["granted"][0]},
        "create_webhook": {
            "spec": WebhookSpec(
                world.mine["tenant"][0], "fresh", NoticeFormat.JSON, "https://hooks.example/way"
            )
        },
    }


def wanted(world, uow, hint: Any) -> Any:
    """A thing of tenant A, changed."""
    a = world.mine["tenant"][0]
    found = {
        "TenantView": lambda: replace(uow.tenants.get(a), name="changed"),
        "ProjectView": lambda: replace(uow.projects.get(a, world.mine["project"][0]), name="new"),
        "KeyView": lambda: replace(uow.keys.get(a, world.mine["key"][15]), name="changed"),
        "ProviderView": lambda: replace(
            uow.providers.get(world.mine["provider"][0]), residency="changed"
        ),
        "ModelView": lambda: replace(uow.models.get(world.mine["model"][0]), enabled=False),
        "AccountView": lambda: replace(
            uow.accounts.get(world.mine["account"][15]), platform_admin=True
        ),
        "QuotaView": lambda: changed_quota(uow.quotas.get(world.mine["quota"][0])),
        "WebhookView": lambda: replace(uow.webhooks.get(world.mine["webhook"][0]), name="changed"),
        "MemberView": lambda: replace(
            uow.members.get(a, world.mine["account"][15]), role=Role.TENANT_ADMIN
        ),
    }
    return found[hint.__name__]()


def changed_quota(view):
    return replace(view, quota=replace(view.quota, limit=5))


def call(world, function, actor):
    """The function's answer to this actor, and whether it wrote; nothing is kept."""
    hints = get_type_hints(function)
    with world.plane.configuration.begin() as uow:
        arguments = {
            name: example(world, uow, name, hints[name])
            for name, parameter in list(inspect.signature(function).parameters.items())[1:]
            if parameter.default is inspect.Parameter.empty
        }
        arguments |= fitting(world).get(function.__name__, {})
        answer = function(work_of(uow, actor), **arguments)
        return answer, uow.version is not None or uow.audit.head()[0] > 0


@pytest.mark.parametrize("name", GATED)
def test_a_stranger_gets_nothing(world, name):
    """Forbidden or absent, or a list of their own; no row is written."""
    function = {**COMMANDS, **QUERIES}[name]
    for actor in strangers(world):
        answer, wrote = call(world, function, actor)
        assert not wrote, actor
        if isinstance(answer, Err):
            assert answer.error.kind in ("forbidden", "not_found", "invalid"), answer
            assert answer.error.kind != "invalid" or answer.error.field == "tenant_id"
        else:
            assert name in QUERIES, f"{actor} may {name}: {answer}"
            assert f"_{MINE}" not in repr(answer), answer


@pytest.mark.parametrize("name", sorted(set(GATED) & set(COMMANDS)))
def test_who_only_reads_changes_nothing(world, name):
    """Viewers, and tokens that only read whatever their person's role, are refused by every
    command itself."""
    for actor in readers(world):
        answer, wrote = call(world, COMMANDS[name], actor)
        assert not wrote
        if ".ensure_" in name and isinstance(answer, Ok):
            assert not answer.value.created  # it only looked, for who may read all
            continue
        assert isinstance(answer, Err), f"{actor} may {name}"
        assert answer.error.kind in ("forbidden", "not_found"), answer


@pytest.mark.parametrize("name", sorted(OWN & set(COMMANDS)))
def test_a_machine_is_nobody(world, name):
    """What a person does to their own account, who has none cannot; nor may a token that only
    reads."""
    a = world.mine["tenant"][0]
    for actor in (
        Actor("tok_a", "a", "token", roles={a: Role.TENANT_ADMIN}),
        Actor("bootstrap", "b", "bootstrap", platform_admin=True),
        world.people["reader"].actor,
    ):
        answer, wrote = call(world, COMMANDS[name], actor)
        assert isinstance(answer, Err), actor
        assert not wrote


def test_the_platforms_administrator_gets_through(world):
    """The arguments are fit: who may, does. (A few stop at the state of things.)"""
    admin = Actor("acc_root", "root", "session", "acc_root", platform_admin=True)
    refused = {}
    for name in GATED:
        answer, _ = call(world, {**COMMANDS, **QUERIES}[name], admin)
        if not isinstance(answer, Ok):
            refused[name] = answer
    assert set(refused) <= {"tenants.restore_tenant"}, "\n".join(map(str, refused.items()))


def test_the_exceptions_are_there_and_unknown_to_the_web():
    """No list here names what is gone, and no endpoint calls an ungated function."""
    assert set(COMMANDS) | set(QUERIES) >= INNER | SIGNING_IN | OWN
    used = set()
    for source in Path(next(iter(tollway.web.admin.__path__))).glob("*.py"):
        used |= _named_commands(ast.parse(source.read_text()))
    assert used >= {"create_key", "update_model", "living_tenant"}  # it does find names
    assert not used & ({name.partition(".")[2] for name in INNER} - {"living_tenant"})


def _named_commands(tree: ast.AST) -> set[str]:
    """What a module takes from the commands and queries."""
    named, aliases = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tollway.app.admin"):
            named |= {name.name for name in node.names}
            aliases |= {name.asname or name.name for name in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            named |= {node.attr} if node.value.id in aliases else set()
    return named
