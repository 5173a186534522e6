"""Quotas as rows: one for a counter, found by what they name and by whom they concern, published by
place.
"""

from dataclasses import replace

import pytest
from sqlalchemy import select

from tests.fakes.quotas import quota
from tollway.adapters.sql.snapshot import SqlSnapshotStore
from tollway.adapters.sql.tables import tombstones
from tollway.app.ports_directory import ConflictError, Page, QuotaFilter, QuotaReach
from tollway.app.views import (
    AccountView,
    KeyView,
    ModelView,
    ProjectView,
    ProviderView,
    QuotaView,
    TenantView,
)
from tollway.domain.model import Target
from tollway.domain.provider import ProviderKind
from tollway.domain.quota import Metric, Mode, OnOutage, Precision, Scope
from tollway.domain.snapshot import Kind

FULL = quota(
    2**52,
    "cost",
    "month",
    tenant_id="ten_a",
    id="quo_full",
    scope="project",
    scope_id="prj_1",
    model_id="mdl_1",
    per=Scope.KEY,
    mode=Mode.SHADOW,
    precision=Precision.STRICT,
    on_outage=OnOutage.LOCAL_SHARE,
    raised_to=2**53 - 1,
    raised_until_s=5,
    alert_at=(80, 100),
    name="budget",
)


@pytest.fixture
def ready(configuration):
    with configuration.begin() as uow:
        for name in ("a", "b"):
            uow.tenants.add(TenantView(f"ten_{name}", name, name), b"salt")
        uow.providers.add(ProviderView("prv_1", "echo", ProviderKind.ECHO, ""))
        for number in (1, 2):
            uow.models.add(ModelView(f"mdl_{number}", f"m{number}", (Target("prv_1", "a"),)))
        uow.commit()
    return configuration


@pytest.fixture
def uow(ready):
    with ready.begin() as uow:
        yield uow


def add(uow, *rules):
    for rule in rules:
        uow.quotas.add(QuotaView(rule))


def found(uow, at=None, **given):
    return [view.id for view in uow.quotas.page(at or Page(), **given)]


def rule(name, limit=1, metric="requests", period="day", **changes):
    return quota(limit, metric, period, id=f"quo_{name}", **changes)


def test_a_rule_comes_back_as_it_was_set(uow):
    """Every field of it, and who set it."""
    view = QuotaView(FULL, "tenant", "file")
    uow.quotas.add(view)
    kept = replace(view, created_s=uow.now_s, version=uow.version)
    assert uow.quotas.get("quo_full") == kept
    assert uow.quotas.twin(replace(FULL, id="", limit=1, name="")) == kept
    assert uow.quotas.twin(replace(FULL, per=None)) is None
    changed = replace(kept, quota=replace(FULL, limit=3, alert_at=(), name=""), set_by="platform")
    uow.quotas.save(changed)
    assert uow.quotas.get("quo_full") == replace(changed, version=uow.version)


def test_one_rule_for_one_counter(uow):
    """The database itself keeps out a second."""
    add(uow, rule("1", scope="platform"))
    with pytest.raises(ConflictError):
        add(uow, rule("2", 9, scope="platform"))


def test_lists_narrow_and_continue(uow):
    """By owner, by sort and thing, by metric, by model beside; behind an id."""
    add(
        uow,
        rule("1", scope="platform"),
        rule("2", tenant_id="ten_a", model_id="mdl_1"),
        rule("3", 1, "tokens", tenant_id="ten_b"),
        rule("4", scope="model", scope_id="mdl_1"),
    )
    every = ["quo_1", "quo_2", "quo_3", "quo_4"]
    assert found(uow) == every
    assert found(uow, Page(2, "quo_1")) == every[1:3]
    assert found(uow, reach=QuotaReach([None, "ten_b"])) == ["quo_1", "quo_3", "quo_4"]
    assert found(uow, reach=QuotaReach()) == []
    assert found(uow, only=QuotaFilter(scope=Scope.TENANT)) == every[1:3]
    assert found(uow, only=QuotaFilter(scope_id="mdl_1")) == ["quo_4"]
    assert found(uow, only=QuotaFilter(metric=Metric.TOKENS)) == ["quo_3"]
    assert found(uow, only=QuotaFilter(model_id="mdl_1"), reach=QuotaReach(["ten_b"])) == []
    assert [view.id for view in uow.quotas.naming(Scope.MODEL, "mdl_1")] == ["quo_2", "quo_4"]
    assert uow.quotas.naming(Scope.PROVIDER, "mdl_1") == []
    uow.models.remove("mdl_1")
    assert found(uow) == ["quo_1", "quo_3"]


