"""The audit: who reads which part of it, and that a change to it shows."""

from dataclasses import replace

import pytest
from sqlalchemy import delete, update

from tests.fakes import database
from tests.fakes.acting import acting, done, refused, work_of
from tests.fakes.database import NOW_S
from tests.fakes.people import ANN, BOB, BOOTSTRAP, EVE, READER, ROBOT, ROOT, VIC
from tollway.adapters.sql.engine import writing
from tollway.adapters.sql.tables import audit_log
from tollway.app.admin.commands.accounts import AccountSpec, create_account
from tollway.app.admin.commands.projects import create_project
from tollway.app.admin.commands.tenants import delete_tenant
from tollway.app.admin.queries.audit import KeptHead, Verified, list_audit, verify_audit
from tollway.app.ports_records import AuditFilter
from tollway.domain.account import Role
from tollway.domain.audit import head_mac


@pytest.fixture
def work(work):
    """An act of each tenant's administrator, and one of the platform's."""
    for who, tenant_id in ((ANN, "ten_a"), (EVE, "ten_b")):
        done(create_project(acting(work, who), tenant_id, name="p"))
    done(create_account(work, AccountSpec("new@example.org")))
    return work


def seen(work, who, tenant_id=None, *, limit=9, before=None, **only):
    found = list_audit(
        acting(work, who), AuditFilter(**only), tenant_id=tenant_id, limit=limit, before=before
    )
    return [row.tenant_id for row in done(found)]


def test_the_audit_is_read_by_administrators(work):
    """All by the platform's, a tenant's by its own; filters do not widen that."""
    for who in (ROOT, BOOTSTRAP, READER):
        assert seen(work, who) == [None, "ten_b", "ten_a"]
        assert seen(work, who, "ten_a") == ["ten_a"]
    for who in (ANN, ROBOT):
        assert seen(work, who) == seen(work, who, "ten_a") == ["ten_a"]
        assert seen(work, who, tenants=None) == seen(work, who, tenants=("ten_b",)) == ["ten_a"]
        assert seen(work, who, action="account.created") == []
    both = replace(ANN, roles={"ten_a": Role.TENANT_ADMIN, "ten_b": Role.TENANT_ADMIN})
    assert seen(work, both) == ["ten_b", "ten_a"]
    assert seen(work, replace(both, roles={**both.roles, "ten_b": Role.VIEWER})) == ["ten_a"]
    assert seen(work, ROOT, limit=1, before=3) == ["ten_b"]


@pytest.mark.parametrize("who", [BOB, VIC, replace(BOB, roles={})], ids=["bob", "vic", "nobody"])
def test_nobody_else_reads_it(work, who):
    """Not with a tenant and not without; another's tenant is not there."""

    def told(by, tenant_id):
        only = AuditFilter()
        return refused(
            list_audit(acting(work, by), only, tenant_id=tenant_id, limit=9, before=None)
        )

    assert told(who, None)[0] == "forbidden"
    assert told(who, "ten_a")[0] == ("forbidden" if who.roles else "not_found")
    assert told(ANN, "ten_b")[0] == told(ROOT, "ten_x")[0] == "not_found"
    done(delete_tenant(work, "ten_a"))
    assert told(ANN, "ten_a")[0] == "not_found"


def test_an_act_is_on_record_with_who_did_it_and_from_where(work):
    """In the same transaction: what is undone leaves no trace either."""
    found = list_audit(work, AuditFilter(), tenant_id="ten_a", limit=9, before=None)
    (row,) = done(found)
    assert (row.action, row.actor_id, row.actor_name, row.via) == (
        "project.created",
        "acc_ann",
        "ann",
        "session",
    )
    assert (row.at_s, row.request_id, row.address) == (NOW_S, "req_test", "127.0.0.1")


SECRET = b"secret"


@pytest.fixture
def written(work, engine):
    """The three rows, committed, and the head that was kept of them."""
    head = verify_audit(work.uow)
    assert head == Verified(3, work.uow.audit.head()[1], None)
    work.uow.commit()
    return KeptHead(3, head_mac(SECRET, 3, head.head), SECRET)


def verified(engine, kept=None):
    with database.configuration(engine).read() as uow:
        return verify_audit(uow, kept)


@pytest.mark.parametrize(
    ("tampering", "bad", "bad_with_head"),
    [
        (None, None, None),
        (update(audit_log).where(audit_log.c.seq == 2).values(actor_id="acc_other"), 2, 2),
        (update(audit_log).where(audit_log.c.seq == 2).values(tenant_id=None), 2, 2),
        (delete(audit_log).where(audit_log.c.seq == 1), 1, 1),
        (delete(audit_log).where(audit_log.c.seq == 3), None, 3),
        (delete(audit_log), None, 1),
    ],
    ids=["nothing", "changed", "unowned", "first", "last", "all"],
)
def test_the_first_bad_row_is_named(written, engine, tampering, bad, bad_with_head):
    """By the chain; that its tail was cut, by the head that was kept elsewhere."""
    if tampering is not None:
        with writing(engine) as connection:
            connection.execute(tampering)
    assert verified(engine).bad == bad
    assert verified(engine, written).bad == bad_with_head


def test_a_head_that_does_not_fit_shows(written, engine):
    """One of another secret; one that is of an older row fits as long as that stands."""
    assert verified(engine, replace(written, secret=b"other")).bad == 3
    with database.configuration(engine).begin() as uow:
        done(create_project(work_of(uow, ROOT), "ten_a", name="more"))
        uow.commit()
    assert verified(engine, written) == Verified(4, verified(engine).head, None)
    assert verified(engine, replace(written, seq=9)).bad == 5
