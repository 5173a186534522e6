"""The snapshot's files from the keeper's hand to a worker's look-ups."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.boxes import PlainBox
from tollway.adapters.control.snapshot_delta import delta_path
from tollway.adapters.control.snapshot_file import FileSnapshotSource, base_path
from tollway.adapters.control.snapshot_writer import SnapshotWriter, write_snapshot
from tollway.app.ports import SecretError
from tollway.domain.account import MemberScope, ProjectScope
from tollway.domain.grant import GrantRecord
from tollway.domain.key import KeyRecord
from tollway.domain.model import ModelRecord, Target
from tollway.domain.provider import CredentialRecord, ProviderKind, ProviderRecord
from tollway.domain.snapshot import Kind, SnapshotChanges, SnapshotRows, find_model, visible_models
from tollway.domain.tenant import TenantRecord

TENANT = TenantRecord("ten_a", "acme", "Acme", b"\x00salt", models="listed", group="gold")
KEY = KeyRecord("key_a", "ten_a", b"digest", 1, expires_s=5.0, models=("m",), tags=(("a", "b"),))
PROVIDER = ProviderRecord(
    "prv_a",
    "local",
    ProviderKind.ECHO,
    "",
    credentials=(CredentialRecord("crd_a", "env:X"), CredentialRecord("crd_b", envelope=b"\xff")),
    idle_timeout_s=2.5,
)
MODEL = ModelRecord("mdl_a", "m", (Target("prv_a", "up", 2, 1),), version=7)
PROJECT = ProjectScope("prj_a", "ten_a", ("m",))
MEMBER = MemberScope("ten_a", "acc_a", ())
GRANT = GrantRecord("group:gold", ("mdl_a",))
ROWS = SnapshotRows(
    7,
    ((1, b"pepper|1:salt"),),
    (TENANT,),
    (KEY,),
    (PROVIDER,),
    (MODEL,),
    (PROJECT,),
    (MEMBER,),
    (GRANT,),
)


@pytest.fixture
def run_dir(tmp_path: Path) -> str:
    return str(tmp_path)


@pytest.fixture
def source(run_dir: str) -> FileSnapshotSource:
    return FileSnapshotSource(run_dir, PlainBox())


@pytest.fixture
def writer(run_dir: str) -> SnapshotWriter:
    writer = SnapshotWriter(run_dir)
    writer.install(writer.stage([ROWS]))
    return writer


def changes(version, *removed, since=None, **rows):
    """What became of the version before."""
    since = version - 1 if since is None else since
    return SnapshotChanges(since, SnapshotRows(version, ROWS.peppers, **rows), removed)


def owned(id_, name, owner=None):
    return ModelRecord(id_, name, (), owner)


def test_what_was_written_is_found(writer, source):
    """Each kind of row comes back as it was, by its key; what is not there is None."""
    assert source.changed()
    found = source.refresh()
    assert not source.changed()
    assert (found.version, found.peppers) == (7, {1: b"salt"})
    assert found.tenants.get("ten_a") == TENANT
    assert found.keys.get("key_a") == KEY
    assert found.providers.get("prv_a") == PROVIDER
    assert found.models.get((None, "m")) == MODEL
    assert found.names.get(None) == ("m",)
    assert found.projects.get("prj_a") == PROJECT
    assert found.members.get(("ten_a", "acc_a")) == MEMBER
    assert found.grants.get("group:gold") == GRANT
    assert found.tenants.get("ten_b") is found.keys.get("key_b") is None
    assert found.models.get(("ten_a", "m")) is found.names.get("ten_a") is None
    assert os.stat(base_path(writer._run_dir)).st_mode & 0o777 == 0o600


def test_no_files_are_no_configuration(source):
    """Before the keeper's first publication nobody is known."""
    assert not source.changed()
    assert source.refresh().version == -1


def test_a_change_is_seen_without_a_new_base(writer, source, run_dir):
    """New, changed and removed rows of every kind; a snapshot in use stays what it was."""
    before = source.refresh()
    base = os.stat(base_path(run_dir)).st_ino
    revoked = replace(KEY, revoked_s=9.0)
    writer.append(
        changes(
            8,
            (Kind.PROJECT, "prj_a"),
            (Kind.MEMBER, "ten_a|acc_a"),
            (Kind.GRANT, "group:gold"),
            (Kind.PROVIDER, "prv_a"),
            keys=(revoked, replace(KEY, id="key_b")),
            tenants=(replace(TENANT, active=False),),
        )
    )
    assert source.changed()
    after = source.refresh()
    assert not source.changed()
    assert os.stat(base_path(run_dir)).st_ino == base
    assert after.version == 8
    assert after.keys.get("key_a") == revoked
    assert after.keys.get("key_b").id == "key_b"
    assert after.tenants.get("ten_a").active is False
    assert after.projects.get("prj_a") is after.members.get(("ten_a", "acc_a")) is None
    assert after.grants.get("group:gold") is after.providers.get("prv_a") is None
    assert after.models.get((None, "m")) == MODEL
    assert before.version == 7
    assert before.keys.get("key_a") == KEY
    assert before.providers.get("prv_a") == PROVIDER


