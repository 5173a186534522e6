"""Models: whose they are, where they may lead, and what they fall back on."""

from dataclasses import replace

import pytest

from tests.fakes import database
from tests.fakes.acting import (
    PLATFORM_ADMIN,
    acting,
    actor,
    done,
    facts,
    furnish,
    refused,
    said,
    work_of,
)
from tollway.app.admin.commands.grants import create_grant
from tollway.app.admin.commands.models import (
    MAX_TARGETS,
    ModelSpec,
    create_model,
    delete_model,
    ensure_model,
    update_model,
)
from tollway.app.admin.commands.providers import ProviderSpec, create_provider
from tollway.app.admin.queries.routing import list_models, read_model
from tollway.app.ports_directory import Page
from tollway.domain.account import Role
from tollway.domain.model import Strategy, Target

ADMIN = actor(ten_listed="tenant_admin")
OPEN_ADMIN = actor("zoe", ten_open="tenant_admin")
OWN, SHARED, OTHERS = (Target(f"prv_{name}", "m") for name in ("listed", "platform", "open"))


@pytest.fixture
def work(tmp_path):
    engine = database.database(tmp_path)
    with database.configuration(engine).begin() as uow:
        furnish(uow)
        yield work_of(uow, PLATFORM_ADMIN)
    engine.dispose()


@pytest.fixture
def theirs(work):
    """The same unit, in the hands of the listed tenant's administrator."""
    return acting(work, ADMIN)


def spec(name="new", targets=(OWN,), **fields):
    return ModelSpec(name, tuple(targets), **fields)


def test_a_tenants_administrator_makes_their_tenants_models(theirs):
    """Without saying whose; the act is in the audit, in full."""
    model = done(
        create_model(
            theirs,
            spec(strategy="weighted", fallbacks=("listed-model",), max_output_tokens=5),
        )
    )
    assert (model.tenant_id, model.strategy) == ("ten_listed", Strategy.WEIGHTED)
    assert done(read_model(theirs, model.id)) == model
    assert facts(theirs.uow) == [
        (
            "model.created",
            model.id,
            {
                "name": "new",
                "targets": [
                    {"provider_id": "prv_listed", "model": "m", "weight": 1, "priority": 0}
                ],
                "strategy": "weighted",
                "fallbacks": ["listed-model"],
                "max_output_tokens": 5,
                "cache_affinity": False,
                "enabled": True,
            },
        )
    ]


def test_whose_a_new_model_is(work, theirs):
    """The platform's for its administrators; who administers several tenants must say."""
    assert done(create_model(work, spec(targets=[SHARED]))).tenant_id is None
    assert done(create_model(work, spec(tenant_id="ten_listed"))).tenant_id == "ten_listed"
    both = replace(ADMIN, roles=dict.fromkeys(("ten_open", "ten_listed"), Role.TENANT_ADMIN))
    twice = acting(work, both)
    assert refused(create_model(twice, spec("two"))) == ("invalid", "tenant_id")
    assert done(create_model(twice, spec("two", tenant_id="ten_listed")))
    one = replace(ADMIN, roles={"ten_open": Role.USER, "ten_listed": Role.TENANT_ADMIN})
    assert done(create_model(acting(work, one), spec("three"))).tenant_id == "ten_listed"


@pytest.mark.parametrize("role", ["user", "viewer"])
def test_who_may_not_make_models(work, role):
    """Users and viewers may not in their own tenant; others' tenants do not exist."""
    who = acting(work, actor(ten_listed=role))
    assert refused(create_model(who, spec()))[0] == "forbidden"
    assert refused(create_model(who, spec(tenant_id="ten_listed")))[0] == "forbidden"
    assert refused(create_model(who, spec(tenant_id="ten_open"))) == ("not_found", "")
    assert refused(create_model(who, spec(tenant_id="ten_none"))) == ("not_found", "")
    assert refused(delete_model(who, "mdl_listed"))[0] == "forbidden"
    assert refused(delete_model(who, "mdl_open")) == ("not_found", "")
    assert refused(delete_model(who, "mdl_none")) == ("not_found", "")
    mine = done(read_model(who, "mdl_listed"))
    assert refused(update_model(who, replace(mine, name="x")))[0] == "forbidden"


