"""Configuration as code: what a file creates, changes, takes away and leaves; and back again."""

from copy import deepcopy
from dataclasses import replace

import pytest

from tests.fakes.acting import PLATFORM_ADMIN, actor, done, facts, furnish, refused, said, work_of
from tests.fakes.database import configuration, database
from tollway.app.admin.applying.apply import apply_manifest
from tollway.app.admin.applying.export import export_manifest
from tollway.app.admin.commands.credentials import Secret, add_credential
from tollway.app.admin.commands.keys import KeySpec, create_key, rotate_key
from tollway.app.admin.commands.prices import PriceSpec, create_price
from tollway.app.admin.commands.projects import create_project
from tollway.app.admin.commands.tenants import TenantSpec, create_tenant, update_tenant
from tollway.app.admin.manifest import read_manifest, write_manifest
from tollway.app.ports_directory import Page
from tollway.domain.policy import Actor
from tollway.domain.result import Ok

FULL = {
    "tenants": [
        {
            "slug": "acme",
            "name": "Acme",
            "timezone": "Europe/Berlin",
            "models": "listed",
            "group": "gold",
            "retention_days": 30,
            "weight": 2.0,
            "allowed_residency": ["eu"],
            "default_model": "small",
            "content_logging": True,
            "cache": {"ttl_s": 60},
        },
        {"slug": "beta", "active": False},
    ],
    "accounts": [
        {
            "email": "ann@acme.test",
            "name": "Ann",
            "members": [
                {"tenant": "acme", "role": "tenant_admin"},
                {"tenant": "beta", "role": "user", "models": ["small"]},
            ],
        },
        {"email": "root@example.test", "platform_admin": True},
        {"email": "gone@example.test", "active": False},
    ],
    "projects": [{"tenant": "acme", "name": "chatbot", "models": ["small"]}],
    "providers": [
        {
            "name": "cloud",
            "kind": "openai_compatible",
            "base_url": "https://cloud.example/v1",
            "residency": "eu",
            "connect_timeout_s": 2.5,
            "requests_per_minute": 600,
            "translate_responses": True,
            "credentials": [
                {"reference": "env:CLOUD_KEY", "weight": 2},
                {"reference": "file:/run/cloud.key"},
            ],
        },
        {"name": "echo", "kind": "echo"},
        {"name": "cloud", "tenant": "acme", "kind": "echo", "enabled": False},
    ],
    "models": [
        # Falls back on one that comes later, and is listed first.
        {
            "name": "large",
            "targets": [{"provider": "cloud", "model": "big", "priority": 1}],
            "fallbacks": ["small"],
            "max_output_tokens": 100,
            "cache_affinity": True,
        },
        {
            "name": "small",
            "strategy": "weighted",
            "targets": [
                {"provider": "echo", "model": "e", "weight": 3},
                {"provider": "cloud", "model": "tiny"},
            ],
        },
        {
            "name": "mixed",
            "tenant": "acme",
            "targets": [
                {"provider": "cloud", "model": "own"},
                {"provider": "cloud", "model": "theirs", "platform": True},
            ],
            "fallbacks": ["small"],
        },
    ],
    "grants": [{"model": "small", "group": "gold"}, {"model": "large", "tenant": "beta"}],
    "prices": [
        {"model": "big", "provider": "cloud", "rates": {"input": "1", "output": "2.5"}},
        {
            "model": "tiny",
            "tenant": "acme",
            "provider_kind": "openai",
            "effective_from": "2999-01-01T00:00:00Z",
            "rates": {"input": "0.5", "output": "1"},
        },
    ],
    "keys": [
        {
            "name": "bot",
            "tenant": "acme",
            "project": "chatbot",
            "account": "Ann@acme.test",
            "env": "test",
            "expires_at": "2999-01-31T12:00:00.250000Z",
            "models": ["small"],
            "endpoints": ["chat.completions"],
            "ip_allow": ["10.0.0.0/8"],
            "tags": {"team": "search"},
        },
        {"name": "service", "tenant": "beta"},
    ],
}


