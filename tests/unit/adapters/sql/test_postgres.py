"""What only PostgreSQL has: migrations shared by many, timeouts, row-level security, news."""

import random
import threading
import time
from contextlib import contextmanager, suppress

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import make_url, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from tests.fakes.database import NOW_S, configuration
from tests.fakes.postgres import postgres_database, server
from tests.fakes.quotas import quota
from tests.fakes.stores import store
from tollway.adapters.sql.alerts import SqlAlerts
from tollway.adapters.sql.announce import VersionListener
from tollway.adapters.sql.engine import SqlOptions, open_engine, reading, writing
from tollway.adapters.sql.migrate import check, upgrade
from tollway.adapters.sql.tables import metadata
from tollway.adapters.sql.tenancy import APP, RULES, SYSTEM, enter_scope, role_findings
from tollway.app.ports import StoreUnavailableError
from tollway.app.ports_alerts import Sealed
from tollway.app.ports_directory import ConflictError, Page
from tollway.app.views import (
    CredentialView,
    GrantView,
    KeyView,
    ModelView,
    ProjectView,
    ProviderView,
    QuotaView,
    TenantView,
    WebhookView,
)
from tollway.domain.event import Event, EventKind
from tollway.domain.model import Target
from tollway.domain.notice import NoticeFormat
from tollway.domain.provider import ProviderKind
from tollway.domain.result import Err, Ok

pytestmark = pytest.mark.slow


@pytest.fixture
def engine(tmp_path):
    with store("postgres", tmp_path) as engine:
        yield engine


@pytest.fixture
def empty():
    with postgres_database(migrated=False) as url:
        engine = open_engine(SqlOptions(url))
        yield engine
        engine.dispose()


def fill(engine):
    """Tenants a and b with one of everything, and the platform's."""
    with configuration(engine).begin() as uow:
        uow.peppers.add(1, b"wrapped")
        platform = ProviderView("prv_p", "shared", ProviderKind.ECHO, "")
        uow.providers.add(platform)
        uow.providers.add_credential(CredentialView("crd_p", "prv_p", sealed=True), b"e")
        uow.models.add(ModelView("mdl_p", "shared", (Target("prv_p", "m"),)))
        for name in ("a", "b"):
            owner = f"ten_{name}"
            uow.tenants.add(TenantView(owner, name, name), b"salt")
            uow.projects.add(ProjectView(f"prj_{name}", owner, "p"))
            key = KeyView(f"key_{name}", owner, "k", "live", "tw_", "abcd", f"prj_{name}")
            uow.keys.add(key, b"digest", 1)
            own = ProviderView(f"prv_{name}", "own", ProviderKind.ECHO, "", tenant_id=owner)
            uow.providers.add(own)
            sealed = CredentialView(f"crd_{name}", own.id, sealed=True)
            uow.providers.add_credential(sealed, b"e")
            uow.models.add(ModelView(f"mdl_{name}", "m", (Target(own.id, "m"),), tenant_id=owner))
            uow.grants.add(GrantView("mdl_p", owner))
            uow.quotas.add(QuotaView(quota(1, tenant_id=owner)))
            hook = WebhookView(f"whk_{name}", owner, "w", NoticeFormat.SLACK)
            uow.webhooks.add(hook, Sealed(b"e"))
        uow.quotas.add(QuotaView(quota(1, scope="platform")))
        hook = WebhookView("whk_p", None, "w", NoticeFormat.SLACK)
        uow.webhooks.add(hook, Sealed(b"e"))
        uow.commit()
    happened = [
        (f"evt_{name}", Event(EventKind.KEY_EXPIRED, name, NOW_S, owner, "title"))
        for name, owner in (("a", "ten_a"), ("b", "ten_b"), ("p", None))
    ]
    SqlAlerts(engine).keep(happened, at_s=NOW_S)


def test_the_migrations_make_the_defined_schema(empty):
    """From nothing, once; a program finds out by one small query."""
    assert isinstance(check(empty), Err)
    assert upgrade(empty) == Ok(True)
    assert upgrade(empty) == Ok(False)
    assert check(empty) == Ok(None)
    with reading(empty) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_many_may_migrate_at_once(empty):
    """One does it, the others wait and find it done."""
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(upgrade(empty))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.value for answer in answers) == [False, False, False, True]