def test_a_read_only_token_changes_nothing(work):
    """Whatever its person may."""
    who = acting(work, replace(ADMIN, read_only=True))
    assert refused(create_model(who, spec()))[0] == "forbidden"
    assert refused(delete_model(who, "mdl_listed"))[0] == "forbidden"
    assert done(list_models(who, Page()))


def test_a_tenants_people_lead_models_to_their_own_providers_only(theirs):
    """The platform's, another tenant's and one that never was are refused in the same words."""
    words = set()
    for target in (SHARED, OTHERS, Target("prv_never", "m")):
        result = create_model(theirs, spec(targets=[OWN, target]))
        assert refused(result) == ("invalid", "targets")
        words.add(said(result).replace(target.provider_id, "ID"))
        mine = theirs.uow.models.get("mdl_listed")
        wanted = replace(mine, targets=(*mine.targets, target))
        assert refused(update_model(theirs, wanted)) == ("invalid", "targets")
    assert len(words) == 1


def test_what_the_platform_put_there_may_stay_but_not_grow(work, theirs):
    """A tenant's administrator may reorder and drop such targets, not alter or repeat them."""
    targets = (SHARED, OWN)
    model = done(create_model(work, spec(targets=targets, tenant_id="ten_listed")))
    assert done(update_model(theirs, replace(model, name="renamed"))).targets == targets
    turned = done(update_model(theirs, replace(model, targets=(OWN, SHARED))))
    assert turned.targets == (OWN, SHARED)
    for altered in (
        (replace(SHARED, model="dearer"), OWN),
        (replace(SHARED, weight=9), OWN),
        (SHARED, SHARED),
    ):
        assert refused(update_model(theirs, replace(model, targets=altered))) == (
            "invalid",
            "targets",
        )
    assert done(update_model(theirs, replace(model, targets=(OWN,)))).targets == (OWN,)
    assert refused(update_model(theirs, replace(model, targets=targets)))[1] == "targets"


def test_the_platforms_models_lead_to_the_platforms_providers(work):
    """A tenant's provider is no place for everybody's requests."""
    assert refused(create_model(work, spec(targets=[OWN]))) == ("invalid", "targets")
    assert refused(create_model(work, spec(targets=[OTHERS], tenant_id="ten_listed"))) == (
        "invalid",
        "targets",
    )


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (spec("with space"), "name"),
        (spec(targets=[]), "targets"),
        (spec(targets=[OWN] * (MAX_TARGETS + 1)), "targets"),
        (spec(targets=[Target("prv_listed", "")]), "targets"),
        (spec(targets=[Target("prv_listed", "m", -1)]), "targets"),
        (spec(targets=[Target("prv_listed", "m", 1, 2**31)]), "targets"),
        (spec(strategy="fastest"), "strategy"),
        (spec(max_output_tokens=0), "max_output_tokens"),
        (spec(fallbacks=("nothing",)), "fallbacks"),
        (spec(fallbacks=("new",)), "fallbacks"),
        (spec(fallbacks=("listed-model", "listed-model")), "fallbacks"),
        (spec(fallbacks=tuple(f"m{number}" for number in range(9))), "fallbacks"),
        (spec(fallbacks=("platform-model",)), "fallbacks"),  # not granted
        (spec(fallbacks=("open-model",)), "fallbacks"),  # another's
    ],
)
def test_what_is_refused_by_its_field(theirs, wrong, field):
    """And nothing is written."""
    assert refused(create_model(theirs, wrong)) == ("invalid", field)
    assert len(theirs.uow.models.page(Page())) == 3
    assert facts(theirs.uow) == []


def test_a_name_is_taken_once_by_each_owner(work, theirs):
    """A tenant's model may stand before the platform's of the same name."""
    assert refused(create_model(theirs, spec("listed-model"))) == ("conflict", "name")
    shadow = done(create_model(theirs, spec("platform-model")))
    assert refused(update_model(theirs, replace(shadow, name="listed-model"))) == (
        "conflict",
        "name",
    )
    assert done(ensure_model(work, spec("listed-model", tenant_id="ten_listed"))).created is False
    assert done(ensure_model(work, spec("x", tenant_id="ten_listed"))).created is True
    assert done(ensure_model(theirs, spec("x"))).created is False
    viewer = acting(work, actor("vic", ten_listed="viewer"))
    again = ensure_model(viewer, spec("x", tenant_id="ten_listed"))
    assert refused(again)[0] == "forbidden"


