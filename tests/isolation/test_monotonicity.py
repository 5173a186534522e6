"""Nobody widens what they reach. Random sequences of calls by people who are no administrators
leave every one of them with no more roles, readable things and callable models than before; those
of a tenant's administrator stay in the tenant.
"""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.fakes.world import MINE, THEIRS, build
from tests.isolation.document import followed, operations
from tests.isolation.reach import callable_by, every_id, reach_of, snapshot
from tests.isolation.walk import ask
from tollway.domain.account import Role
from tollway.web.admin.callers import PUBLIC

LOW = ("user", "viewer", "reader_user", "service_user", "service_viewer")
CHANGES = [found for found in operations() if found.method != "GET" and found.action != PUBLIC]
GREEDY = {  # what an attacker sends along
    "role": "tenant_admin",
    "platform_admin": True,
    "is_admin": True,
    "tenant_id": "ten_zqzq000000000000",
    "scopes": ["*"],
    "allowed_routes": ["/*"],
    "spend": 0,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = build(tmp_path_factory.mktemp("world"))
    yield world
    world.close()


@st.composite
def calls(draw, world, callers):
    """Somebody's call of some operation: right but for ids and words from everybody's pools, and
    for fields that a greedy client adds or a document allows."""
    operation = draw(st.sampled_from(CHANGES))
    placed = {}
    for slot in operation.slots:
        if draw(st.integers(0, 3)) == 0:
            pools = world.mine.get(slot.kind, [])[:3] + world.theirs.get(slot.kind, [])[:2]
            pools = pools or [world.mine["account"][0], world.theirs["account"][0]]
            placed[slot] = draw(st.sampled_from(pools))
    extra = {}
    if operation.body is not None:
        for name, schema in followed(operation.body).get("properties", {}).items():
            value = draw(st.none() | _value(schema, world))
            if value is not None:
                extra[name] = value
        if draw(st.integers(0, 4)) == 0:
            name = draw(st.sampled_from(sorted(GREEDY)))
            extra[name] = GREEDY[name]
    return draw(st.sampled_from(callers)), operation, placed, extra


def _value(schema, world):
    plain = followed(schema)
    if "enum" in plain:
        return st.sampled_from(plain["enum"])
    if plain.get("type") == "boolean":
        return st.booleans()
    if plain.get("type") == "array" and followed(plain["items"]).get("type") == "string":
        names = world.mine["model_name"][:2] + world.theirs["model_name"][:2]
        names += [f"{MINE}-platform-00", f"{THEIRS}-platform-00"]
        return st.lists(st.sampled_from(names), max_size=3, unique=True)
    return st.nothing()


class Calls(RuleBasedStateMachine):
    """Calls one after another on one database."""

    world = None
    callers = ()
    succeeded = 0

    @initialize()
    def begin(self):
        self.world.restore()

    @rule(data=st.data())
    def call(self, data):
        who, operation, placed, extra = data.draw(calls(self.world, self.callers))
        answer = ask(self.world, operation, who, placed, extra=extra)
        assert answer.status < 500, answer
        type(self).succeeded += answer.status < 300

    def teardown(self):
        self.world.restore()


def run(machine, **changes):
    run_state_machine_as_test(
        machine,
        settings=settings(
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            **{"max_examples": 25, "stateful_step_count": 30, **changes},
        ),
    )


@pytest.mark.slow
def test_nobody_reaches_further_than_before(world, show):
    """Not by any calls of users, viewers and machines, in any order."""
    people = ("user", "viewer", "service_user", "service_viewer", "admin")
    start = {who: reach_of(world, who) for who in people}
    known = every_id(world)

    class ByTheLow(Calls):
        callers = ("user", "viewer", "service_user", "service_viewer")

        @invariant()
        def nobody_reaches_further(self):
            if not self.world.changed():  # then they reach what they reached at the start
                return
            for who in people:
                more = reach_of(world, who).beyond(start[who], known)
                assert not more, (who, more)

    ByTheLow.world = world
    run(ByTheLow, max_examples=12, stateful_step_count=20)
    show(f"{ByTheLow.succeeded} calls succeeded")
    assert ByTheLow.succeeded, "nothing was tried"  # about a dozen usually


@pytest.mark.slow
def test_a_tenants_administrator_stays_in_the_tenant(world, show):
    """They may give what is theirs to whom they like there; nothing of another tenant or of the
    platform moves, no key of theirs calls what the platform did not open to them."""
    a = world.mine["tenant"][0]
    opened = {model for _, model in reach_of(world, "admin").calls} | set(world.mine["granted"])

    class ByTheAdministrator(Calls):
        callers = ("admin", "service_tenant_admin", "dual")

        @invariant()
        def all_else_is_as_it_was(self):
            # Anybody may be made a member: such a row names them, and is the tenant's.
            assert not self.world.changed(THEIRS, but=a) - {"audit_log"}
            assert not _platforms(self.world, kept=False) ^ _platforms(self.world, kept=True)
            assert _people(self.world, kept=True) <= _people(self.world, kept=False)
            published = snapshot(self.world)
            for key in published.keys.values():
                called = callable_by(published, key)
                assert {tenant for tenant, _ in called} <= {key.tenant_id}
                if key.tenant_id == a:
                    own = {model.id for model in _models(published) if model.tenant_id == a}
                    assert {model for _, model in called} <= opened | own
            for model in _models(published):
                if model.tenant_id == a:
                    owners = {published.providers[to.provider_id].tenant_id for to in model.targets}
                    assert owners == {a}

    ByTheAdministrator.world = world
    run(ByTheAdministrator, max_examples=15)
    show(f"{ByTheAdministrator.succeeded} calls succeeded")
    assert ByTheAdministrator.succeeded > 20


def _models(published):
    return published.models.values()


def _platforms(world, *, kept):
    """What is the platform's: its objects, grants, what it decides about tenants, its people."""
    queries = (
        "SELECT * FROM providers WHERE tenant_id IS NULL",
        "SELECT * FROM models WHERE tenant_id IS NULL",
        "SELECT * FROM prices WHERE tenant_id IS NULL",
        "SELECT * FROM grants",
        "SELECT id, slug, active, deleted_s FROM tenants",
        "SELECT tenant_id, models, grant_group, weight, allowed_residency FROM tenant_settings",
        "SELECT id FROM accounts WHERE platform_admin",
    )
    return {(query, row) for query in queries for row in world.query(query, kept=kept)}


def _people(world, *, kept):
    """Who can sign in, and how. Who knows their password may choose another: their own alone."""
    themselves = ", ".join(repr(world.own[who, "account"]) for who in ("admin", "dual"))
    queries = (
        "SELECT id, active FROM accounts",
        f"SELECT id, password_hash FROM accounts WHERE id NOT IN ({themselves})",
    )
    return {(query, row) for query in queries for row in world.query(query, kept=kept)}


# --- attacks 22 to 24, by hand ------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"allowed_routes": ["/*"]},
        {"scopes": ["*"]},
        {"tenant_id": "ten_zqzq000000000000"},
        {"role": "tenant_admin"},
        {"created_by": "acc_aaaa000000000000"},
    ],
)
def test_a_key_takes_no_field_that_would_widen_it(world, body):
    """Attack 22: unknown fields are refused, not ignored; no row."""
    path = f"/tenants/{world.mine['tenant'][0]}/keys"
    own = world.own["user", "account"]
    answer = world.ask("user", "POST", path, body={"name": "k", "account_id": own, **body})
    assert (answer.status, answer.json["errors"][0]["field"]) == (400, next(iter(body)))
    assert not world.changed()