@pytest.fixture
def engine(tmp_path):
    engine = database(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def uow(engine):
    with configuration(engine).begin() as uow:
        yield uow


@pytest.fixture
def work(uow):
    return work_of(uow, PLATFORM_ADMIN)


def manifest(content):
    read = read_manifest(content)
    assert isinstance(read, Ok), read
    return read.value


def applied(work, content, *, prune=False):
    return done(apply_manifest(work, manifest(content), prune=prune))


def lines(found):
    return [(change.verb.value, change.kind, change.name) for change in found.changes]


def written(work):
    return write_manifest(done(export_manifest(work)).manifest)


def changed(section, index, **fields):
    content = deepcopy(FULL)
    content[section][index].update(fields)
    return content


def test_all_a_file_can_say_is_made_once(work):
    """The second time nothing changes, and nothing is written, not even the version."""
    first = applied(work, FULL)
    assert {verb for verb, _, _ in lines(first)} == {"create"}
    assert len(first.changes) == sum(map(len, FULL.values())) + 2  # the memberships
    assert [(key.tenant, key.name) for key in first.keys] == [("acme", "bot"), ("beta", "service")]
    assert all(key.text.startswith("tw_") for key in first.keys)
    rows = facts(work.uow)
    again = applied(work, FULL, prune=True)
    assert (again.changes, again.keys, again.kept) == ((), (), ())
    assert again.unchanged == len(first.changes)
    assert facts(work.uow) == rows


def test_what_is_there_is_given_back_in_the_same_form(work, tmp_path):
    """On an empty database it makes the same again; on its own, nothing."""
    applied(work, FULL)
    form = written(work)
    assert applied(work, form, prune=True).changes == ()
    (tmp_path / "other").mkdir()
    other = database(tmp_path / "other")
    with configuration(other).begin() as empty:
        fresh = work_of(empty, PLATFORM_ADMIN)
        applied(fresh, form)
        assert written(fresh) == form
    other.dispose()
    mixed = next(model for model in form["models"] if model["name"] == "mixed")
    assert [target.get("platform", False) for target in mixed["targets"]] == [False, True]


@pytest.mark.parametrize(
    ("section", "index", "fields", "line", "differs"),
    [
        ("tenants", 0, {"timezone": "UTC", "group": None}, "acme", {"timezone", "group"}),
        ("tenants", 1, {"active": True}, "beta", {"active"}),
        (
            "tenants",
            0,
            {"weight": 1.0, "allowed_residency": None},
            "acme",
            {"weight", "allowed_residency"},
        ),
        ("tenants", 0, {"default_model": None}, "acme", {"default_model"}),
        ("providers", 0, {"requests_per_minute": 60}, "cloud", {"requests_per_minute"}),
        ("tenants", 0, {"name": "Other"}, "acme", {"name"}),
        ("accounts", 0, {"name": "Anna"}, "ann@acme.test", {"name"}),
        ("accounts", 0, {"platform_admin": True}, "ann@acme.test", {"platform_admin"}),
        ("accounts", 2, {"active": True}, "gone@example.test", {"active"}),
        ("projects", 0, {"models": None}, "acme/chatbot", {"models"}),
        ("providers", 0, {"residency": None, "enabled": False}, "cloud", {"residency", "enabled"}),
        ("providers", 0, {"credentials": []}, "cloud", {"credentials"}),
        (
            "providers",
            0,
            {"credentials": [{"reference": "env:CLOUD_KEY"}, {"reference": "env:MORE"}]},
            "cloud",
            {"credentials"},
        ),
        ("providers", 0, {"base_url": "https://else.example/v1"}, "cloud", {"base_url"}),
        ("models", 0, {"fallbacks": []}, "large", {"fallbacks"}),
        ("models", 1, {"enabled": False, "strategy": "priority"}, "small", {"enabled", "strategy"}),
        (
            "models",
            0,
            {"targets": [{"provider": "echo", "model": "big"}], "max_output_tokens": None},
            "large",
            {"targets", "max_output_tokens"},
        ),
        ("prices", 1, {"rates": {"input": "9"}}, None, {"rates"}),
        ("keys", 0, {"models": None, "tags": {}}, "acme/bot", {"models", "tags"}),
        ("keys", 0, {"expires_at": "2999-02-01T00:00:00Z"}, "acme/bot", {"expires_at"}),
        ("keys", 0, {"project": None}, "acme/bot", {"project"}),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_what_differs_is_changed(work, section, index, fields, line, differs):
    """Just that object, just those fields; afterwards it is as the file says."""
    applied(work, FULL)
    content = changed(section, index, **fields)
    (change,) = applied(work, content).changes
    assert (change.verb, set(change.fields)) == ("update", differs)
    assert line is None or change.name == line
    assert applied(work, content, prune=True).changes == ()


def test_two_models_may_turn_their_fallbacks_round(work):
    """No order of the two would do by itself."""
    first = {
        "providers": [{"name": "echo", "kind": "echo"}],
        "models": [
            {"name": "a", "targets": [{"provider": "echo", "model": "e"}], "fallbacks": ["b"]},
            {"name": "b", "targets": [{"provider": "echo", "model": "e"}]},
        ],
    }
    applied(work, first)
    second = deepcopy(first)
    second["models"][0]["fallbacks"], second["models"][1]["fallbacks"] = [], ["a"]
    assert len(applied(work, second).changes) == 2
    assert work.uow.models.find(None, "b").fallbacks == ("a",)
    assert applied(work, second).changes == ()


def test_what_was_made_by_hand_is_adopted(work):
    """The plan says so; from then on it is the file's."""
    tenant = done(create_tenant(work, TenantSpec("acme", "By hand")))
    done(create_project(work, tenant.id, name="chatbot"))
    done(create_key(work, tenant.id, KeySpec("bot")))
    content = {
        "tenants": [{"slug": "acme"}],
        "projects": [{"tenant": "acme", "name": "chatbot"}],
        "keys": [{"tenant": "acme", "name": "bot"}],
    }
    found = applied(work, content)
    assert [change.verb.value for change in found.changes] == ["adopt"] * 3
    assert dict(found.changes[0].fields) == {"name": ("By hand", "acme")}
    assert work.uow.tenants.find("acme").managed_by == "file"
    assert work.uow.keys.find(tenant.id, "bot")[0].managed_by == "file"
    assert applied(work, content).changes == ()


def test_what_was_changed_by_hand_is_put_back(work):
    """It stays the file's meanwhile, and says so."""
    applied(work, FULL)
    tenant = work.uow.tenants.find("acme")
    after = done(update_tenant(work, replace(tenant, name="Other")))
    assert after.managed_by == "file"
    (change,) = applied(work, FULL).changes
    assert dict(change.fields) == {"name": ("Other", "Acme")}


def test_pruning_takes_what_the_file_made_and_no_more(work):
    """Without it nothing is taken. What was made by hand stays, and so does what is in use."""
    applied(work, FULL)
    tenant = work.uow.tenants.find("acme")
    done(create_key(work, tenant.id, KeySpec("by hand")))
    content = deepcopy(FULL)
    content["tenants"].pop()  # beta
    content["accounts"][0]["members"] = []
    del content["accounts"][1:]
    content["projects"] = []
    content["models"] = [content["models"][1]]
    content["models"][0]["targets"].pop()
    content["providers"] = [content["providers"][1]]
    content["grants"] = []
    content["prices"] = []
    content["keys"] = []
    assert "disable" not in {verb for verb, _, _ in lines(applied(work, content))}
    found = applied(work, content, prune=True)
    assert lines(found) == [
        ("delete", "tenant", "beta"),
        ("revoke", "key", "acme/bot"),
        ("remove", "member", "ann@acme.test in acme"),
        ("delete", "grant", "small to group gold"),
        ("delete", "price", "tiny"),
        *[line for line in lines(found) if line[1] in ("model", "provider")],
    ]
    assert {line[2] for line in lines(found) if line[1] == "model"} == {"large", "acme/mixed"}
    assert {line[2] for line in lines(found) if line[1] == "provider"} == {"cloud", "acme/cloud"}
    assert [kept.split(":")[0] for kept in found.kept] == [
        "project acme/chatbot",  # has a key
        "account root@example.test",  # the last administrator
    ]
    assert work.uow.tenants.find("beta").deleted_s is not None
    assert [key.name for key in work.uow.keys.page(tenant.id, Page(), live=True)] == ["by hand"]
    (price,) = work.uow.prices.page(Page())
    assert price.model == "big"  # in force: requests may have been billed by it
    again = applied(work, content, prune=True)
    assert (again.changes, len(again.kept)) == ((), 2)


def test_a_deleted_tenant_is_not_made_again(work):
    """It can be restored, so its slug is taken."""
    applied(work, {"tenants": [{"slug": "acme"}]})
    applied(work, {}, prune=True)
    result = apply_manifest(work, manifest({"tenants": [{"slug": "acme"}]}), prune=False)
    assert refused(result) == ("conflict", "tenants[0] (acme): slug")
    assert "deleted" in said(result)


@pytest.mark.parametrize(
    ("content", "place", "words"),
    [
        ({"tenants": [{"slug": "A b"}]}, "tenants[0] (A b): slug", "hyphens"),
        ({"keys": [{"name": "k", "tenant": "no"}]}, "keys[0] (no/k): tenant", "no tenant 'no'"),
        (
            changed("models", 1, targets=[{"provider": "none", "model": "x"}]),
            "models[1] (small): provider",
            "no provider 'none'",
        ),
        (changed("models", 0, fallbacks=["none"]), "models[0] (large): fallbacks", "'none'"),
        (changed("keys", 0, project="none"), "keys[0] (acme/bot): project", "no project 'none'"),
        (changed("keys", 0, account="no@x.y"), "keys[0] (acme/bot): account", "no account"),
        (changed("grants", 0, model="none"), "grants[0] (none to group gold): model", "no model"),
        (changed("grants", 0, tenant="acme"), "grants[0] (small to group gold): tenant_id", "one"),
        (
            changed("providers", 0, credentials=[{"reference": "sk-12345678"}]),
            "providers[0] (cloud): reference",
            "not the secret",
        ),
        (changed("prices", 0, rates={"input": 0.5}), None, "in quotes"),
        (changed("keys", 0, expires_at="2001-01-01T00:00:00Z"), None, "expired"),
    ],
)
def test_what_cannot_be_names_its_entry(work, content, place, words):
    """The first thing that is wrong; a secret is not repeated."""
    result = apply_manifest(work, manifest(content), prune=False)
    kind, field = refused(result)
    assert kind == "invalid"
    assert place is None or field == place
    assert words in said(result)
    assert said(result).startswith(field)
    assert "sk-12345678" not in said(result)


@pytest.mark.parametrize(
    ("section", "index", "fields", "field"),
    [
        ("providers", 1, {"kind": "openai_compatible", "base_url": "https://x.y/v1"}, "kind"),
        ("keys", 0, {"env": "live"}, "env"),
        ("keys", 0, {"account": None}, "account"),
    ],
)
def test_what_never_changes_is_said(work, section, index, fields, field):
    """Such a change needs another name."""
    applied(work, FULL)
    result = apply_manifest(work, manifest(changed(section, index, **fields)), prune=False)
    assert refused(result)[1].endswith(f": {field}")
    assert "never changes" in said(result)


def test_a_rotated_key_is_the_file_s_too(work):
    """The newer of the two is compared; pruning revokes both."""
    content = {"tenants": [{"slug": "a"}], "keys": [{"name": "k", "tenant": "a"}]}
    applied(work, content)
    tenant = work.uow.tenants.find("a")
    (old,) = work.uow.keys.find(tenant.id, "k")
    done(rotate_key(work, tenant.id, old.id, overlap_s=60))
    assert applied(work, content, prune=True).changes == ()
    gone = applied(work, {"tenants": [{"slug": "a"}]}, prune=True)
    assert lines(gone) == [("revoke", "key", "a/k")] * 2


def test_what_no_file_can_hold_is_said(work):
    """Sealed secrets; and they are left alone by a file that does not name them."""
    furnish(work.uow)
    done(add_credential(work, "prv_platform", Secret("sk-sealed")))
    exported = done(export_manifest(work))
    assert exported.missing == ("provider platform-provider: 1 sealed credential(s)",)
    form = write_manifest(exported.manifest)
    assert "sealed" not in str(form["providers"])
    applied(work, form)
    assert work.uow.providers.get("prv_platform").credentials[0].sealed


def test_seeded_prices_are_no_part_of_it(work):
    """They come with the program. One that was agreed by hand is."""
    done(create_price(work, PriceSpec("m", {"input": "1"}, 0, source="seed")))
    done(create_price(work, PriceSpec("m", {"input": "2"}, 0)))
    assert [price["rates"]["input"] for price in written(work)["prices"]] == ["2"]
    assert applied(work, written(work), prune=True).changes == ()


def test_only_the_platforms_administrators_apply_and_export(work, uow):
    """Nobody else, whatever the file says; nor a token that only reads."""
    furnish(uow)
    for who in (
        actor(ten_open="tenant_admin"),
        Actor("tok", "t", "token", platform_admin=True, read_only=True),
    ):
        other = work_of(uow, who)
        assert refused(apply_manifest(other, manifest({}), prune=True))[0] == "forbidden"
    assert refused(export_manifest(work_of(uow, actor(ten_open="tenant_admin"))))[0] == "forbidden"


def test_the_audit_has_each_object_and_the_run(work):
    """Who applied what: one row for each thing, one for the file."""
    applied(work, {"tenants": [{"slug": "acme"}]})
    assert [fact[0] for fact in facts(work.uow)] == ["tenant.created", "file.applied"]
    assert facts(work.uow)[-1][2] == {"create": 1}