def test_updating_changes_what_differs_and_records_only_that(work, theirs):
    """Owner and times are not the sender's to choose; no difference is no change."""
    before = theirs.uow.models.get("mdl_listed")
    wanted = replace(before, enabled=False, tenant_id=None, created_s=1, version=0)
    after = done(update_model(theirs, wanted))
    assert after == replace(before, enabled=False, version=after.version)
    done(update_model(theirs, after))
    assert facts(theirs.uow) == [("model.updated", "mdl_listed", {"enabled": [True, False]})]
    stale = acting(work, ADMIN, request=replace(work.request, if_match=after.version + 1))
    assert refused(update_model(stale, after))[0] == "precondition"
    assert refused(delete_model(stale, after.id))[0] == "precondition"


def test_a_platform_model_is_changed_by_the_platform_only(work):
    """Who sees it is told so; who does not, nothing."""
    model = work.uow.models.get("mdl_platform")
    assert refused(update_model(acting(work, OPEN_ADMIN), model))[0] == "forbidden"
    assert refused(delete_model(acting(work, OPEN_ADMIN), model.id))[0] == "forbidden"
    assert refused(update_model(acting(work, ADMIN), model)) == ("not_found", "")
    assert done(update_model(work, replace(model, enabled=False))).enabled is False


def test_fallbacks_never_go_in_a_circle(work, theirs):
    """Directly, over several models, and through a platform model a tenant's stands before."""
    done(create_model(theirs, spec("a", fallbacks=("listed-model",))))
    done(create_model(theirs, spec("b", fallbacks=("a",))))
    mine = theirs.uow.models.get("mdl_listed")
    for name in ("a", "b"):
        result = update_model(theirs, replace(mine, fallbacks=(name,)))
        assert refused(result) == ("invalid", "fallbacks")

    done(create_model(work, spec("p1", [SHARED])))
    p2 = done(create_model(work, spec("p2", [SHARED], fallbacks=("p1",))))
    done(create_grant(work, p2.id, tenant_id="ten_listed"))
    shadow = spec("p1", fallbacks=("p2",))
    assert refused(create_model(theirs, shadow)) == ("invalid", "fallbacks")


def test_a_granted_model_may_be_fallen_back_on(work, theirs):
    """And stays in the list when it is gone: only new names are looked for."""
    done(create_grant(work, "mdl_platform", group="gold"))
    model = done(create_model(theirs, spec(fallbacks=("platform-model",))))
    done(delete_model(work, "mdl_platform"))
    kept = done(update_model(theirs, replace(model, fallbacks=("platform-model", "listed-model"))))
    assert kept.fallbacks == ("platform-model", "listed-model")


def test_a_chain_of_fallbacks_ends_somewhere(work):
    """A tangle of sixty-odd models is a mistake."""
    names: list[str] = []
    for number in range(80):
        made = create_model(work, spec(f"m{number}", [SHARED], fallbacks=tuple(names[-1:])))
        if number == 65:
            assert refused(made) == ("invalid", "fallbacks")
            break
        names.append(done(made).name)


def test_a_deleted_model_is_gone_with_its_grants(work):
    """Once; the second time there is none."""
    done(create_grant(work, "mdl_platform", group="gold"))
    done(delete_model(work, "mdl_platform"))
    assert work.uow.grants.page(Page()) == []
    assert refused(delete_model(work, "mdl_platform")) == ("not_found", "")
    assert facts(work.uow)[-1] == ("model.deleted", "mdl_platform", {"name": "platform-model"})


def test_a_target_at_vertex_says_whose_it_is(work):
    """Or where it would be sent is a guess. One that stood before it had to stays."""
    at = "https://aiplatform.googleapis.com/v1/projects/p/locations/global"
    made = done(create_provider(work, ProviderSpec("vx", "vertex", at)))
    for name in ("claude-sonnet-4-5@20250929", "gemini-2.5-flash", "meta/llama-x"):
        assert done(create_model(work, spec(name.replace("/", "-"), [Target(made.id, name)])))
    wanted = spec("unclear", [Target(made.id, "llama-x")])
    refused_as = create_model(work, wanted)
    assert refused(refused_as) == ("invalid", "targets")
    assert "meta/llama" in refused_as.error.message
    assert done(
        create_model(work, spec("fine", [replace(OWN, model="llama-x")], tenant_id="ten_listed"))
    )
