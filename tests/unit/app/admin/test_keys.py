"""Keys: who makes them, for whom, how wide; and that what is revoked stays revoked."""

from dataclasses import replace

import pytest

from tests.fakes.acting import acting, done, facts, refused, said
from tests.fakes.database import NOW_S
from tests.fakes.people import ANN, BOB, CAT, EVE, READER, ROBOT, VIC, stale, state, turned_away
from tollway.app.admin.commands.accounts import disable_account
from tollway.app.admin.commands.keys import (
    MAX_OVERLAP_S,
    KeySpec,
    create_key,
    ensure_key,
    revoke_key,
    rotate_key,
    update_key,
)
from tollway.app.admin.queries.keys import KeyFilter, list_keys, read_key
from tollway.app.ports_directory import ConflictError, Page
from tollway.app.views import ProjectView
from tollway.domain.account import Role
from tollway.domain.key import split_key

FULL = KeySpec(
    "full",
    env="test",
    account_id="acc_bob",
    project_id="prj_1",
    models=("m1",),
    endpoints=("chat",),
    ip_allow=("10.0.0.0/8", "::1"),
    tags=(("team", "search"),),
    not_before_s=NOW_S + 5,
    expires_s=NOW_S + 1000,
    managed_by="file",
)
SCOPE = ("models", "endpoints", "ip_allow", "tags", "not_before_s", "expires_s")


@pytest.fixture
def work(work):
    """Each tenant has a project, the users and the tenant a key each."""
    for tenant_id, project_id in (("ten_a", "prj_1"), ("ten_b", "prj_2")):
        work.uow.projects.add(ProjectView(project_id, tenant_id, "search"))
    return work


def made(work, name="k", tenant_id="ten_a", **scope):
    """A key that the platform made, without its own record."""
    return done(create_key(work, tenant_id, KeySpec(name, **scope))).view


def stored(work, key):
    return work.uow.keys.get(key.tenant_id, key.id)


def test_a_key_is_what_was_asked_for(work):
    """All of its scope, and the text that exists nowhere else; who made it is known."""
    issued = done(create_key(acting(work, ANN), "ten_a", FULL))
    key = issued.view
    assert issued.text.startswith(f"tw_test_{key.id.removeprefix('key_')}_")
    assert split_key(issued.text)[0] == key.id
    assert (key.prefix, key.last4) == (issued.text.rsplit("_", 2)[0], issued.text[-4:])
    for name in ("name", "env", "account_id", "project_id", "managed_by", *SCOPE):
        assert getattr(key, name) == getattr(FULL, name)
    assert (key.created_by, key.replaces, key.revoked_s) == ("acc_ann", None, None)
    assert (key.created_s, key.version) == (NOW_S, work.uow.version)
    assert work.uow.keys.find("ten_a", "full") == [key]
    ((action, object_id, changes),) = facts(work.uow)
    assert (action, object_id) == ("key.created", key.id)
    assert changes["models"] == ["m1"]
    assert {"name", "env", "account_id", "project_id", *SCOPE} == set(changes)


def test_no_models_is_not_all_models_on_record_either(work):
    """An empty list is the narrowest scope; None, the widest, goes without saying."""
    none = made(work, models=(), endpoints=(), ip_allow=())
    every = made(work)
    assert (none.models, every.models) == ((), None)
    scopes = [{name for name in SCOPE if name in fact[2]} for fact in facts(work.uow)]
    assert scopes == [{"models", "endpoints", "ip_allow"}, set()]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"env": "prod"}, "env"),
        ({"models": ("a b",)}, "models"),
        ({"endpoints": ("Chat!",)}, "endpoints"),
        ({"ip_allow": ("10.0.0.0/99",)}, "ip_allow"),
        ({"ip_allow": ("host",)}, "ip_allow"),
        ({"tags": (("a", "b"), ("a", "c"))}, "tags"),
        ({"tags": (("a", "\n"),)}, "tags"),
        ({"tags": (("a", "é" * 33),)}, "tags"),
        ({"tags": tuple((str(number), "v") for number in range(17))}, "tags"),
        ({"expires_s": NOW_S}, "expires_at"),
        ({"expires_s": NOW_S + 5, "not_before_s": NOW_S + 5}, "expires_at"),
        ({"project_id": "prj_2"}, "project_id"),  # another tenant's
        ({"project_id": "prj_none"}, "project_id"),
        ({"account_id": "acc_eve"}, "account_id"),  # another tenant's
        ({"account_id": "acc_none"}, "account_id"),
    ],
    ids=str,
)
def test_a_key_that_makes_no_sense_is_refused(work, fields, field):
    """The part at fault is named. Another tenant's project or person reads as absent."""
    spec = KeySpec(**{"name": "k", **fields})
    for refusal in (create_key(work, "ten_a", spec), ensure_key(work, "ten_a", spec)):
        assert refused(refusal) == ("invalid", field)
    assert facts(work.uow) == []
    if not fields.keys() & {"env", "account_id"}:  # which a key keeps
        key = made(work)
        assert refused(update_key(work, replace(key, **fields))) == ("invalid", field)
        assert stored(work, key) == key