def test_every_tenants_table_is_held(engine):
    """A table with a tenant in it has a rule, or is one that a tenant never decides about."""
    ruled = {rule.table for rule in RULES}
    owned = {table.name for table in metadata.tables.values() if "tenant_id" in table.columns}
    assert owned <= ruled
    with reading(engine) as connection:
        held = connection.execute(
            text(
                "SELECT relname FROM pg_class WHERE relrowsecurity AND NOT relispartition "
                "AND relkind IN ('r', 'p')"
            )
        )
        assert {row[0] for row in held} == ruled


def rows_seen(engine, scope):
    """How many rows of each table a scope sees, asked without any filter of ours."""
    with engine.connect() as connection:
        enter_scope(connection, scope)
        seen = {}
        for rule in RULES:
            count = connection.execute(text(f"SELECT count(*) FROM {rule.table}")).scalar()
            if count:
                seen[rule.table] = count
        return seen


PLATFORMS = {
    "providers": 1, "provider_config": 1, "models": 1, "model_targets": 1,
}  # fmt: skip


def test_without_a_tenant_there_are_no_rows(engine):
    """But the platform's, which are for all to see (and none of its secrets)."""
    fill(engine)
    assert rows_seen(engine, ()) == PLATFORMS
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET LOCAL ROLE {APP}")  # and nobody set the tenant at all
        for rule in RULES:
            count = connection.execute(text(f"SELECT count(*) FROM {rule.table}")).scalar()
            assert count == PLATFORMS.get(rule.table, 0), rule.table


def test_a_scope_sees_its_own_rows(engine):
    """One tenant's or several's; never another's."""
    fill(engine)
    one = rows_seen(engine, ("ten_a",))
    assert one["api_keys"] == one["projects"] == one["tenants"] == one["grants"] == 1
    assert one["quotas"] == one["webhooks"] == one["events"] == one["deliveries"] == 1
    assert one["providers"] == one["models"] == 2
    assert one["provider_credentials"] == 1
    both = rows_seen(engine, ("ten_a", "ten_b"))
    assert both["webhooks"] == both["events"] == both["deliveries"] == 2
    assert both["api_keys"] == both["provider_credentials"] == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE api_keys SET name = 'stolen'",
        "UPDATE tenants SET name = 'stolen'",
        "UPDATE providers SET base_url = 'https://evil'",
        "UPDATE provider_credentials SET weight = 9",
        "UPDATE model_targets SET model = 'x'",
        "UPDATE models SET name = name || 'x'",
        "DELETE FROM projects WHERE id = 'prj_b'",
        "DELETE FROM model_targets",
        "DELETE FROM grants",
        "UPDATE quotas SET amount = 9",
        "DELETE FROM quotas",
        "DELETE FROM provider_credentials",
        "UPDATE webhooks SET address = 'stolen'",
        "DELETE FROM webhooks",
        "UPDATE deliveries SET state = 'delivered'",
        "DELETE FROM deliveries",
        "UPDATE events SET title = 'x'",
        "DELETE FROM events",
    ],
)
def test_a_scope_changes_only_its_own(engine, statement):
    """Not another tenant's rows and not the platform's, whatever the statement says."""
    fill(engine)

    def others():
        with reading(engine) as connection:
            return [
                connection.execute(text(query)).all()
                for query in (
                    "SELECT * FROM tenants WHERE id = 'ten_b'",
                    "SELECT * FROM api_keys WHERE tenant_id = 'ten_b'",
                    "SELECT * FROM projects WHERE tenant_id = 'ten_b'",
                    "SELECT * FROM providers WHERE tenant_id IS DISTINCT FROM 'ten_a' ORDER BY id",
                    "SELECT * FROM provider_credentials WHERE provider_id <> 'prv_a' ORDER BY id",
                    "SELECT * FROM models WHERE tenant_id IS DISTINCT FROM 'ten_a' ORDER BY id",
                    "SELECT * FROM model_targets WHERE provider_id <> 'prv_a' ORDER BY model_id",
                    "SELECT * FROM grants WHERE holder = 'ten_b'",
                    "SELECT * FROM quotas WHERE tenant_id IS DISTINCT FROM 'ten_a' ORDER BY id",
                    "SELECT * FROM webhooks WHERE tenant_id IS DISTINCT FROM 'ten_a' ORDER BY id",
                    "SELECT * FROM deliveries WHERE webhook_id <> 'whk_a' ORDER BY 1, 2",
                    "SELECT * FROM events ORDER BY id",
                )
            ]

    before = others()
    with suppress(ProgrammingError, IntegrityError), engine.begin() as connection:
        enter_scope(connection, ("ten_a",))
        connection.execute(text(statement))
    assert others() == before


