"""What is over is cleared away; a deleted tenant is purged when nobody can restore it any more."""

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from tests.fakes.clock import FixedClock
from tests.fakes.database import NOW_S, database
from tollway.adapters.sql.directory import SqlConfiguration
from tollway.adapters.sql.engine import reading
from tollway.adapters.sql.tables import (
    api_keys,
    grants,
    memberships,
    models,
    projects,
    providers,
)
from tollway.app.admin.commands.tenants import RESTORABLE_S
from tollway.app.jobs.tidy import tidy
from tollway.app.ports_records import AuditFilter, StoredReply
from tollway.app.views import (
    AccountView,
    CredentialView,
    GrantView,
    KeyView,
    MemberView,
    ModelView,
    ProjectView,
    ProviderView,
    SessionView,
    TenantView,
)
from tollway.domain.account import Role
from tollway.domain.model import Target
from tollway.domain.provider import ProviderKind


@pytest.fixture
def engine(tmp_path):
    engine = database(tmp_path)
    yield engine
    engine.dispose()


def at(engine, seconds):
    return SqlConfiguration(engine, FixedClock(seconds * 1_000_000_000))


def fill(uow, name):
    """A tenant with one of everything."""
    owner = f"ten_{name}"
    tenant = TenantView(owner, name, name.title())
    uow.tenants.add(tenant, b"salt")
    uow.members.add(MemberView(owner, "acc_1", "", "", Role.USER))
    uow.projects.add(ProjectView(f"prj_{name}", owner, "bot"))
    key = KeyView(
        f"key_{name}", owner, "k", "live", "tw_", "abcd", f"prj_{name}", account_id="acc_1"
    )
    uow.keys.add(key, b"digest", 1)
    provider = ProviderView(f"prv_{name}", "own", ProviderKind.ECHO, "", tenant_id=owner)
    uow.providers.add(provider)
    uow.providers.add_credential(
        CredentialView(f"crd_{name}", provider.id, sealed=True), b"envelope"
    )
    uow.models.add(ModelView(f"mdl_{name}", "m", (Target(provider.id, "m"),), tenant_id=owner))
    uow.grants.add(GrantView("mdl_platform", owner))
    return tenant


@pytest.fixture
def deleted(engine):
    with at(engine, NOW_S).begin() as uow:
        uow.peppers.add(1, b"wrapped")
        uow.accounts.add(AccountView("acc_1", "ann@example.org", "Ann"))
        uow.providers.add(ProviderView("prv_platform", "p", ProviderKind.ECHO, ""))
        target = Target("prv_platform", "m")
        uow.models.add(ModelView("mdl_platform", "shared", (target,)))
        gone = fill(uow, "gone")
        fill(uow, "stays")
        uow.tenants.save(replace(gone, deleted_s=NOW_S))
        uow.commit()


def held(engine, name):
    """What rows there are of a tenant, whoever may see them."""
    owned = (memberships, projects, api_keys, providers, models, grants)
    with reading(engine) as connection:
        return [
            connection.execute(
                select(func.count()).select_from(table).where(table.c.tenant_id == f"ten_{name}")
            ).scalar()
            for table in owned
        ]


def test_a_tenant_is_kept_while_it_can_be_restored(engine, deleted):
    """Not a second too early."""
    later = at(engine, NOW_S + RESTORABLE_S)
    assert tidy(later).tenants == 0
    assert held(engine, "gone") == [1] * 6


def test_a_purged_tenant_leaves_its_id_and_the_audit(engine, deleted):
    """Nothing else of it, and nothing of another tenant goes with it."""
    later = at(engine, NOW_S + RESTORABLE_S + 1)
    assert tidy(later).tenants == 1
    assert tidy(later).tenants == 0
    assert held(engine, "gone") == [0] * 6
    assert held(engine, "stays") == [1] * 6
    with later.begin() as uow:
        assert uow.tenants.find("gone") is None
        assert uow.tenants.get("ten_gone").deleted_s == NOW_S
        assert uow.accounts.get("acc_1") is not None
        (fact,) = uow.audit.page(AuditFilter(), limit=10, before=None)
        assert (fact.action, fact.object_id) == ("tenant.purged", "ten_gone")
        uow.tenants.add(TenantView("ten_new", "gone", "Again"), b"salt")


def test_sessions_and_answers_are_over(engine):
    """Those whose time has come, and no others."""
    with at(engine, NOW_S).begin() as uow:
        uow.accounts.add(AccountView("acc_1", "ann@example.org", "Ann"))
        for number, ends in enumerate((NOW_S + 10, NOW_S + 100_000)):
            session = SessionView(bytes([number]), "acc_1", NOW_S, NOW_S, ends)
            uow.sessions.add(session)
        uow.replies.add("acc_1", "k", StoredReply(b"", 201, None, b""))
        uow.commit()
    assert tidy(at(engine, NOW_S + 10))[:2] == (1, 0)
    assert tidy(at(engine, NOW_S + 86_401))[:2] == (0, 1)
    with at(engine, NOW_S).read() as uow:
        assert [one.digest for one in uow.sessions.of_account("acc_1")] == [b"\x01"]