def test_a_disabled_person_gets_no_keys(work):
    """Also from those who may make keys for others."""
    done(disable_account(work, "acc_bob"))
    spec = KeySpec("k", account_id="acc_bob")
    assert refused(create_key(work, "ten_a", spec)) == ("invalid", "account_id")


def test_who_makes_keys_and_for_whom(work):
    """Administrators for the tenant and for everybody in it, users for themselves alone."""
    service, own, other = (
        KeySpec("k", account_id=account_id) for account_id in (None, "acc_bob", "acc_cat")
    )
    for who in (ANN, ROBOT):
        for spec in (service, own, other):
            done(create_key(acting(work, who), "ten_a", spec))
    done(create_key(acting(work, BOB), "ten_a", own))
    forbidden = dict.fromkeys(("bob", "vic", "reader"), "forbidden")
    for spec in (service, other):
        turned_away(
            work, lambda by, s=spec: create_key(by, "ten_a", s), **forbidden, eve="not_found"
        )
    turned_away(
        work,
        lambda by: ensure_key(by, "ten_a", own),
        vic="forbidden",
        reader="forbidden",
        eve="not_found",
    )
    refusal = create_key(acting(work, BOB), "ten_a", other)
    assert refused(refusal) == ("forbidden", "account_id")
    assert "for yourself only" in said(refusal)


def test_a_key_reaches_no_further_than_its_maker(work):
    """A user whose models are narrowed makes and changes keys for those alone; a key without a
    list is held to the account's at each request. Administrators are not narrowed."""
    for account_id in ("acc_bob", "acc_ann"):
        member = work.uow.members.get("ten_a", account_id)
        work.uow.members.save(replace(member, models=("m1", "m2")))
    bob = acting(work, BOB)
    wide = KeySpec("k", account_id="acc_bob", models=("m1", "m3", "m4"))
    before = state(work.uow)
    refusal = create_key(bob, "ten_a", wide)
    assert refused(refusal) == ("forbidden", "models")
    assert "m3, m4" in said(refusal)
    assert state(work.uow) == before
    key = done(create_key(bob, "ten_a", replace(wide, models=("m2",)))).view
    assert refused(update_key(bob, replace(key, models=wide.models))) == ("forbidden", "models")
    assert done(update_key(bob, replace(key, models=("m1",)))).models == ("m1",)
    assert done(create_key(bob, "ten_a", replace(wide, models=None))).view.models is None
    for who in (ANN, ROBOT):
        assert done(create_key(acting(work, who), "ten_a", wide)).view.models == wide.models


def test_an_existing_key_has_no_text(work):
    """A key is shown once; a revoked one is replaced, an older one of the name is left alone."""
    spec = KeySpec("k", account_id="acc_bob")
    first = done(ensure_key(acting(work, BOB), "ten_a", spec))
    assert first.created
    assert first.value.text
    again = done(ensure_key(work, "ten_a", KeySpec("k")))
    assert (again.created, again.value.text) == (False, None)
    assert again.value.view == first.value.view
    done(revoke_key(work, "ten_a", first.value.view.id))
    assert done(ensure_key(work, "ten_a", KeySpec("k"))).created


