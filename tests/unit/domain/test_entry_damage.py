"""Receipts from a damaged journal: told apart from those that only need cleaning."""

import pytest

from tests.fakes.receipts import an_outcome
from tollway.domain.entry import Flaw, cleaned, is_plain

REQUEST_ID = "req_20261118abcdefabcdef00000001"
RECEIPT = an_outcome(REQUEST_ID)


@pytest.mark.parametrize(
    "fields",
    [
        {"model": 5},
        {"outcome": None},
        {"payer": b"reported"},
        {"started_ns": None},
        {"input": 1.5},
        {"status": True},
        {"ended_ns": 2**63},
        {"stream": 1},
        {"tags": "a=b"},
        {"tags": ("ab",)},
        {"tags": (("a", "b", "c"),)},
        {"tags": ((1, "b"),)},
        {"tags": (("a", None),)},
        {"tags": None},
        {"kind": "correction"},
        {"seq": 1},
        {"attempt": -1},
        {"request_id": "evt_1"},
        {"output": -1},
        {"output": 10**12 + 1},
        {"cost_nusd": 10**15 + 1},
    ],
    ids=str,
)
def test_damage_is_a_flaw(fields):
    """A wrong type, an impossible number or another kind of record is refused with a reason."""
    found = cleaned(RECEIPT._replace(**fields))
    assert isinstance(found, Flaw)


@pytest.mark.parametrize("tags", [((1, "b"),), (("a", None),)])
def test_tags_that_are_no_text_are_not_plain(tags):
    """The quick look does not stumble over damage."""
    assert not is_plain(RECEIPT._replace(tags=tags))


def test_what_may_be_absent_may_be_absent():
    """Optional texts and numbers stay None; lists of the journal become tuples."""
    bare = RECEIPT._replace(model=None, input=None, upstream_status=None, tags=[["a", "b"]])
    assert cleaned(bare) == bare._replace(tags=(("a", "b"),))
