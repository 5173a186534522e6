"""Nobody in tenant A can tell that tenant B exists: every operation of the admin API, every slot
that takes an id, everybody in A, every kind of thing B has. The document says what there is to try.
"""

import pytest

from tests.fakes.world import EACH, LEAK, build
from tests.isolation.document import operations
from tests.isolation.walk import ACTORS, Walk, ask, cases
from tollway.adapters.sql.repositories.projects import SqlProjects
from tollway.app.admin import work as work_module
from tollway.domain.policy import Actor, Verdict
from tollway.web.admin.callers import PUBLIC

AT_LEAST = 20_000
WITH_SLOTS = [
    operation for operation in operations() if operation.slots and operation.action != PUBLIC
]
# Nobody can do these to a thing that simply stands there.
NEEDS_MORE = {"restoreTenant": 404}  # the tenant would have to be deleted first


def named(name):
    return next(operation for operation in operations() if operation.id == name)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = build(tmp_path_factory.mktemp("world"))
    yield world
    world.close()


@pytest.mark.slow
@pytest.mark.parametrize("operation", WITH_SLOTS, ids=lambda operation: operation.id)
def test_another_tenants_things_are_absent(world, operation):
    """Status, body, headers and time are those of an id that never was, and nothing is written."""
    walk = Walk(world, operation)
    wrong = walk.run()
    assert not wrong, "\n".join(wrong)
    assert walk.cases == sum(1 for _ in cases(world, operation))


def test_the_walk_is_long_enough(world, show):
    """So many cases, of twelve things of each kind and more."""
    planned = sum(1 for operation in WITH_SLOTS for _ in cases(world, operation))
    show(f"{planned} cross-tenant cases in {len(WITH_SLOTS)} operations")
    assert planned >= AT_LEAST
    assert EACH >= 12
    assert all(len(set(pool)) >= 12 for pool in world.theirs.values())


def test_every_operation_can_be_done_by_somebody(world):
    """What is walked is not refused for another reason: with own things somebody succeeds."""
    stuck = {}
    for operation in operations():
        if operation.action == PUBLIC:
            continue
        for who in (*ACTORS, "platform"):
            answer = ask(world, operation, who, {})
            world.restore()
            if answer.status < 400:
                break
        else:
            stuck[operation.id] = answer
    assert {name: answer.status for name, answer in stuck.items()} == NEEDS_MORE, stuck


def test_what_is_hidden_is_there(world):
    """The same reads by B's own administrator, with the same ids, succeed: the walk knocks on real
    doors."""
    opened = 0
    for operation in operations():
        if operation.method != "GET" or not operation.at("path"):
            continue
        for case in cases(world, operation):
            path = all(slot.where == "path" for slot, _ in case.foreign)
            if case.who == "admin" and path and len(case.foreign) == len(operation.at("path")):
                answer = ask(world, operation, "other_admin", dict(case.foreign))
                opened += answer.status == 200 and LEAK in answer.body
    assert opened >= 100


def test_a_repository_that_forgets_the_tenant_is_noticed(world, monkeypatch):
    """The walk can fail: without its filter the repository gives A's people B's projects."""
    kept = SqlProjects.get

    def forgetful(self, tenant_id, project_id):
        return kept(self, tenant_id, project_id) or kept(
            self, world.theirs["tenant"][0], project_id
        )

    monkeypatch.setattr(SqlProjects, "get", forgetful)
    for name in ("readProject", "updateProject", "createKey"):
        wrong = Walk(world, named(name)).run()
        assert wrong, name
        world.restore()


def test_a_policy_that_says_yes_is_noticed(world, monkeypatch):
    """The walk can fail: with the policy out of the way, things are told of and written."""
    monkeypatch.setattr(work_module, "decide", lambda *_args, **_named: Verdict.ALLOWED)
    monkeypatch.setattr(Actor, "knows", lambda *_args: True)
    for name in ("readProvider", "updateProvider", "deleteModel", "createGrant", "revokeKey"):
        wrong = Walk(world, named(name)).run()
        world.restore()
        assert wrong, name


def test_an_oracle_is_noticed(world, monkeypatch):
    """The walk can fail: an answer that differs by one word from that for an absent id."""
    seen = Walk._seen

    def telling(self, case, *, present=True):
        found = seen(self, case, present=present)
        return found._replace(body=found.body + b" ") if present else found

    monkeypatch.setattr(Walk, "_seen", telling)
    assert Walk(world, named("readProject")).run()
