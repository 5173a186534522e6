"""Quotas: who sets which, what is refused, what is recorded, and what a file makes of them."""

import json
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
from tests.fakes.quotas import quota
from tollway.adapters.sql.gateways import SqlGateways
from tollway.app.admin.applying.apply import apply_manifest
from tollway.app.admin.applying.entries import moment
from tollway.app.admin.applying.export import export_manifest
from tollway.app.admin.commands.keys import KeySpec, create_key, rotate_key
from tollway.app.admin.commands.models import delete_model
from tollway.app.admin.commands.projects import delete_project
from tollway.app.admin.commands.providers import delete_provider
from tollway.app.admin.commands.quotas import create_quota, delete_quota, update_quota
from tollway.app.admin.manifest import read_manifest, write_manifest
from tollway.app.admin.queries.quotas import list_quotas, read_quota, read_quota_use
from tollway.app.ports_directory import Page, QuotaFilter
from tollway.app.views import AccountView, MemberView, ProjectView, ProviderView
from tollway.domain.account import Role
from tollway.domain.gateways import GatewayRecord
from tollway.domain.policy import Actor
from tollway.domain.provider import ProviderKind
from tollway.domain.quota import Metric, Mode, Scope
from tollway.domain.result import Ok

ADMIN = actor(ten_listed="tenant_admin")
VIEWER = actor("vera", ten_listed="viewer")
USER = actor("bob", ten_listed="user")
STRANGER = actor("eve", ten_open="tenant_admin")


