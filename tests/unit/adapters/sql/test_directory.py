"""Configuration: what is written comes back in the snapshot, all or nothing, at one version."""

import time

import pytest
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from tests.fakes.database import NOW_S, configuration, database
from tollway.adapters.sql.engine import writing
from tollway.adapters.sql.snapshot import SqlSnapshotStore
from tollway.adapters.sql.tables import api_keys, peppers, provider_credentials, tenants
from tollway.app.ports_admin import KeyFace
from tollway.domain.account import AccountRecord, ProjectRecord, Role
from tollway.domain.key import KeyRecord
from tollway.domain.model import ModelRecord, Strategy, Target
from tollway.domain.provider import CredentialRecord, ProviderKind, ProviderRecord, StreamUsage
from tollway.domain.tenant import TenantRecord

TENANT = TenantRecord("ten_1", "acme", "Acme", b"salt", models="listed")
ACCOUNT = AccountRecord("acc_1", "ann@example.org", "Ann", platform_admin=True)
PROJECT = ProjectRecord("prj_1", "ten_1", "search")
KEY = KeyRecord(
    "key_1",
    "ten_1",
    b"digest",
    1,
    "first",
    "prj_1",
    "acc_1",
    not_before_s=5,
    expires_s=9,
    models=("small", "large"),
    endpoints=(),
    ip_allow=("10.0.0.0/8",),
    tags=(("team", "search"),),
)
FACE = KeyFace("live", "tw_live_1", "abcd")
PLATFORM = ProviderRecord("prv_1", "openai", ProviderKind.OPENAI, "https://api.openai.com/v1")
OWN = ProviderRecord(
    "prv_2",
    "openai",
    ProviderKind.OPENAI_COMPATIBLE,
    "http://own/v1",
    tenant_id="ten_1",
    stream_usage=StreamUsage.NATIVE,
    credentials=(CredentialRecord("crd_1", "env:KEY", 2),),
    connect_timeout_s=1.5,
    headers_timeout_s=2,
    first_token_timeout_s=3,
    idle_timeout_s=4,
    total_timeout_s=5,
)
MODEL = ModelRecord(
    "mdl_1",
    "small",
    (Target("prv_2", "b", 3, 1), Target("prv_1", "a", 1, 0)),
    tenant_id="ten_1",
    strategy=Strategy.WEIGHTED,
    max_output_tokens=100,
    created_s=NOW_S,
    version=1,
)