@pytest.mark.parametrize(
    "statement",
    [
        (
            "INSERT INTO projects (id, tenant_id, name, created_s, version) "
            "VALUES ('prj_x', 'ten_b', 'x', 0, 0)"
        ),
        (
            "INSERT INTO providers (id, name, kind, base_url, enabled, created_s, version) "
            "VALUES ('prv_x', 'x', 'echo', '', true, 0, 0)"
        ),
        (
            "INSERT INTO grants (holder, model_id, tenant_id, created_s, version) "
            "VALUES ('ten_a', 'mdl_b', 'ten_a', 0, 0)"
        ),
        "UPDATE api_keys SET tenant_id = 'ten_b', project_id = NULL",
        "UPDATE models SET tenant_id = NULL",
        "UPDATE webhooks SET tenant_id = NULL",
        (
            "INSERT INTO events (id, once, kind, until_s, tenant_id, at_s, title, facts, data) "
            "VALUES ('evt_x', 'x', 'key.expired', 0, 'ten_a', 0, 'x', '[]', '{}')"
        ),
        "DELETE FROM audit_log",
        "UPDATE audit_log SET actor_name = 'x'",
        "ALTER TABLE api_keys DISABLE ROW LEVEL SECURITY",
    ],
)
def test_a_scope_cannot_step_out(engine, statement):
    """Nothing is made for another tenant or the platform, nothing moved there, no record undone."""
    fill(engine)
    with pytest.raises(ProgrammingError), engine.begin() as connection:
        enter_scope(connection, ("ten_a",))
        connection.execute(text(statement))


def test_repositories_work_within_a_scope(engine):
    """What a tenant's administrator does is possible; what they ask of another finds nothing."""
    fill(engine)
    with configuration(engine).begin(("ten_a",)) as uow:
        uow.projects.add(ProjectView("prj_n", "ten_a", "new"))
        assert [one.id for one in uow.projects.page("ten_a", Page())] == ["prj_a", "prj_n"]
        assert uow.projects.page("ten_b", Page()) == []
        assert uow.keys.get("ten_b", "key_b") is None
        assert uow.providers.get("prv_b") is None
        assert uow.tenants.get("ten_b") is None
        uow.keys.revoke_of("acc_1")
        uow.commit()
    foreign = ProjectView("prj_x", "ten_b", "x")
    with (
        configuration(engine).begin(("ten_a",)) as uow,
        pytest.raises((ProgrammingError, ConflictError)),
    ):
        uow.projects.add(foreign)