def test_a_key_is_no_wider_than_its_maker(world):
    """Attack 22: a user who may use one model makes no key for two, nor for somebody else, nor
    widens one they have; without a list the key is held to theirs."""
    a, own = world.mine["tenant"][0], world.own["user", "account"]
    mine = world.mine["model_name"]
    path = f"/tenants/{a}/keys"
    narrowed = world.ask(
        "admin", "PATCH", f"/tenants/{a}/members/{own}", body={"models": [mine[1]]}
    )
    assert narrowed.status == 200
    try:
        wide = {"name": "k", "account_id": own, "models": [mine[1], mine[2]]}
        assert world.ask("user", "POST", path, body=wide).status == 403
        key_id = world.own["user", "key"]
        for models in ([mine[2]], [mine[1], mine[2]]):
            changed = world.ask("user", "PATCH", f"{path}/{key_id}", body={"models": models})
            assert changed.status == 403
        for other in (world.own["admin", "account"], None, world.theirs["account"][1]):
            other_body = {"name": "k", "account_id": other}
            assert world.ask("user", "POST", path, body=other_body).status == 403
        made = world.ask("user", "POST", path, body={"name": "k", "account_id": own})
        assert made.status == 201
        published = snapshot(world)
        called = callable_by(published, published.keys[made.json["id"]])
        assert {model for _, model in called} == {world.mine["model"][1]}
    finally:
        world.restore()