@pytest.fixture
def engine(tmp_path):
    engine = database(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def units(engine):
    return configuration(engine)


@pytest.fixture
def snapshots(engine):
    return SqlSnapshotStore(engine)


def write_everything(uow):
    uow.add_pepper(1, b"wrapped")
    uow.add_tenant(TENANT)
    uow.add_account(ACCOUNT)
    uow.add_membership("ten_1", "acc_1", Role.TENANT_ADMIN)
    uow.add_project(PROJECT)
    uow.add_key(KEY, FACE)
    uow.add_provider(PLATFORM)
    uow.add_provider(OWN)
    uow.add_credential("prv_2", OWN.credentials[0])
    uow.add_model(MODEL)


def test_everything_written_comes_back(units, snapshots):
    """The snapshot holds each record as it was given, at the version of its unit of work."""
    with units.begin() as uow:
        write_everything(uow)
        uow.commit()
    rows = snapshots.load()
    assert rows.version == snapshots.version() == 1
    assert rows.peppers == ((1, b"wrapped"),)
    assert rows.tenants == (TENANT,)
    assert rows.keys == (KEY,)
    assert rows.providers == (PLATFORM, OWN)
    assert rows.models == (MODEL,)


def test_everything_written_is_found(units):
    """Each natural key leads back to its record, and only for its owner."""
    with units.begin() as uow:
        write_everything(uow)
        assert uow.find_tenant("acme") == TENANT
        assert uow.find_account("ann@example.org") == ACCOUNT
        assert uow.find_role("ten_1", "acc_1") is Role.TENANT_ADMIN
        assert uow.find_project("ten_1", "search") == PROJECT
        assert list(uow.find_keys("ten_1", "first")) == [KEY]
        assert uow.find_provider(None, "openai") == PLATFORM
        assert uow.find_provider("ten_1", "openai") == OWN
        assert uow.find_provider_by_id("prv_2") == OWN
        assert uow.find_model("ten_1", "small") == MODEL
        assert uow.newest_pepper() == (1, b"wrapped")


def test_nothing_is_found_where_nothing_is(units):
    """Absent is None."""
    with units.begin() as uow:
        write_everything(uow)
        assert uow.find_tenant("other") is None
        assert uow.find_account("bob@example.org") is None
        assert uow.find_role("ten_1", "acc_2") is None
        assert uow.find_project("ten_2", "search") is None
        assert list(uow.find_keys("ten_2", "first")) == []
        assert uow.find_provider("ten_2", "openai") is None
        assert uow.find_model(None, "small") is None


def test_one_unit_moves_the_version_once(units, snapshots):
    """However many rows a unit writes, it is one version; a unit that only reads moves nothing."""
    with units.begin() as uow:
        write_everything(uow)
        uow.commit()
    with units.begin() as uow:
        uow.find_tenant("acme")
        uow.commit()
    assert snapshots.version() == 1
    with units.begin() as uow:
        uow.add_pepper(2, b"next")
        uow.commit()
    assert snapshots.version() == 2


def test_without_commit_nothing_was_written(units, snapshots):
    """Leaving the block, by its end or by an exception, undoes the unit and its version."""
    with units.begin() as uow:
        write_everything(uow)
    with pytest.raises(ZeroDivisionError), units.begin() as uow:
        write_everything(uow)
        _ = 1 / 0
    assert snapshots.version() == 0
    assert snapshots.load().tenants == ()


def test_revoking_is_final_and_said_once(units, snapshots):
    """The time of the first revocation stands."""
    with units.begin() as uow:
        write_everything(uow)
        uow.commit()
    with units.begin() as uow:
        assert uow.revoke_key("key_1") is True
        assert uow.revoke_key("key_1") is False
        assert uow.revoke_key("key_9") is False
        uow.commit()
    rows = snapshots.load()
    assert (rows.version, rows.keys[0].revoked_s) == (2, NOW_S)


@pytest.mark.parametrize(
    "change",
    [
        lambda uow: uow.add_tenant(TenantRecord("ten_2", "acme", "Again", b"s")),
        lambda uow: uow.add_provider(ProviderRecord("prv_3", "openai", ProviderKind.ECHO, "")),
        lambda uow: uow.add_model(ModelRecord("mdl_2", "small", (), tenant_id="ten_1")),
        lambda uow: uow.add_project(ProjectRecord("prj_2", "ten_1", "search")),
        lambda uow: uow.add_account(AccountRecord("acc_2", "ann@example.org", "Other")),
        lambda uow: uow.add_key(KeyRecord("key_2", "ten_9", b"d", 1), FACE),
        lambda uow: uow.add_key(KeyRecord("key_2", "ten_1", b"d", 9), FACE),
        lambda uow: uow.add_credential("prv_9", CredentialRecord("crd_2", "env:A")),
    ],
)
def test_the_database_refuses_what_commands_missed(units, change):
    """Natural keys are unique, the platform's too, and references must lead somewhere."""
    with pytest.raises(IntegrityError), units.begin() as uow:
        write_everything(uow)
        change(uow)


def test_a_key_cannot_name_another_tenants_project(units):
    """Isolation by construction: the foreign key spans tenant and project."""
    with pytest.raises(IntegrityError), units.begin() as uow:
        write_everything(uow)
        uow.add_tenant(TenantRecord("ten_2", "other", "Other", b"s"))
        uow.add_key(KeyRecord("key_2", "ten_2", b"d", 1, project_id="prj_1"), FACE)


def test_a_deleted_tenant_is_gone_with_all_it_owns(engine, units, snapshots):
    """Its keys, providers and models leave the snapshot; the platform's stay."""
    with units.begin() as uow:
        write_everything(uow)
        uow.commit()
    with writing(engine) as connection:
        connection.execute(update(tenants).values(deleted_s=1))
    rows = snapshots.load()
    assert (rows.tenants, rows.keys, rows.models) == ((), (), ())
    assert rows.providers == (PLATFORM,)


def test_a_sealed_credential_never_reads_as_no_secret(engine, units, snapshots):
    """A reader that cannot open envelopes must fail, not call without a secret."""
    with units.begin() as uow:
        write_everything(uow)
        uow.commit()
    with writing(engine) as connection:
        connection.execute(update(provider_credentials).values(reference=None, envelope=b"sealed"))
    assert snapshots.load().providers[1].credentials[0].reference == "sealed:crd_1"


def test_many_keys_load_quickly(engine, units, snapshots):
    """Twenty thousand keys in well under a second of CPU (a hundred thousand take about one)."""
    with units.begin() as uow:
        write_everything(uow)
        uow.commit()
    row = {"tenant_id": "ten_1", "env": "live", "name": "n", "prefix": "p", "last4": "l"} | {
        "digest": b"d",
        "pepper_version": 1,
        "created_s": 0,
        "version": 1,
    }
    with writing(engine) as connection:
        many = [{"id": f"key_n{number}", **row} for number in range(20_000)]
        connection.execute(insert(api_keys), many)
    began = time.process_time()
    assert len(snapshots.load().keys) == 20_001
    assert time.process_time() - began < 1.0


def test_peppers_are_kept_by_version(engine, snapshots):
    """All of them travel: old keys need old peppers."""
    with writing(engine) as connection:
        for version in (2, 1):
            connection.execute(
                insert(peppers).values(version=version, wrapped=bytes([version]), created_s=0)
            )
    assert snapshots.load().peppers == ((1, b"\x01"), (2, b"\x02"))