@pytest.fixture
def engine(tmp_path):
    engine = database.database(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def work(engine):
    with database.configuration(engine).begin() as uow:
        furnish(uow)
        yield work_of(uow, PLATFORM_ADMIN)


def listed(limit=5, metric="requests", period="day", **changes):
    """A rule of the tenant `ten_listed`."""
    return quota(limit, metric, period, tenant_id="ten_listed", **changes)


def test_made_changed_and_taken_away(work):
    """Each step is on record with what changed."""
    made = done(create_quota(work, listed(name="trial")))
    assert made.quota.id.startswith("quo_")
    assert (made.set_by, made.quota.limit) == ("platform", 5)
    raised = replace(made.quota, limit=9, raised_to=20, raised_until_s=work.uow.now_s + 60)
    changed = done(update_quota(work, replace(made, quota=raised)))
    assert changed.quota == raised
    assert done(update_quota(work, changed)).version == changed.version
    done(delete_quota(work, made.id))
    assert refused(read_quota(work, made.id)) == ("not_found", "")
    created, updated, deleted = facts(work.uow)
    assert created[0] == "quota.created"
    assert updated[2]["limit"] == [5, 9]
    assert updated[2]["raised_to"] == [None, 20]
    assert deleted[0] == "quota.deleted"


def test_a_tenants_administrator_limits_the_own_house(work):
    """And nobody else's; without saying whose, the own."""
    mine = acting(work, ADMIN)
    made = done(create_quota(mine, replace(listed(per=Scope.KEY), tenant_id=None)))
    assert (made.quota.tenant_id, made.set_by) == ("ten_listed", "tenant")
    done(update_quota(mine, replace(made, quota=replace(made.quota, limit=1))))
    theirs = replace(listed(), tenant_id="ten_open")
    assert refused(create_quota(mine, theirs)) == ("not_found", "")
    assert refused(create_quota(mine, quota(1, scope="platform"))) == ("forbidden", "")
    assert refused(read_quota(acting(work, STRANGER), made.id)) == ("not_found", "")
    assert refused(delete_quota(acting(work, STRANGER), made.id)) == ("not_found", "")
    done(delete_quota(mine, made.id))


def test_what_the_platform_has_set_is_a_contract(work):
    """The tenant's administrator sees it, and changes nothing; what is theirs alone becomes the
    platform's when its administrators change it."""
    contract = done(create_quota(work, listed(100, "cost", "month")))
    mine = acting(work, ADMIN)
    assert done(read_quota(mine, contract.id)) == contract
    more = replace(contract, quota=replace(contract.quota, limit=10**12))
    assert refused(update_quota(mine, more)) == ("forbidden", "")
    assert refused(delete_quota(mine, contract.id)) == ("forbidden", "")
    own = done(create_quota(mine, listed(7, per=Scope.KEY)))
    done(update_quota(work, replace(own, quota=replace(own.quota, limit=6))))
    assert refused(delete_quota(mine, own.id)) == ("forbidden", "")


def test_the_tenant_as_a_whole_is_the_platforms_to_limit(work):
    """Its parts, each of them, and its use of one model are the tenant's."""
    mine = acting(work, ADMIN)
    assert refused(create_quota(mine, listed())) == ("forbidden", "")
    done(create_quota(mine, listed(model_id="mdl_listed")))
    done(create_quota(mine, listed(per=Scope.END_USER)))
    done(create_quota(mine, listed(scope="end_user", scope_id="ann")))
    done(create_quota(work, listed()))


def test_a_second_rule_on_one_counter_names_the_first(work):
    """Whatever its limit, mode or name: two would contradict each other."""
    first = done(create_quota(work, listed(5)))
    second = create_quota(work, listed(6, name="other", mode=Mode.SHADOW))
    assert refused(second) == ("conflict", "")
    assert first.id in said(second)
    done(create_quota(work, listed(6, period="month")))


def test_a_model_is_named_by_who_sees_it(work):
    """A platform model that is not opened to the tenant is absent for its administrator, as is one
    that never was; a contract may come before the grant."""
    mine = acting(work, ADMIN)
    hidden = create_quota(mine, listed(model_id="mdl_platform"))
    nowhere = create_quota(mine, listed(model_id="mdl_nowhere"))
    assert refused(hidden) == ("invalid", "model_id")
    assert said(hidden) == said(nowhere)
    theirs = create_quota(mine, listed(model_id="mdl_open"))
    assert said(theirs) == said(nowhere)
    done(create_quota(work, listed(model_id="mdl_platform")))


def test_a_temporary_increase_has_an_amount_and_an_end_to_come(work):
    """Half of one, or one that is over, is refused; one that has run out is no obstacle."""
    made = done(create_quota(work, listed()))
    now_s = work.uow.now_s

    def change(**changes):
        view = done(read_quota(work, made.id))
        return update_quota(work, replace(view, quota=replace(view.quota, **changes)))

    assert refused(change(raised_to=9)) == ("invalid", "raised_until")
    assert refused(change(raised_to=9, raised_until_s=now_s)) == ("invalid", "raised_until")
    assert refused(change(raised_until_s=now_s + 9)) == ("invalid", "raised_to")
    assert refused(change(raised_to=5, raised_until_s=now_s + 9)) == ("invalid", "raised_to")
    done(change(raised_to=9, raised_until_s=now_s + 9))
    assert refused(change(limit=10)) == ("invalid", "raised_to")
    past = replace(done(read_quota(work, made.id)).quota, raised_until_s=now_s - 1)
    work.uow.quotas.save(replace(made, quota=past))
    quota_ = done(change(limit=10)).quota
    assert (quota_.limit, quota_.raised_to, quota_.raised_until_s) == (10, None, 0)


def test_a_change_says_what_it_saw(work):
    """An object that was changed meanwhile is not overwritten."""
    made = done(create_quota(work, listed()))
    stale = replace(work, request=replace(work.request, if_match=made.version - 1))
    assert refused(delete_quota(stale, made.id)) == ("precondition", "")
    assert refused(update_quota(stale, made)) == ("precondition", "")


def test_what_is_gone_takes_its_limits_along(work):
    """A project, a provider, a model: each limit that goes is on record."""
    uow = work.uow
    uow.projects.add(ProjectView("prj_1", "ten_listed", "bot"))
    uow.providers.add(ProviderView("prv_x", "x", ProviderKind.ECHO, ""))
    on = [
        done(create_quota(work, listed(scope="project", scope_id="prj_1"))).id,
        done(create_quota(work, quota(1, scope="provider", scope_id="prv_x"))).id,
        done(create_quota(work, listed(model_id="mdl_listed"))).id,
    ]
    kept = done(create_quota(work, listed())).id
    done(delete_project(work, "ten_listed", "prj_1"))
    done(delete_provider(work, "prv_x"))
    done(delete_model(work, "mdl_listed"))
    assert [id_ for fact, id_, _ in facts(uow) if fact == "quota.deleted"] == on
    assert [view.id for view in done(list_quotas(work, Page()))] == [kept]


def test_a_rotated_key_stays_limited(work):
    """The new key has the old one's limits, set by whom they were; the old one keeps its own for as
    long as it opens."""
    issued = done(create_key(work, "ten_listed", KeySpec("bot")))
    limit = {"scope": "key", "scope_id": issued.view.id}
    first = done(create_quota(acting(work, ADMIN), listed(7, **limit)))
    second = done(rotate_key(work, "ten_listed", issued.view.id, overlap_s=60))
    third = done(rotate_key(work, "ten_listed", second.view.id))
    shown = {view.quota.scope_id: view for view in done(list_quotas(work, Page()))}
    assert set(shown) == {issued.view.id, third.view.id}
    copy = shown[third.view.id]
    assert (copy.set_by, copy.quota.limit) == ("tenant", 7)
    assert copy.id != first.id


def test_a_user_sees_what_concerns_them(work):
    """The tenant's, and those on the own account, keys and their projects; everything else is
    absent for them, as are the platform's."""
    uow = work.uow
    uow.accounts.add(AccountView("acc_bob", "bob@x.example", "Bob"))
    uow.accounts.add(AccountView("acc_ann", "ann@x.example", "Ann"))
    for name in ("bob", "ann"):
        person = (f"acc_{name}", f"{name}@x.example", name, Role.USER)
        uow.members.add(MemberView("ten_listed", *person))
        uow.projects.add(ProjectView(f"prj_{name}", "ten_listed", name))
    bobs, anns = (
        done(
            create_key(
                work,
                "ten_listed",
                KeySpec(name, account_id=f"acc_{name}", project_id=f"prj_{name}"),
            )
        ).view.id
        for name in ("bob", "ann")
    )
    own = {
        done(create_quota(work, listed(1, **place))).id
        for place in (
            {"per": Scope.KEY},
            {"scope": "account", "scope_id": "acc_bob"},
            {"scope": "key", "scope_id": bobs},
            {"scope": "project", "scope_id": "prj_bob"},
        )
    }
    others = {
        done(create_quota(work, given)).id
        for given in (
            listed(scope="account", scope_id="acc_ann"),
            listed(scope="key", scope_id=anns),
            listed(scope="project", scope_id="prj_ann"),
            listed(scope="end_user", scope_id="zoe"),
            quota(1, scope="platform"),
            quota(1, tenant_id="ten_open"),
        )
    }
    bob = acting(work, USER)
    assert {view.id for view in done(list_quotas(bob, Page()))} == own
    for id_ in own:
        assert done(read_quota(bob, id_)).id == id_
        assert refused(delete_quota(bob, id_)) == ("forbidden", "")
    for id_ in others:
        assert refused(read_quota(bob, id_)) == ("not_found", "")
        assert refused(delete_quota(bob, id_)) == ("not_found", "")
    machine = Actor("tok_1", "machine", "token", roles={"ten_listed": Role.USER})
    seen = done(list_quotas(acting(work, machine), Page()))
    assert [view.quota.per for view in seen] == [Scope.KEY]
    assert done(read_quota(acting(work, machine), seen[0].id)) == seen[0]
    both = replace(USER, roles={**USER.roles, "ten_open": Role.TENANT_ADMIN})
    assert len(done(list_quotas(acting(work, both), Page()))) == len(own) + 1


def test_lists_are_narrowed(work):
    """By whose, by sort and thing, by metric, by model."""
    on_model = done(create_quota(work, listed(model_id="mdl_listed"))).id
    on_user = done(create_quota(work, listed(2, "tokens", scope="end_user", scope_id="ann"))).id
    platform = done(create_quota(work, quota(1, scope="platform"))).id

    def ids(**given):
        return [view.id for view in done(list_quotas(work, Page(), only=QuotaFilter(**given)))]

    assert ids() == sorted([on_model, on_user, platform])
    assert (
        ids(scope=Scope.END_USER) == ids(scope_id="ann") == ids(metric=Metric.TOKENS) == [on_user]
    )
    assert ids(model_id="mdl_listed") == [on_model]
    assert ids(scope=Scope.TENANT, metric=Metric.TOKENS) == []


def test_who_only_reads(work):
    """Viewers see all of their tenant's; nobody of them writes."""
    made = done(create_quota(work, listed()))
    assert [view.id for view in done(list_quotas(acting(work, VIEWER), Page()))] == [made.id]
    for who in (VIEWER, USER):
        assert refused(create_quota(acting(work, who), listed(1, "tokens"))) == ("forbidden", "")
        assert refused(delete_quota(acting(work, who), made.id)) == ("forbidden", "")
    done(create_quota(work, quota(1, scope="platform")))
    assert len(done(list_quotas(work, Page()))) == 2
    assert len(done(list_quotas(work, Page(), tenant_id="ten_listed"))) == 1
    assert len(done(list_quotas(acting(work, ADMIN), Page()))) == 1


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (listed(-1), "limit"),
        (listed(1, period="none"), "period"),
        (listed(1, scope="project", scope_id="prj_nowhere"), "scope_id"),
        (listed(1, scope="key", scope_id="key_nowhere"), "scope_id"),
        (listed(1, scope="account", scope_id="acc_nowhere"), "scope_id"),
        (listed(1, scope="end_user", scope_id="a\nb"), "scope_id"),
        (listed(1, model_id="mdl_nowhere"), "model_id"),
        (listed(1, model_id="mdl_open"), "model_id"),
        (quota(1, scope="provider", scope_id="prv_nowhere"), "scope_id"),
        (quota(1, scope="model", scope_id="mdl_nowhere"), "scope_id"),
        (quota(1, scope="model", scope_id="mdl_open"), "scope_id"),
        (quota(1, scope="provider", scope_id="prv_open"), "scope_id"),
        (listed(1, raised_to=2, raised_until_s=1), "raised_until"),
        (listed(1, name="x" * 201), "name"),
    ],
)
def test_what_cannot_be(work, given, field):
    """The field is named; nothing is written."""
    assert refused(create_quota(work, given)) == ("invalid", field)
    assert facts(work.uow) == []


