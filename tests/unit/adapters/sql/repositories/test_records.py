"""The audit as rows: chained in the order of commits, and found again; answers kept for repeats."""

import threading

import pytest
from sqlalchemy import text

from tests.fakes.database import NOW_S
from tollway.adapters.sql.engine import writing
from tollway.app.admin.queries.audit import KeptHead, verify_audit
from tollway.app.ports_records import AuditFact, AuditFilter, StoredReply
from tollway.domain.audit import GENESIS, head_mac


def fact(action="key.created", object_id="key_1", tenant_id="ten_a", actor="acc_1", **changes):
    return AuditFact(
        action, "key", object_id, tenant_id, actor, "Ann", "session", changes, None, "10.0.0.1"
    )


def write(configuration, *facts):
    with configuration.begin() as uow:
        for one in facts:
            uow.audit.append(one)
        uow.commit()


def verified(configuration):
    with configuration.read() as uow:
        return verify_audit(uow)


def test_rows_come_back_the_newest_first(configuration):
    """With all that was said, and only what was asked for."""
    write(configuration, fact(name="naïve\u2028", n=[None, 1]), fact("key.revoked", actor="acc_2"))
    write(configuration, fact("tenant.created", "ten_b", "ten_b"), fact("x", "y", None))
    with configuration.read() as uow:
        every = uow.audit.page(AuditFilter(), limit=10, before=None)
        assert [row.seq for row in every] == [4, 3, 2, 1]
        assert every[3].changes == {"name": "naïve\u2028", "n": [None, 1]}
        assert (every[3].at_s, every[3].actor_name, every[0].tenant_id) == (NOW_S, "Ann", None)

        def seqs(limit=10, before=None, **only):
            page = uow.audit.page(AuditFilter(**only), limit=limit, before=before)
            return [row.seq for row in page]

        assert seqs(tenants=["ten_a"]) == [2, 1]
        assert seqs(tenants=[]) == []
        assert seqs(action="key.revoked") == [2]
        assert seqs(object_id="ten_b") == [3]
        assert seqs(actor_id="acc_2") == [2]
        assert seqs(since_s=NOW_S) == [4, 3, 2, 1]
        assert seqs(until_s=NOW_S) == []
        assert seqs(limit=2, before=4) == [3, 2]


def test_a_whole_audit_is_verified(configuration):
    """However many there are, in whatever batches."""
    assert verified(configuration).bad is None
    for _ in range(3):
        write(configuration, *[fact(number=number) for number in range(400)])
    found = verified(configuration)
    assert (found.rows, found.bad) == (1200, None)
    with configuration.read() as uow:
        assert uow.audit.head() == (1200, found.head)


@pytest.mark.parametrize(
    ("statement", "bad"),
    [
        ("UPDATE audit_log SET actor_name = 'Bob' WHERE seq = 2", 2),
        ("UPDATE audit_log SET tenant_id = NULL WHERE seq = 3", 3),
        ("UPDATE audit_log SET changes = '{}' WHERE seq = 1", 1),
        ("DELETE FROM audit_log WHERE seq = 2", 2),
        ("UPDATE audit_log SET seq = 9 WHERE seq = 4", 4),
    ],
)
def test_what_was_done_to_a_row_shows(configuration, engine, statement, bad):
    """The first row that is not what it was is named."""
    write(configuration, *[fact(number=number) for number in range(4)])
    with writing(engine) as connection:
        connection.execute(text(statement))
    assert verified(configuration).bad == bad


def test_a_fact_of_a_failed_unit_was_never_there(configuration):
    """The row comes and goes with the change it tells of."""
    with configuration.begin() as uow:
        uow.audit.append(fact())
    write(configuration, fact())
    assert verified(configuration) == verified(configuration)
    assert verified(configuration).rows == 1


def test_writers_at_once_make_one_chain(configuration):
    """The chain never forks: each waits for the one before."""

    def several():
        for number in range(10):
            write(configuration, fact(number=number))

    threads = [threading.Thread(target=several) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = verified(configuration)
    assert (found.rows, found.bad) == (40, None)


def test_an_empty_audit_has_its_beginning(configuration):
    """Before the first row."""
    with configuration.read() as uow:
        assert uow.audit.head() == (0, GENESIS)


REPLY = StoredReply(b"digest", 201, "/api/v1/tenants/ten_a", b"{}")


def test_an_answer_is_the_actors_own(configuration):
    """Under the same key, somebody else gets nothing."""
    with configuration.begin() as uow:
        uow.replies.add("acc_1", "k", REPLY)
        assert uow.replies.get("acc_1", "k") == REPLY
        assert uow.replies.get("acc_2", "k") is None
        assert uow.replies.get("acc_1", "other") is None


def test_an_answer_is_forgotten(configuration):
    """After its time, whether or not it was cleared away."""
    with configuration.begin() as uow:
        uow.replies.add("acc_1", "k", REPLY)
        assert uow.replies.remove_old(NOW_S) == 0
        assert uow.replies.remove_old(NOW_S + 1) == 1
        assert uow.replies.get("acc_1", "k") is None


def test_a_cut_tail_shows_by_the_kept_head(configuration, engine):
    """The chain that is left is whole: the head in the log tells that it was longer."""
    write(configuration, *[fact(number=number) for number in range(3)])
    with configuration.read() as uow:
        seq, digest = uow.audit.head()
    kept = KeptHead(seq, head_mac(b"secret", seq, digest), b"secret")
    write(configuration, fact())
    with configuration.read() as uow:
        assert verify_audit(uow, kept).bad is None
    with writing(engine) as connection:
        connection.execute(text("DELETE FROM audit_log WHERE seq > 2"))
    assert verified(configuration).bad is None
    with configuration.read() as uow:
        assert verify_audit(uow, kept).bad == 3
