"""Grants: who gives and takes them, and what a tenant sees by them."""

from dataclasses import replace

import pytest

from tests.fakes import database
from tests.fakes.acting import PLATFORM_ADMIN, acting, actor, done, facts, furnish, refused, work_of
from tollway.app.admin.commands.grants import create_grant, delete_grant, ensure_grant
from tollway.app.admin.queries.routing import list_grants, list_models, read_grant, read_model
from tollway.app.ports_directory import Page
from tollway.domain.account import Role

ADMIN = actor(ten_listed="tenant_admin")
USER = actor("bob", ten_listed="user")
STRANGER = actor("eve", ten_open="tenant_admin")


@pytest.fixture
def work(tmp_path):
    engine = database.database(tmp_path)
    with database.configuration(engine).begin() as uow:
        furnish(uow)
        yield work_of(uow, PLATFORM_ADMIN)
    engine.dispose()


def seen(work, who):
    return [model.id for model in done(list_models(acting(work, who), Page()))]


@pytest.mark.parametrize("given", [{"tenant_id": "ten_listed"}, {"group": "gold"}])
def test_a_listed_tenant_sees_a_platform_model_once_it_is_granted(work, given):
    """To itself or to its group; taken back, the model is absent again, as if it never was."""
    for who in (ADMIN, USER):
        assert seen(work, who) == ["mdl_listed"]
        assert refused(read_model(acting(work, who), "mdl_platform")) == ("not_found", "")
    grant = done(create_grant(work, "mdl_platform", **given))
    for who in (ADMIN, USER):
        assert seen(work, who) == ["mdl_listed", "mdl_platform"]
        assert done(read_model(acting(work, who), "mdl_platform")).name == "platform-model"
    done(delete_grant(work, "mdl_platform", grant.holder))
    assert seen(work, ADMIN) == ["mdl_listed"]
    assert [fact[0] for fact in facts(work.uow)] == ["grant.created", "grant.deleted"]
    assert facts(work.uow)[0][2] == {"model_id": "mdl_platform", "holder": grant.holder}


def test_where_a_platform_model_leads_is_the_platforms_business(work):
    """A tenant's people see its name, not its targets; their own models they see whole."""
    theirs = done(read_model(acting(work, STRANGER), "mdl_platform"))
    assert (theirs.targets, theirs.fallbacks) == ((), ())
    assert done(read_model(work, "mdl_platform")).targets
    listed = done(list_models(acting(work, STRANGER), Page()))
    assert [(model.id, len(model.targets)) for model in listed] == [
        ("mdl_open", 1),
        ("mdl_platform", 0),
    ]


def test_only_the_platform_gives_and_takes(work):
    """A tenant's administrator may not; another's tenant does not exist for them."""
    done(create_grant(work, "mdl_platform", tenant_id="ten_listed"))
    admin = acting(work, ADMIN)
    assert refused(create_grant(admin, "mdl_platform", tenant_id="ten_listed"))[0] == "forbidden"
    assert refused(create_grant(admin, "mdl_platform", group="gold"))[0] == "forbidden"
    assert refused(create_grant(admin, "mdl_platform", tenant_id="ten_open"))[0] == "not_found"
    assert refused(create_grant(admin, "mdl_platform", tenant_id="ten_none"))[0] == "not_found"
    assert refused(delete_grant(admin, "mdl_platform", "ten_listed"))[0] == "forbidden"
    assert refused(delete_grant(admin, "mdl_platform", "group:gold"))[0] == "forbidden"
    assert refused(delete_grant(admin, "mdl_platform", "ten_open"))[0] == "not_found"
    reader = acting(work, replace(PLATFORM_ADMIN, read_only=True))
    assert refused(create_grant(reader, "mdl_platform", group="x"))[0] == "forbidden"