def test_limits_need_one_place_to_count(engine):
    """With a gateway of several workers running there can be none."""
    now_s = database.NOW_S
    SqlGateways(engine).beat(GatewayRecord("g", 4, False, now_s, now_s))
    with database.configuration(engine).begin() as uow:
        furnish(uow)
        answer = create_quota(work_of(uow, PLATFORM_ADMIN), listed())
        assert refused(answer) == ("conflict", "")
        assert "4 workers" in answer.error.message


def test_a_model_that_is_gone_takes_its_limits_along(work):
    """Those on it, and those beside it."""
    done(create_quota(work, quota(1, tenant_id="ten_open", model_id="mdl_open")))
    kept = done(create_quota(work, quota(1, tenant_id="ten_open")))
    done(delete_model(work, "mdl_open"))
    assert [view.id for view in done(list_quotas(work, Page()))] == [kept.id]


FILE = {
    "quotas": [
        {
            "tenant": "listed",
            "metric": "cost",
            "period": "month",
            "limit": "250.5",
            "alert_at": [80],
        },
        {
            "tenant": "listed",
            "per": "key",
            "metric": "requests",
            "period": "minute",
            "limit": 600,
            "raised_to": 1200,
            "raised_until": "2099-01-01T00:00:00Z",
        },
        {"tenant": "open", "model": "open-model", "metric": "tokens", "period": "day", "limit": 9},
        {"tenant": "open", "end_user": "ann", "metric": "concurrency", "limit": 2},
        {"model": "platform-model", "metric": "requests", "period": "hour", "limit": 10},
        {"metric": "tokens", "period": "total", "limit": 10, "mode": "shadow"},
    ]
}