def test_a_pooled_connection_keeps_no_scope(engine):
    """However a transaction ended: committed, rolled back, cut off in the middle."""
    fill(engine)
    leaks = []

    def worker(seed):
        rng = random.Random(seed)
        for _ in range(60):
            scope = rng.choice([("ten_a",), ("ten_b",), ("ten_a", "ten_b"), ()])
            try:
                with engine.connect() as connection:
                    enter_scope(connection, scope)
                    seen = connection.execute(text("SELECT tenant_id FROM api_keys")).all()
                    if {row[0] for row in seen} != set(scope):
                        leaks.append((scope, seen))
                    ending = rng.randrange(4)
                    if ending == 0:
                        connection.commit()
                    elif ending == 1:
                        connection.execute(text("SELECT no_such_column"))
                    elif ending == 2:
                        raise KeyboardInterrupt
            except (ProgrammingError, KeyboardInterrupt):
                pass
            with engine.connect() as connection:
                role, tenant = connection.execute(
                    text("SELECT current_user, current_setting('tollway.tenant', true)")
                ).one()
                if role == APP or tenant:
                    leaks.append((role, tenant))

    threads = [threading.Thread(target=worker, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert leaks == []


def test_the_doctor_sees_what_is_wrong_with_the_roles(engine):
    """A role that could step around the policies is named."""
    assert any("superuser of the database" in finding.what for finding in role_findings(engine))
    with writing(engine) as connection:
        connection.execute(text(f"ALTER ROLE {APP} BYPASSRLS"))
    try:
        assert any("BYPASSRLS" in finding.what for finding in role_findings(engine))
    finally:
        with writing(engine) as connection:
            connection.execute(text(f"ALTER ROLE {APP} NOBYPASSRLS"))


@pytest.fixture
def owner():
    """A login without special rights that owns an empty database: its URL, with its name."""
    name = f"owner_{time.monotonic_ns()}"
    with postgres_database(migrated=False) as url, superuser() as ask:
        ask(f"CREATE ROLE {name} LOGIN")
        ask(f'ALTER DATABASE "{make_url(url).database}" OWNER TO {name}')
        yield make_url(url).set(username=name).render_as_string(hide_password=False), name
        server().drop(make_url(url).database)
        ask(f"DROP ROLE {name}")


@contextmanager
def superuser():
    with psycopg.connect(server().url(), autocommit=True) as connection:
        yield connection.execute


def test_an_owner_suffices(owner):
    """Without the roles it says what it lacks; given them, it migrates, works, and is held by the
    policies, and the doctor finds nothing."""
    url, name = owner
    engine = open_engine(SqlOptions(url))
    refused = upgrade(engine)
    assert isinstance(refused, Err)
    assert "CREATEROLE" in refused.error
    with superuser() as ask:
        ask(f"GRANT {APP}, {SYSTEM} TO {name}")
    assert upgrade(engine) == Ok(True)
    assert role_findings(engine) == []
    fill(engine)
    assert rows_seen(engine, ("ten_a",))["tenants"] == 1
    with configuration(engine).begin(("ten_a",)) as uow:
        uow.projects.add(ProjectView("prj_2", "ten_a", "two"))
        uow.commit()
    engine.dispose()


def test_writers_queue(engine):
    """A unit waits for the one before it, and decides on what that one left."""
    with configuration(engine).begin() as first:
        first.tenants.add(TenantView("ten_1", "one", "One"), b"s")
        found = []

        def second():
            with configuration(engine).begin() as uow:
                found.append(uow.tenants.find("one"))

        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        assert found == []
        first.commit()
    thread.join()
    assert found[0].slug == "one"


def test_a_writer_does_not_wait_for_ever(tmp_path):
    """It says that the database cannot be used now."""
    with store("postgres", tmp_path, busy_timeout_s=0.1) as engine:
        units = configuration(engine)
        with units.begin(), pytest.raises(StoreUnavailableError), units.begin():
            pass


def test_news_arrive_with_the_commit(engine):
    """At once on another connection, and never of what was rolled back."""
    listener = VersionListener(engine)
    assert not listener.wait(0.05)
    with configuration(engine).begin() as uow:
        uow.tenants.add(TenantView("ten_1", "one", "One"), b"s")
        assert not listener.wait(0.05)
    assert not listener.wait(0.05)
    heard = []
    thread = threading.Thread(target=lambda: heard.append((listener.wait(5), time.monotonic())))
    thread.start()
    with configuration(engine).begin() as uow:
        uow.tenants.add(TenantView("ten_1", "one", "One"), b"s")
        uow.commit()
        committed = time.monotonic()
    thread.join()
    assert heard[0][0]
    assert heard[0][1] - committed < 0.5
    listener.close()


def test_a_listener_comes_back(engine):
    """When its connection is ended it waits, and listens again."""
    listener = VersionListener(engine)
    listener.wait(0.01)
    with writing(engine) as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE query LIKE 'LISTEN%' AND datname = current_database()"
            )
        )
    began = time.monotonic()
    assert not listener.wait(0.2)
    assert time.monotonic() - began >= 0.19
    time.sleep(1.0)  # it tries again a second later
    listener.wait(0.01)
    with configuration(engine).begin() as uow:
        uow.tenants.add(TenantView("ten_1", "one", "One"), b"s")
        uow.commit()
    assert listener.wait(2)
    listener.close()


def test_a_server_that_is_away_is_unavailable():
    """Whether it never was there, or shuts down on us."""
    away = open_engine(SqlOptions("postgresql://nobody@127.0.0.1:1/none", connect_timeout_s=1))
    with pytest.raises(StoreUnavailableError), reading(away):
        pass
    name = f"gone_{time.monotonic_ns()}"
    engine = open_engine(SqlOptions(server().make(name)))
    with reading(engine) as connection:
        connection.execute(text("SELECT 1"))
    server().drop(name)
    with pytest.raises(StoreUnavailableError), reading(engine) as connection:
        connection.execute(text("SELECT 1"))
    engine.dispose()


def test_an_answer_that_does_not_come_is_not_waited_for(engine):
    """A server that says nothing is away, after the time one was given; the next asker gets a
    connection that works."""
    bounded = open_engine(SqlOptions(str_url(engine), answer_timeout_s=0.3))
    began = time.monotonic()
    with (
        pytest.raises(StoreUnavailableError, match=r"within 0.3 s"),
        reading(bounded) as connection,
    ):
        connection.execute(text("SELECT pg_sleep(5)"))
    assert time.monotonic() - began < 2
    with reading(bounded) as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    bounded.dispose()


def str_url(engine):
    return engine.url.render_as_string(hide_password=False)