@pytest.mark.parametrize("who", ["user", "viewer", "admin", "service_user"])
@pytest.mark.parametrize(
    "field", ["role", "tenant_id", "quota", "spend", "is_admin", "platform_admin", "active"]
)
def test_nobody_promotes_themselves(world, who, field):
    """Attack 23: unknown field, and nothing is different."""
    answer = world.ask(who, "PATCH", "/me", body={field: True})
    assert answer.status == 400, answer
    assert field in {error["field"] for error in answer.json["errors"]}
    assert not world.changed()


def test_nobody_gives_themselves_a_role(world):
    """Attack 23: nor by the member's row, nor by a token."""
    a = world.mine["tenant"][0]
    for who in ("user", "viewer", "service_user", "service_viewer", "reader"):
        account = world.own.get((who, "account")) or world.own["user", "account"]
        for body in ({"role": "tenant_admin"}, {"models": None}):
            answer = world.ask(who, "PATCH", f"/tenants/{a}/members/{account}", body=body)
            assert answer.status == 403, (who, answer)
        for role in Role:
            body = {"name": "t", "role": role}
            assert world.ask(who, "POST", f"/tenants/{a}/tokens", body=body).status == 403
        assert not world.changed()


def test_a_tenants_administrator_has_no_hold_on_a_higher_one(world):
    """Attack 24: an administrator of the platform who is a member of the tenant is not removed,
    changed, locked or given a password by the tenant's."""
    a, root = world.mine["tenant"][0], "acc_aaaaroot00000000"
    made = world.ask(
        "platform", "POST", "/accounts", body={"email": "root@p.example", "platform_admin": True}
    )
    assert made.status == 201
    root = made.json["id"]
    body = {"email": "root@p.example", "role": "viewer"}
    assert world.ask("platform", "POST", f"/tenants/{a}/members", body=body).status == 201
    before = world.mark()
    try:
        member = f"/tenants/{a}/members/{root}"
        for who in ("admin", "service_tenant_admin", "dual", "browser"):
            assert world.ask(who, "PATCH", member, body={"role": "user"}).status == 403
            assert world.ask(who, "DELETE", member).status == 403
            for act in ("disable", "enable"):
                assert world.ask(who, "POST", f"/accounts/{root}/{act}").status == 403
            password = {"password": "correct horse battery staple"}
            path = f"/accounts/{root}/password"
            assert world.ask(who, "POST", path, body=password).status == 403
            assert world.ask(who, "PATCH", f"/accounts/{root}", body={"name": "x"}).status == 403
            key = {"name": "k", "account_id": root}
            world.ask(who, "POST", f"/tenants/{a}/keys", body=key)
        assert world.mark() >= before
    finally:
        world.restore()
