"""What somebody can reach: roles, objects they can read, models that keys of theirs can call. Read
from the database and from the snapshot that would be published, by the data plane's own rule.
"""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import text

from tests.fakes.world import World
from tests.isolation.document import operations
from tests.isolation.walk import ask
from tollway.adapters.sql.snapshot import SqlSnapshotStore
from tollway.domain.access import find_principal, granted_models
from tollway.domain.key import KeyRecord
from tollway.domain.snapshot import Snapshot, index
from tollway.web.admin.callers import PUBLIC

LISTS = [
    found
    for found in operations()
    if found.method == "GET" and found.action != PUBLIC and "{" not in found.path.split("/")[-1]
]


@dataclass(frozen=True, slots=True)
class Reach:
    """All of it, as sets that can be compared."""

    roles: frozenset[Any]
    reads: frozenset[str]
    calls: frozenset[tuple[str, str]]  # (tenant, model id)

    def beyond(self, start: "Reach", known: frozenset[str]) -> dict[str, Any]:
        """What was not within reach at the start. Things that are new are whoever's made them."""
        return {
            name: more
            for name, more in (
                ("roles", self.roles - start.roles),
                ("reads", (self.reads & known) - start.reads),
                ("calls", self.calls - start.calls),
            )
            if more
        }


def reach_of(world: World, who: str) -> Reach:
    """What this caller reaches now."""
    return Reach(_roles(world, who), _reads(world, who), _calls(world, who))


def every_id(world: World) -> frozenset[str]:
    """The ids of all there is."""
    found = set()
    for row in _rows(world, "SELECT id FROM tenants"):
        found.add(row[0])
    for table in ("accounts", "projects", "api_keys", "providers", "provider_credentials"):
        found |= {row[0] for row in _rows(world, f"SELECT id FROM {table}")}
    for table in ("models", "prices", "access_tokens", "webhooks", "events"):
        found |= {row[0] for row in _rows(world, f"SELECT id FROM {table}")}
    return frozenset(found)


def snapshot(world: World) -> Snapshot:
    """What the workers would serve from."""
    return index(SqlSnapshotStore(world.engine).load(), {})


def callable_by(published: Snapshot, key: KeyRecord) -> set[tuple[str, str]]:
    """The models a key can call."""
    principal = find_principal(published, key)
    if principal is None or key.revoked_s is not None:
        return set()
    return {(key.tenant_id, model.id) for model in granted_models(published, principal)}


def _roles(world: World, who: str) -> frozenset[Any]:
    """Memberships, the platform flag, and the roles of tokens they hold. What a machine's token
    may do says its row."""
    account = world.people[who].actor.account_id
    found: set[Any] = set(
        _rows(world, f"SELECT tenant_id, role FROM memberships WHERE account_id = '{account}'")
    )
    found |= {
        ("platform", flag)
        for (flag,) in _rows(world, f"SELECT platform_admin FROM accounts WHERE id = '{account}'")
        if flag
    }
    machines = "SELECT id, tenant_id, role FROM access_tokens WHERE account_id IS NULL"
    found |= set(_rows(world, machines))
    token = world.own.get((who, "token"))
    found |= set(_rows(world, f"SELECT read_only FROM access_tokens WHERE id = '{token}'"))
    return frozenset(found)


def _reads(world: World, who: str) -> frozenset[str]:
    found: set[str] = set()
    for operation in LISTS:
        placed: list[dict[Any, str]] = [{}]
        tenants = [slot for slot in operation.slots if slot.kind == "tenant"]
        if tenants:
            everywhere = [*world.mine["tenant"][:1], *world.theirs["tenant"][:2]]
            placed = [{tenants[0]: tenant_id} for tenant_id in everywhere]
        for values in placed:
            answer = ask(world, operation, who, values)
            assert answer.status < 500
            if answer.status == 200:
                _collect(answer.json, found)
    return frozenset(found)


def _collect(value: Any, found: set[str]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, str) and (name == "id" or name.endswith("_id")):
                found.add(inner)
            else:
                _collect(inner, found)
    elif isinstance(value, list):
        for inner in value:
            _collect(inner, found)


def _calls(world: World, who: str) -> frozenset[tuple[str, str]]:
    """By any key that is theirs or that they made; and by the widest key they could make."""
    account = world.people[who].actor.account_id
    published = snapshot(world)
    theirs = f"SELECT id FROM api_keys WHERE account_id = '{account}' OR created_by = '{account}'"
    found: set[tuple[str, str]] = set()
    for (key_id,) in _rows(world, theirs) if account else ():
        key = published.keys.get(key_id)
        if key is not None:
            found |= callable_by(published, key)
    template = next(iter(SqlSnapshotStore(world.engine).load().keys))
    memberships = f"SELECT tenant_id FROM memberships WHERE account_id = '{account}'"
    for (tenant_id,) in _rows(world, memberships):
        widest = replace(
            template,
            tenant_id=tenant_id,
            account_id=account,
            project_id=None,
            models=None,
            revoked_s=None,
        )
        found |= callable_by(published, widest)
    return frozenset(found)


def _rows(world: World, query: str) -> list[tuple[Any, ...]]:
    with world.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]