def test_what_concerns_an_account(uow):
    """The tenant's, its own, its keys' and their projects': in those tenants, and nobody else's."""
    uow.peppers.add(1, b"wrapped")
    for account in ("acc_me", "acc_she"):
        uow.accounts.add(AccountView(account, f"{account}@x.example", account))
    for name, tenant in (("mine", "ten_a"), ("hers", "ten_a"), ("away", "ten_b")):
        account = "acc_she" if name == "hers" else "acc_me"
        uow.projects.add(ProjectView(f"prj_{name}", tenant, name))
        key = KeyView(f"key_{name}", tenant, name, "live", name, "abcd", account_id=account)
        uow.keys.add(replace(key, project_id=f"prj_{name}"), name.encode(), 1)
    for tenant in ("ten_a", "ten_b"):
        place = {"tenant_id": tenant}
        add(uow, rule(f"{tenant}_all", **place))
        add(uow, rule(f"{tenant}_user", scope="end_user", scope_id="acc_me", **place))
        for who in ("me", "she"):
            add(uow, rule(f"{tenant}_{who}", scope="account", scope_id=f"acc_{who}", **place))
    for name, tenant in (("mine", "ten_a"), ("hers", "ten_a"), ("away", "ten_b")):
        add(uow, rule(f"key_{name}", scope="key", scope_id=f"key_{name}", tenant_id=tenant))
        add(uow, rule(f"prj_{name}", scope="project", scope_id=f"prj_{name}", tenant_id=tenant))
    reach = QuotaReach([], ["ten_a"], "acc_me")
    mine = ["quo_key_mine", "quo_prj_mine", "quo_ten_a_all", "quo_ten_a_me"]
    assert found(uow, reach=reach) == mine
    assert found(uow, reach=reach._replace(account_id=None)) == ["quo_ten_a_all"]
    assert len(found(uow, reach=QuotaReach(["ten_b"], ["ten_a"], "acc_me"))) == len(mine) + 6
    assert uow.quotas.get("quo_key_mine", reach=reach) is not None
    assert uow.quotas.get("quo_key_hers", reach=reach) is None
    assert uow.quotas.get("quo_key_away", reach=reach) is None


def test_rules_of_a_deleted_tenant_do_not_exist(uow):
    """Until it is restored."""
    add(uow, rule("1", tenant_id="ten_a"))
    tenant = uow.tenants.get("ten_a")
    uow.tenants.save(replace(tenant, deleted_s=5))
    assert uow.quotas.get("quo_1") is None
    assert found(uow) == []
    uow.tenants.save(tenant)
    assert found(uow) == ["quo_1"]


def test_a_rule_that_is_gone_is_seen_by_publishers(ready, engine):
    """While the place has others, those move; after the last there is a tombstone, and a new rule
    removes it."""
    store = SqlSnapshotStore(engine)
    with ready.begin() as uow:
        add(uow, rule("1", tenant_id="ten_a"), rule("2", 1, "tokens", tenant_id="ten_a"))
        add(uow, rule("3", tenant_id="ten_a", scope="end_user", scope_id="ann"))
        uow.commit()
    since = store.version()
    with ready.begin() as uow:
        uow.quotas.remove("quo_1")
        uow.quotas.remove("quo_3")
        uow.commit()
    changes = store.changes(since, 10)
    assert [(at.place, [one.id for one in at.quotas]) for at in changes.rows.quotas] == [
        ("ten_a", ["quo_2"])
    ]
    assert changes.removed == ((Kind.QUOTA, "ten_a/user:ann"),)
    with ready.begin() as uow:
        add(uow, rule("3", tenant_id="ten_a", scope="end_user", scope_id="ann"))
        uow.commit()
    assert ("quota", "ten_a/user:ann") not in graves(engine)
    assert store.changes(since, 10).removed == ()


def test_a_purged_tenant_leaves_no_rule(ready, engine):
    """Each of its places has a tombstone."""
    with ready.begin() as uow:
        add(uow, rule("1", tenant_id="ten_a"), rule("2", tenant_id="ten_b"))
        uow.commit()
    with ready.begin() as uow:
        uow.tenants.save(replace(uow.tenants.get("ten_a"), deleted_s=5))
        uow.tenants.purge("ten_a")
        assert found(uow) == ["quo_2"]
        uow.commit()
    assert ("quota", "ten_a") in graves(engine)


def graves(engine):
    with engine.connect() as connection:
        return [(row.kind, row.id) for row in connection.execute(select(tombstones))]