def applied(work, content, *, prune=False):
    """What a file changes, in words."""
    manifest = read_manifest(content)
    assert isinstance(manifest, Ok), manifest
    run = done(apply_manifest(work, manifest.value, prune=prune))
    return [(change.verb.value, change.name) for change in run.changes], run.unchanged


def spelled(entry):
    """An entry's fields, in whatever order they were written."""
    return json.dumps(entry, sort_keys=True)


def test_a_file_says_all_of_it_and_twice_changes_nothing(work):
    """What `get` gives back is the file; a changed amount is one change; pruned, they are gone."""
    slugs = {tenant.id: tenant.slug for tenant in work.uow.tenants.page(Page())}
    text = {
        "quotas": [
            {**entry, **({"tenant": slugs[f"ten_{entry['tenant']}"]} if "tenant" in entry else {})}
            for entry in FILE["quotas"]
        ]
    }
    names = {model.id: model.name for model in work.uow.models.page(Page())}
    text["quotas"][2]["model"] = names["mdl_open"]
    text["quotas"][4]["model"] = names["mdl_platform"]
    changes, _ = applied(work, text)
    assert [verb for verb, _ in changes] == ["create"] * 6
    assert applied(work, text) == ([], 6)
    shown = write_manifest(done(export_manifest(work)).manifest, ["quotas"])["quotas"]
    assert sorted(map(spelled, shown)) == sorted(map(spelled, text["quotas"]))
    text["quotas"][0]["limit"] = "300"
    changes, unchanged = applied(work, text)
    assert (len(changes), unchanged) == (1, 5)
    del text["quotas"][1:]
    changes, _ = applied(work, text, prune=True)
    assert [verb for verb, _ in changes].count("delete") >= 5
    assert len(done(list_quotas(work, Page()))) == 1