def test_names_follow_their_models(writer, source):
    """Models may be renamed, exchange their names, go and come; lists and look-ups agree."""
    writer.append(changes(8, models=(owned("mdl_b", "b"), owned("mdl_o", "own", "ten_a"))))
    found = source.refresh()
    assert [model.id for model in visible_models(found, "ten_a")] == ["mdl_b", "mdl_a", "mdl_o"]
    writer.append(changes(9, models=(owned("mdl_a", "b"), owned("mdl_b", "m"))))
    found = source.refresh()
    assert find_model(found, "ten_a", "m").id == "mdl_b"
    assert find_model(found, "ten_a", "b").id == "mdl_a"
    writer.append(changes(10, (Kind.MODEL, "mdl_a"), (Kind.MODEL, "mdl_o")))
    found = source.refresh()
    assert [model.id for model in visible_models(found, "ten_a")] == ["mdl_b"]
    assert find_model(found, "ten_a", "b") is find_model(found, "ten_a", "own") is None
    writer.append(changes(11, (Kind.MODEL, "mdl_b"), models=(owned("mdl_c", "m"),)))
    found = source.refresh()
    assert find_model(found, "ten_a", "m").id == "mdl_c"
    assert found.names.get(None) == ("m",)


def test_a_large_change_takes_many_steps_and_shows_at_once(writer, source):
    """Half of a version is never served."""
    source.refresh()
    writer.append(changes(8, keys=tuple(replace(KEY, id=f"key_{n}") for n in range(1200))))
    seen = [source.current.version for _ in source.steps()]
    assert seen == [7, 7, 7]
    assert source.current.version == 8
    assert source.current.keys.get("key_1199").id == "key_1199"


def test_a_worker_that_begins_later_sees_the_same(writer, run_dir):
    """Base and delta together are the newest version, however many there were."""
    for version in range(8, 40):
        writer.append(changes(version, keys=(replace(KEY, id=f"key_{version}"),)))
    late = FileSnapshotSource(run_dir, PlainBox()).refresh()
    assert late.version == 39
    assert late.keys.get("key_8").id == "key_8"
    assert late.keys.get("key_39").id == "key_39"


def test_a_new_base_takes_the_place_of_the_old_one(writer, source, run_dir):
    """What changed while it was written is in its delta; the old files go away."""
    before = source.refresh()
    staged = writer.stage([replace(ROWS, version=8, keys=(KEY, replace(KEY, id="key_b")))])
    writer.append(changes(8, keys=(replace(KEY, id="key_b"),)))
    writer.append(changes(9, keys=(replace(KEY, id="key_c"),)))
    source.refresh()
    writer.install(staged, changes(9, keys=(replace(KEY, id="key_c"),)))
    after = source.refresh()
    assert (after.version, writer.version, writer.changed_rows) == (9, 9, 1)
    assert after.keys.get("key_b").id == "key_b"
    assert after.keys.get("key_c").id == "key_c"
    assert before.keys.get("key_a") == KEY
    assert sorted(os.listdir(run_dir)) == [
        os.path.basename(delta_path(run_dir, staged.header.id)),
        "snapshot.bin",
    ]


def test_an_older_snapshot_never_replaces_a_newer_one(source, run_dir):
    """Versions only go forward, whatever the files hold."""
    write_snapshot(run_dir, ROWS)
    source.refresh()
    write_snapshot(run_dir, SnapshotRows(version=6))
    source.refresh()
    assert source.current.version == 7
    assert source.current.tenants.get("ten_a") == TENANT


