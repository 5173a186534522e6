"""Projects: who makes, changes and removes them, and what keeps one."""

from dataclasses import replace

import pytest

from tests.fakes.acting import acting, done, facts, refused, said
from tests.fakes.database import NOW_S
from tests.fakes.people import (
    ANN,
    BOB,
    BUT_ADMINS,
    EVE,
    READER,
    ROBOT,
    VIC,
    stale,
    state,
    turned_away,
)
from tollway.app.admin.commands.keys import KeySpec, create_key, revoke_key
from tollway.app.admin.commands.projects import (
    create_project,
    delete_project,
    ensure_project,
    update_project,
)
from tollway.app.admin.queries.projects import list_projects, read_project
from tollway.app.ports_directory import Page
from tollway.app.views import ProjectView


@pytest.fixture
def project(work):
    work.uow.projects.add(ProjectView("prj_1", "ten_a", "search", ("m1",)))
    return work.uow.projects.get("ten_a", "prj_1")


@pytest.mark.parametrize("who", [ANN, ROBOT], ids=["ann", "robot"])
def test_a_project_is_made(work, who):
    """With an id of its own, narrowing nothing unless it is told to."""
    by = acting(work, who)
    made = done(create_project(by, "ten_a", name="bot", models=["m1"], managed_by="file"))
    assert made.id.startswith("prj_")
    assert (made.tenant_id, made.name, made.models) == ("ten_a", "bot", ("m1",))
    assert (made.managed_by, made.created_s, made.version) == ("file", NOW_S, work.uow.version)
    assert done(create_project(by, "ten_a", name="other")).models is None
    assert done(create_project(by, "ten_a", name="none", models=[])).models == ()
    assert facts(work.uow)[0] == ("project.created", made.id, {"name": "bot", "models": ["m1"]})


def test_a_project_is_named_once_per_tenant(work, project):
    """Another tenant may use the name."""
    assert refused(create_project(work, "ten_a", name="search")) == ("conflict", "name")
    found = done(ensure_project(work, "ten_a", name="search"))
    assert (found.value, found.created) == (project, False)
    assert facts(work.uow) == []
    assert done(ensure_project(acting(work, EVE), "ten_b", name="search")).created
    other = done(create_project(work, "ten_a", name="other"))
    assert refused(update_project(work, replace(other, name="search"))) == ("conflict", "name")


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"name": ""}, "name"), ({"name": "a\n"}, "name"), ({"models": ("a b",)}, "models")],
    ids=str,
)
def test_a_project_that_makes_no_sense_is_refused(work, project, changes, field):
    """At making and at changing, with the part at fault."""
    made = create_project(work, "ten_a", **{"name": "new", **changes})
    assert refused(made) == ("invalid", field)
    assert refused(update_project(work, replace(project, **changes))) == ("invalid", field)
    assert facts(work.uow) == []


@pytest.mark.parametrize(
    "command",
    [
        lambda by: create_project(by, "ten_a", name="new"),
        lambda by: create_project(by, "ten_a", name="search"),
        lambda by: ensure_project(by, "ten_a", name="new"),
        lambda by: ensure_project(by, "ten_a", name="search"),
        lambda by: update_project(by, replace(by.uow.projects.get("ten_a", "prj_1"), name="new")),
        lambda by: delete_project(by, "ten_a", "prj_1"),
    ],
    ids=["create", "create-taken", "ensure", "ensure-there", "update", "delete"],
)
def test_only_administrators_change_projects(work, project, command):
    """Users and viewers may not; for others the tenant is not there."""
    turned_away(work, command, **BUT_ADMINS)


def test_another_tenants_project_is_absent(work, project):
    """Also under one's own tenant, and in the same words as one that never was."""
    eve = acting(work, EVE)
    for project_id in ("prj_1", "prj_none"):
        theirs = replace(project, id=project_id, tenant_id="ten_b", name="stolen")
        for result in (
            update_project(eve, theirs),
            delete_project(eve, "ten_b", project_id),
            read_project(eve, "ten_b", project_id),
        ):
            assert refused(result) == ("not_found", "")
            assert said(result) == "There is no such project."
    assert done(read_project(work, "ten_a", "prj_1")) == project


def test_a_project_is_changed(work, project):
    """Name and models; no change, no record."""
    wanted = replace(project, name="find", models=None)
    after = done(update_project(acting(work, ANN), wanted))
    assert after == replace(wanted, version=work.uow.version)
    done(update_project(work, after))
    changes = {"name": ["search", "find"], "models": [["m1"], None]}
    assert facts(work.uow) == [("project.updated", "prj_1", changes)]


def test_a_project_changed_meanwhile_is_not_changed_unseen(work, project):
    """`If-Match` must be the version that stands, for deleting too."""
    before = state(work.uow)
    late = stale(work, project.version)
    assert refused(update_project(late, replace(project, name="new")))[0] == "precondition"
    assert refused(delete_project(late, "ten_a", "prj_1"))[0] == "precondition"
    assert state(work.uow) == before
    done(delete_project(stale(work, project.version + 1), "ten_a", "prj_1"))


def test_a_project_with_keys_is_kept(work, project):
    """Revoked ones too: the ledger names them. One without is gone."""
    spare = done(create_project(work, "ten_a", name="spare"))
    key = done(create_key(work, "ten_a", KeySpec("k", project_id="prj_1"))).view
    done(revoke_key(work, "ten_a", key.id))
    before = state(work.uow)
    kept = delete_project(acting(work, ANN), "ten_a", "prj_1")
    assert refused(kept) == ("conflict", "")
    assert "search" in said(kept)
    assert state(work.uow) == before
    done(delete_project(acting(work, ANN), "ten_a", spare.id))
    assert facts(work.uow)[-1] == ("project.deleted", spare.id, {"name": "spare"})
    assert refused(read_project(work, "ten_a", spare.id))[0] == "not_found"
    assert refused(delete_project(work, "ten_a", spare.id))[0] == "not_found"


def test_projects_are_seen_by_all_members(work, project):
    """And by nobody else."""
    for who in (READER, ANN, BOB, VIC, ROBOT):
        assert done(list_projects(acting(work, who), "ten_a", Page())) == [project]
        assert done(read_project(acting(work, who), "ten_a", "prj_1")) == project
    assert refused(list_projects(acting(work, EVE), "ten_a", Page()))[0] == "not_found"
    assert refused(read_project(acting(work, EVE), "ten_a", "prj_1"))[0] == "not_found"
    assert done(list_projects(acting(work, EVE), "ten_b", Page())) == []