def shown(work):
    """The quotas of a file that `get` would write, and what it cannot hold."""
    exported = done(export_manifest(work))
    written = write_manifest(exported.manifest, ["quotas"]).get("quotas", ())
    return list(written), exported.missing


def test_a_file_knows_people_projects_and_providers_by_name(work):
    """However an address is written; pruning with the same file takes nothing away."""
    uow = work.uow
    uow.accounts.add(AccountView("acc_bob", "bob@x.example", "Bob"))
    uow.members.add(MemberView("ten_listed", "acc_bob", "bob@x.example", "Bob", Role.USER))
    uow.projects.add(ProjectView("prj_1", "ten_listed", "search"))
    rate = {"metric": "requests", "period": "minute", "limit": 5}
    file = {
        "quotas": [
            {**rate, "tenant": "listed", "account": "Bob@X.example"},
            {**rate, "tenant": "listed", "project": "search", "per": "key"},
            {**rate, "provider": "platform-provider"},
        ]
    }
    named, _ = applied(work, file)
    assert [name for _, name in named] == [
        "listed account bob@x.example: requests per minute",
        "listed project search: requests per minute for each key",
        "platform provider platform-provider: requests per minute",
    ]
    assert applied(work, file, prune=True)[0] == []
    assert len(shown(work)[0]) == 3
    uow.members.remove("ten_listed", "acc_bob")
    back, missing = shown(work)
    assert len(back) == 2
    assert len(missing) == 1
    assert "no name any more" in missing[0]


def test_a_file_means_the_key_that_has_the_name_now(work):
    """Rotated, the new key is limited as the old one; the file stays as it is, and what `get`
    writes is that file."""
    key = done(create_key(work, "ten_listed", KeySpec("bot"))).view
    entry = {"tenant": "listed", "key": "bot", "metric": "requests", "period": "day", "limit": 5}
    file = {"quotas": [entry]}
    assert len(applied(work, file)[0]) == 1
    for overlap_s in (60, 0):
        key = done(rotate_key(work, "ten_listed", key.id, overlap_s=overlap_s)).view
        assert applied(work, file, prune=True) == ([], 1)
    assert shown(work)[0] == [entry]