def test_a_pepper_of_another_key_changes_nothing(source, run_dir):
    """It is an error, and the last good configuration stays."""
    write_snapshot(run_dir, ROWS)
    source.refresh()
    write_snapshot(run_dir, SnapshotRows(version=9, peppers=((2, b"other:x"),)))
    with pytest.raises(SecretError):
        source.refresh()
    assert source.current.version == 7
    assert source.changed()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"tollway-snapshot-1\n" + data,
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-20] + b"\xff" * 20,
        lambda data: b"",
    ],
)
def test_a_foreign_or_cut_base_keeps_the_last_good_one(source, run_dir, damage, caplog):
    """It is said in the log, once; a good one is taken again."""
    write_snapshot(run_dir, ROWS)
    source.refresh()
    path = Path(base_path(run_dir))
    damaged = path.with_suffix(".damaged")
    damaged.write_bytes(damage(path.read_bytes()))
    damaged.replace(path)
    for _ in range(3):
        assert source.refresh().version == 7
    assert len(caplog.records) == 1
    write_snapshot(run_dir, replace(ROWS, version=8))
    assert source.refresh().version == 8


def test_a_torn_record_waits_and_a_successor_cuts_it_off(writer, source, run_dir):
    """What was half written is not served; the next keeper writes it again, and goes on."""
    source.refresh()
    writer.append(changes(8, keys=(replace(KEY, id="key_b"),)))
    writer.append(changes(9, keys=(replace(KEY, id="key_c"),)))
    path = delta_path(run_dir, writer._header.id)
    os.truncate(path, os.path.getsize(path) - 3)
    assert source.refresh().version == 8
    heir = SnapshotWriter(run_dir)
    assert heir.adopt()
    assert (heir.version, heir.changed_rows) == (8, 1)
    heir.append(changes(9, keys=(replace(KEY, id="key_c"),)))
    assert source.refresh().version == 9
    assert source.current.keys.get("key_c").id == "key_c"


@pytest.mark.parametrize("flip", [0, 30, -1])
def test_a_damaged_record_ends_the_reading(writer, source, run_dir, flip, caplog):
    """The last good version stays until there is a new base."""
    source.refresh()
    writer.append(changes(8))
    path = Path(delta_path(run_dir, writer._header.id))
    data = bytearray(path.read_bytes())
    data[flip] ^= 0xFF
    path.write_bytes(data)
    assert source.refresh().version == 7
    assert len(caplog.records) == 1
    assert not SnapshotWriter(run_dir).adopt()
    writer.install(writer.stage([replace(ROWS, version=9)]))
    assert source.refresh().version == 9


def test_missing_versions_are_not_skipped(writer, source, caplog):
    """A record that begins after what was read would leave a hole: it is not taken."""
    source.refresh()
    writer.append(changes(9, since=8))
    assert source.refresh().version == 7
    assert "missing" in caplog.records[0].error


def test_two_keepers_may_say_the_same(writer, source):
    """Records that overlap are applied once; older ones change nothing."""
    source.refresh()
    newest = replace(KEY, name="newest")
    writer.append(changes(9, since=7, keys=(newest,)))
    writer.append(changes(8, since=7, keys=(replace(KEY, name="old"),)))
    found = source.refresh()
    assert (found.version, found.keys.get("key_a")) == (9, newest)


def test_a_base_of_somebody_else_is_noticed(writer, run_dir):
    """A keeper that lost its supervisor must not add to its successor's files."""
    assert writer.stands()
    write_snapshot(run_dir, ROWS)
    assert not writer.stands()


def test_giving_up_leaves_nothing_behind(writer, run_dir):
    """Neither a base that was not finished, nor one that is not wanted."""

    def stop():
        raise InterruptedError

    many = tuple(replace(KEY, id=f"key_{n}") for n in range(600))
    with pytest.raises(InterruptedError):
        writer.stage([replace(ROWS, keys=many)], pace=stop)
    writer.discard(writer.stage([ROWS]))
    assert os.listdir(run_dir) == ["snapshot.bin"]


def test_what_was_decoded_is_bounded_and_absent_keys_are_not_kept(writer, source, monkeypatch):
    """Whoever asks for a million things that are not there must not fill the memory."""
    monkeypatch.setattr("tollway.adapters.control.snapshot_view._MAX_DECODED", 3)
    found = source.refresh()
    for number in range(10):
        assert found.keys.get(f"key_{number}") is None
        assert found.tenants.get(f"ten_{number}") is None
        assert found.models.get((None, f"m{number}")) is None
    assert found.models.get((None, "m" * 1000)) is None
    assert found.keys._base._decoded == {}
    assert len(found.tenants._base._decoded) <= 3
    assert len(found.models._known) <= 3
    assert found.tenants.get("ten_a") == TENANT
    assert found.tenants.get("ten_a") is found.tenants.get("ten_a")


def test_any_text_can_be_asked_for(writer, source):
    """Names come from clients: also what is no valid UTF-8 has an answer."""
    found = source.refresh()
    for name in ("\ud800", "", "|", "ten_a|m", "\x00"):
        assert found.models.get((None, name)) is None
