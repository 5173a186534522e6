"""The pepper: made at first use, kept by version, and opened by its master key alone."""

from dataclasses import replace

import pytest

from tests.fakes.acting import BOX, done, facts
from tests.fakes.people import state
from tollway.adapters.sql.snapshot import SqlSnapshotStore
from tollway.adapters.system.secrets import AesGcmBox
from tollway.app.admin.commands.keys import KeySpec, create_key, rotate_key
from tollway.app.admin.commands.peppers import ensure_pepper, open_peppers, pepper_purpose
from tollway.app.ports import SecretError
from tollway.domain.key import digest_key, matches, split_key
from tollway.domain.snapshot import index

OTHER_BOX = AesGcmBox(bytes(31) + b"x")


def served(work, engine):
    """What workers would serve from."""
    work.uow.commit()
    rows = SqlSnapshotStore(engine).load()
    return index(rows, open_peppers(BOX, rows.peppers))


def test_keys_share_a_pepper_made_at_first_use(work, engine):
    """One version until there is a newer one, which new keys are made with; old keys go on."""
    assert work.uow.peppers.newest() is None
    texts = [done(create_key(work, "ten_a", KeySpec("k"))).text for _ in range(2)]
    assert [version for version, _ in work.uow.peppers.every()] == [1]
    work.uow.peppers.add(2, BOX.seal(b"another pepper", pepper_purpose(2)))
    texts.append(done(create_key(work, "ten_a", KeySpec("k"))).text)
    snapshot = served(work, engine)
    found = [(snapshot.keys[key_id], secret) for key_id, secret in map(split_key, texts)]
    assert [record.pepper_version for record, _ in found] == [1, 1, 2]
    for record, secret in found:
        assert matches(record, snapshot.peppers[record.pepper_version], secret)


def test_a_pepper_is_random_and_kept_sealed(work):
    """What stands in the database is not it; asking again finds the same."""
    version, pepper = ensure_pepper(work.uow, BOX, work.entropy)
    assert (version, len(pepper)) == (1, 32)
    assert ensure_pepper(work.uow, BOX, work.entropy) == (1, pepper)
    ((_, wrapped),) = work.uow.peppers.every()
    assert pepper not in wrapped
    assert open_peppers(BOX, work.uow.peppers.every()) == {1: pepper}


def test_a_pepper_opens_as_the_version_it_was_made_as(work):
    """An envelope that was moved to another row opens there for nobody."""
    ensure_pepper(work.uow, BOX, work.entropy)
    ((_, wrapped),) = work.uow.peppers.every()
    with pytest.raises(SecretError):
        open_peppers(BOX, [(2, wrapped)])


def test_a_wrong_master_key_makes_no_keys(work):
    """It is noticed before a key exists that nobody could use."""
    key = done(create_key(work, "ten_a", KeySpec("k"))).view
    before, wrong = state(work.uow), replace(work, box=OTHER_BOX)
    with pytest.raises(SecretError):
        create_key(wrong, "ten_a", KeySpec("k"))
    assert state(work.uow) == before
    with pytest.raises(SecretError):
        rotate_key(wrong, "ten_a", key.id)
    with pytest.raises(SecretError):
        open_peppers(OTHER_BOX, work.uow.peppers.every())


def test_a_key_that_was_refused_made_no_pepper(work):
    """Nothing is made for nothing."""
    create_key(work, "ten_a", KeySpec(""))
    assert work.uow.peppers.newest() is None
    assert facts(work.uow) == []


def test_a_key_opens_with_its_text_alone(work, engine):
    """What is served verifies the text and does not contain it; nor does the database's file, nor
    the record of who made it. The digest is the tenant's and the key's own."""
    text = done(create_key(work, "ten_a", KeySpec("first"))).text
    told = repr(facts(work.uow))
    snapshot = served(work, engine)
    key_id, secret = split_key(text)
    record, pepper = snapshot.keys[key_id], snapshot.peppers[1]
    assert matches(record, pepper, secret)
    assert not matches(record, pepper, secret[::-1])
    assert not matches(replace(record, tenant_id="ten_b"), pepper, secret)
    assert record.digest == digest_key(pepper, "ten_a", key_id, secret)
    assert secret not in told
    file = engine.url.database
    with open(file, "rb") as database, open(f"{file}-wal", "rb") as log:
        assert secret.encode() not in database.read() + log.read()