def test_an_increase_that_is_over_changes_no_file(work):
    """As long as it lasts it is the file's; then it says nothing any more."""
    entry = {"tenant": "listed", "metric": "requests", "period": "day", "limit": 5}
    until = moment(work.uow.now_s + 60).isoformat()
    file = {"quotas": [{**entry, "raised_to": 9, "raised_until": until}]}
    assert len(applied(work, file)[0]) == 1
    assert applied(work, file) == ([], 1)
    assert shown(work)[0][0]["raised_to"] == 9
    view = work.uow.quotas.page(Page())[0]
    past_s = work.uow.now_s - 1
    work.uow.quotas.save(replace(view, quota=replace(view.quota, raised_until_s=past_s)))
    old = {"quotas": [{**entry, "raised_to": 9, "raised_until": moment(past_s).isoformat()}]}
    assert applied(work, old) == ([], 1)
    assert applied(work, {"quotas": [entry]}) == ([], 1)
    assert shown(work)[0] == [entry]


def test_a_file_takes_over_what_was_made_by_hand(work):
    """It is the file's and the platform's from then on; what no file made is not pruned."""
    mine = acting(work, ADMIN)
    own = done(create_quota(mine, listed(5, per=Scope.KEY)))
    other = done(create_quota(mine, listed(5, "tokens", per=Scope.KEY)))
    entry = {"tenant": "listed", "per": "key", "metric": "requests", "period": "day", "limit": 5}
    assert [verb for verb, _ in applied(work, {"quotas": [entry]})[0]] == ["adopt"]
    taken = done(read_quota(work, own.id))
    assert (taken.managed_by, taken.set_by) == ("file", "platform")
    assert refused(delete_quota(mine, own.id)) == ("forbidden", "")
    assert [verb for verb, _ in applied(work, {}, prune=True)[0]] == ["delete"]
    assert [view.id for view in done(list_quotas(work, Page()))] == [other.id]


_RATE = {"tenant": "listed", "metric": "requests", "period": "day", "limit": 5}


@pytest.mark.parametrize(
    "entry",
    [
        {"metric": "cost", "period": "day", "limit": 5},
        {"metric": "cost", "period": "day", "limit": "much"},
        {"metric": "tokens", "period": "day", "limit": "5"},
        {"metric": "tokens", "period": "day", "limit": 5, "project": "x"},
        {"metric": "tokens", "period": "day", "limit": 5, "project": "x", "key": "y"},
        {"metric": "tokens", "period": "day", "limit": 5, "model": "nowhere"},
        {"metric": "tokens", "period": "day", "limit": 5, "provider": "nowhere"},
        {"metric": "tokens", "period": "day", "limit": 5, "provider": "open-provider"},
        {**_RATE, "key": "nowhere"},
        {**_RATE, "account": "nobody@x.example"},
        {**_RATE, "raised_to": 9},
        {**_RATE, "raised_until": "2099-01-01T00:00:00Z"},
    ],
)
def test_an_entry_that_cannot_be(work, entry):
    """The run stops, and says where."""
    manifest = read_manifest({"quotas": [entry]})
    assert isinstance(manifest, Ok)
    answer = apply_manifest(work, manifest.value, prune=False)
    assert refused(answer)[0] == "invalid"
    assert answer.error.message.startswith("quotas[0]")


def test_who_may_see_how_a_limit_stands(work):
    """Administrators and viewers of its tenant. Users have `/v1/me/usage`, strangers nothing."""

    def seen(who, quota_id, member="key_1"):
        return read_quota_use(acting(work, who), quota_id, member=member, at_s=0)

    made = done(create_quota(work, listed(per=Scope.KEY)))
    for who in (ADMIN, VIEWER):
        ref = done(seen(who, made.id))
        assert (ref.quota, ref.member) == (made.quota, "key_1")
    assert refused(seen(USER, made.id))[0] == "forbidden"
    assert refused(seen(STRANGER, made.id))[0] == "not_found"
    platforms = done(create_quota(work, quota(1, scope="platform", per=Scope.TENANT)))
    assert done(seen(PLATFORM_ADMIN, platforms.id, "ten_open")).member == "ten_open"
    assert refused(seen(ADMIN, platforms.id))[0] == "not_found"