def test_a_key_is_changed(work):
    """Name, project and scope. What it is and whose it is stays; no change, no record."""
    key = made(work, account_id="acc_bob")
    scope = {name: getattr(FULL, name) for name in ("name", "project_id", *SCOPE)}
    wanted = replace(
        key, **scope, env="demo", prefix="x", last4="x", account_id="acc_cat", revoked_s=5
    )
    after = done(update_key(acting(work, ANN), wanted))
    assert after == replace(key, **scope, version=work.uow.version)
    recorded = facts(work.uow)
    assert recorded[-1][:2] == ("key.updated", key.id)
    assert recorded[-1][2]["models"] == [None, ["m1"]]
    assert recorded[-1][2].keys() == scope.keys()
    done(update_key(acting(work, BOB), after))
    assert facts(work.uow) == recorded


USES = {
    "update": lambda by, key: update_key(by, replace(key, name="new")),
    "rotate": lambda by, key: rotate_key(by, key.tenant_id, key.id),
    "revoke": lambda by, key: revoke_key(by, key.tenant_id, key.id),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_who_changes_which_key(work, use):
    """Administrators every one, users their own; a viewer sees all and changes none. For a user the
    tenant's and the colleagues' keys are not there, as for others the whole tenant is not."""
    service, own, other = (
        made(work, account_id=account_id) for account_id in (None, "acc_bob", "acc_cat")
    )
    viewed = made(work, account_id="acc_vic")
    away = {"vic": "forbidden", "reader": "forbidden", "eve": "not_found"}
    for key in (service, other):
        turned_away(work, lambda by, k=key: use(by, k), **away, bob="not_found")
    for key in (own, viewed):
        turned_away(work, lambda by, k=key: use(by, k), **away)
    looking = acting(work, replace(BOB, read_only=True))
    told = [refused(use(looking, key))[0] for key in (own, service, other)]
    assert told == ["forbidden", "not_found", "not_found"]
    stolen = replace(own, tenant_id="ten_b")
    turned_away(work, lambda by: use(by, stolen), eve="not_found", root="not_found")
    done(use(acting(work, BOB), own))
    done(use(acting(work, ANN), other))
    done(use(acting(work, ROBOT), service))


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_a_key_changed_meanwhile_is_not_changed_unseen(work, use):
    """`If-Match` must be the version that stands."""
    key = made(work)
    before = state(work.uow)
    assert refused(use(stale(work, key.version), key))[0] == "precondition"
    assert state(work.uow) == before
    done(use(stale(work, key.version + 1), key))


def test_a_revoked_key_stays_revoked(work):
    """The time of the first revocation stands; nothing brings it back or makes a new one of it."""
    key = made(work)
    assert done(revoke_key(acting(work, ANN), "ten_a", key.id)).revoked_s == NOW_S
    assert facts(work.uow)[-1] == ("key.revoked", key.id, {})
    work.uow.keys.save(replace(key, revoked_s=NOW_S - 5))
    before = state(work.uow)
    for result in (
        update_key(work, replace(key, revoked_s=None, name="new")),
        rotate_key(work, "ten_a", key.id),
        rotate_key(work, "ten_a", key.id, overlap_s=60),
    ):
        assert refused(result) == ("conflict", "")
        assert "revoked" in said(result)
    assert done(revoke_key(work, "ten_a", key.id)).revoked_s == NOW_S - 5
    assert state(work.uow) == before


def test_a_rotated_key_opens_no_more(work):
    """Without an overlap it is revoked at once; the new one is like it and says what it replaces,
    by whoever rotated it."""
    old = done(create_key(work, "ten_a", replace(FULL, not_before_s=NOW_S - 5))).view
    issued = done(rotate_key(acting(work, BOB), "ten_a", old.id))
    new = issued.view
    assert (new.replaces, new.created_by) == (old.id, "acc_bob")
    assert new.id != old.id
    assert split_key(issued.text)[0] == new.id
    for name in ("name", "env", "account_id", "project_id", "managed_by", *SCOPE):
        if name != "not_before_s":  # which has passed
            assert getattr(new, name) == getattr(old, name)
    assert stored(work, old) == replace(old, revoked_s=NOW_S, version=work.uow.version)
    rotated = ("key.rotated", old.id, {"replaced_by": new.id, "overlap_s": 0})
    assert facts(work.uow)[-1] == rotated
    assert [key.id for key in work.uow.keys.page("ten_a", Page(), live=True)] == [new.id]


@pytest.mark.parametrize(
    ("expires_s", "overlap_s", "ends_s"),
    [
        (None, 60, NOW_S + 60),
        (None, MAX_OVERLAP_S, NOW_S + MAX_OVERLAP_S),
        (NOW_S + 1000, 60, NOW_S + 60),
        (NOW_S + 30, 60, NOW_S + 30),  # never longer than it would have
    ],
)
def test_a_rotated_key_overlaps_with_the_new_one(work, expires_s, overlap_s, ends_s):
    """It ends by itself; the new one lives as long as the old one would have."""
    old = made(work, expires_s=expires_s)
    new = done(rotate_key(work, "ten_a", old.id, overlap_s=overlap_s)).view
    assert (stored(work, old).expires_s, stored(work, old).revoked_s) == (ends_s, None)
    assert new.expires_s == expires_s


def test_a_rotated_key_begins_no_sooner(work):
    """What could not be used yet cannot be used by rotating it."""
    old = made(work, not_before_s=NOW_S + 60)
    assert done(rotate_key(work, "ten_a", old.id)).view.not_before_s == NOW_S + 60


def test_what_cannot_be_rotated(work):
    """An overlap out of bounds, a key that has expired, one that is not there."""
    key = made(work)
    for overlap_s in (-1, MAX_OVERLAP_S + 1):
        refusal = rotate_key(work, "ten_a", key.id, overlap_s=overlap_s)
        assert refused(refusal) == ("invalid", "overlap_s")
    assert refused(rotate_key(work, "ten_a", "key_none"))[0] == "not_found"
    work.uow.keys.save(replace(key, expires_s=NOW_S))
    refusal = rotate_key(work, "ten_a", key.id)
    assert refused(refusal) == ("conflict", "")
    assert "expired" in said(refusal)


def test_an_id_is_never_given_twice(work):
    """Chance that repeats itself makes no second key of that id, in no tenant."""
    work = replace(work, entropy=bytes)
    key = made(work)
    done(revoke_key(work, "ten_a", key.id))
    with pytest.raises(ConflictError):
        create_key(work, "ten_b", KeySpec("k"))


def test_keys_are_seen_by_whom_they_concern(work):
    """All by administrators and viewers, their own by users: a colleague's is not there."""
    keys = {
        owner: made(work, account_id=owner, project_id=project)
        for owner, project in (("acc_bob", "prj_1"), ("acc_cat", None), (None, None))
    }
    done(revoke_key(work, "ten_a", keys["acc_cat"].id))
    robot_user = replace(ROBOT, roles={"ten_a": Role.USER})

    def seen(who, **only):
        found = list_keys(acting(work, who), "ten_a", at=Page(), only=KeyFilter(**only))
        return {key.account_id for key in done(found)}

    for who in (READER, ANN, VIC, ROBOT):
        assert seen(who) == {"acc_bob", "acc_cat", None}
        assert seen(who, account_id="acc_cat") == seen(who, live=False) == {"acc_cat"}
        assert seen(who, project_id="prj_1") == {"acc_bob"}
    for who, own in ((BOB, {"acc_bob"}), (CAT, {"acc_cat"}), (robot_user, set())):
        assert seen(who) == own
        assert seen(who, account_id="acc_cat") == own & {"acc_cat"}
        for owner, key in keys.items():
            found = read_key(acting(work, who), "ten_a", key.id)
            assert (done(found).account_id if owner in own else refused(found)[0]) == (
                owner if owner in own else "not_found"
            )
    eve = acting(work, EVE)
    assert refused(list_keys(eve, "ten_a", at=Page(), only=KeyFilter()))[0] == "not_found"
    for tenant_id in ("ten_a", "ten_b"):
        assert refused(read_key(eve, tenant_id, keys[None].id))[0] == "not_found"


def test_an_expired_key_may_have_another_name(work):
    """What it says of its end is as it was; another end must still be to come."""
    key = made(work, expires_s=NOW_S + 10)
    work.uow.keys.save(replace(key, expires_s=NOW_S - 10))
    expired = stored(work, key)
    assert done(update_key(work, replace(expired, name="old"))).name == "old"
    earlier = replace(stored(work, key), expires_s=NOW_S - 5)
    assert refused(update_key(work, earlier)) == ("invalid", "expires_at")