def test_what_cannot_be_granted(work):
    """Nothing, a tenant's own model, to nobody or to two, to a tenant that is not there, twice."""
    to = {"tenant_id": "ten_listed"}
    assert refused(create_grant(work, "mdl_none", **to)) == ("invalid", "model_id")
    assert refused(create_grant(work, "mdl_open", **to)) == ("invalid", "model_id")
    assert refused(create_grant(work, "mdl_platform")) == ("invalid", "tenant_id")
    assert refused(create_grant(work, "mdl_platform", group="g", **to)) == ("invalid", "tenant_id")
    assert refused(create_grant(work, "mdl_platform", group=" ")) == ("invalid", "group")
    assert refused(create_grant(work, "mdl_platform", tenant_id="ten_x")) == ("not_found", "")
    done(create_grant(work, "mdl_platform", **to))
    assert refused(create_grant(work, "mdl_platform", **to)) == ("conflict", "model_id")
    assert done(ensure_grant(work, "mdl_platform", **to)).created is False
    assert done(ensure_grant(work, "mdl_platform", group="g")).created is True
    assert refused(delete_grant(work, "mdl_platform", "group:none")) == ("not_found", "")


def test_grants_are_read_by_whom_they_concern(work):
    """A tenant's administrators and viewers see their tenant's and its group's; a user none."""
    for given in ({"tenant_id": "ten_listed"}, {"group": "gold"}, {"group": "other"}):
        done(create_grant(work, "mdl_platform", **given))

    def holders(who, **given):
        return [grant.holder for grant in done(list_grants(acting(work, who), Page(), **given))]

    every = ["group:gold", "group:other", "ten_listed"]
    assert holders(PLATFORM_ADMIN) == every
    assert holders(PLATFORM_ADMIN, group="other") == ["group:other"]
    assert holders(PLATFORM_ADMIN, tenant_id="ten_listed") == ["group:gold", "ten_listed"]
    assert holders(PLATFORM_ADMIN, model_id="mdl_none") == []
    viewer = actor("vic", ten_listed="viewer")
    for who in (ADMIN, viewer):
        assert holders(who) == holders(who, tenant_id="ten_listed") == ["group:gold", "ten_listed"]
        assert holders(who, group="other") == []
        assert holders(who, group="gold") == ["group:gold"]
    assert holders(STRANGER) == []
    assert refused(list_grants(acting(work, USER), Page()))[0] == "forbidden"
    assert refused(list_grants(acting(work, USER), Page(), tenant_id="ten_listed"))[0] == (
        "forbidden"
    )
    assert refused(list_grants(acting(work, ADMIN), Page(), tenant_id="ten_open"))[0] == "not_found"
    assert done(read_grant(acting(work, viewer), "mdl_platform", "group:gold")).group == "gold"
    assert refused(read_grant(acting(work, viewer), "mdl_platform", "group:other"))[0] == (
        "not_found"
    )
    assert refused(read_grant(acting(work, USER), "mdl_platform", "group:gold"))[0] == "forbidden"


def test_a_grant_changed_meanwhile_is_not_taken_back_unseen(work):
    """`If-Match` holds for deleting too."""
    grant = done(create_grant(work, "mdl_platform", group="gold"))
    stale = acting(work, PLATFORM_ADMIN, request=replace(work.request, if_match=grant.version + 1))
    assert refused(delete_grant(stale, "mdl_platform", "group:gold"))[0] == "precondition"


def test_members_of_several_tenants_see_what_any_of_them_sees(work):
    """And nothing of a tenant that was deleted."""
    both = replace(ADMIN, roles={"ten_listed": Role.VIEWER, "ten_open": Role.USER})
    assert seen(work, both) == ["mdl_listed", "mdl_open", "mdl_platform"]
    work.uow.tenants.save(replace(work.uow.tenants.get("ten_open"), deleted_s=1))
    assert seen(work, both) == ["mdl_listed"]
    assert refused(read_model(acting(work, both), "mdl_open"))[0] == "not_found"
