"""What outcomes cost, when they become rows."""

import pytest

from tests.fakes.clock import FixedClock
from tests.fakes.receipts import an_outcome
from tests.unit.app.jobs.test_ship import Journals
from tollway.adapters.memory.ledger import MemoryLedger
from tollway.app.jobs.ship import Shipper
from tollway.app.ports import StoreUnavailableError
from tollway.app.pricing import PriceList, Pricing
from tollway.domain.price_book import Entry
from tollway.domain.receipt import Payer

START_S = 1_700_000_000
OLD = Entry("prc_old", "small-1", START_S - 100, {"input": "1", "output": "2"})
NEW = Entry("prc_new", "small-1", START_S, {"input": "10", "output": "20"})
OWN = Entry("prc_own", "small-*", 0, {"input": "0", "output": "0"}, tenant_id="ten_2")


class Book:
    """A `PriceSource` over a list; counts how often it was read."""

    def __init__(self, *entries):
        self.entries = list(entries)
        self.reads = 0

    def mark(self):
        return len(self.entries)

    def read(self):
        self.reads += 1
        return PriceList(self.entries, {"prv_1": ("openai",)})


def priced(book, **fields):
    [receipt] = Pricing(book).priced([an_outcome(**fields)])
    return receipt.cost_nusd, receipt.price_version


def test_the_price_at_admission_decides():
    """12 tokens in, 34 out; a second earlier the older entry was in force, whenever it ended."""
    book = Book(OLD, NEW)
    assert priced(book) == (800_000, "prc_new")
    earlier = START_S * 1_000_000_000 - 1
    assert priced(book, started_ns=earlier) == (80_000, "prc_old")


def test_a_tenant_pays_its_own_price():
    """Its entry is nearer than everybody's, and free is a cost of 0, not none."""
    assert priced(Book(OLD, NEW, OWN), tenant_id="ten_2") == (0, "prc_own")


def test_unknown_is_not_free():
    """No entry, or no usage: no cost, and reports count the row as unpriced."""
    assert priced(Book(OLD), target_model="other") == (None, None)
    assert priced(Book(OLD), input=None, output=None) == (None, None)


def test_what_was_not_served_costs_nothing():
    """The provider counted nothing: 0, with or without a price."""
    failed = {"input": 0, "output": 0, "usage_source": "none", "payer": Payer.FAILED.value}
    assert priced(Book(), **failed) == (0, None)


def test_a_request_without_an_attempt_has_no_cost():
    """There is no row of it either."""
    refused = an_outcome(attempt=0, provider_id=None, target_model=None)
    assert Pricing(Book(OLD)).priced([refused]) == [refused]


def test_a_new_price_is_seen_at_the_next_batch():
    """And while nothing changes the book is not read again."""
    book = Book(OLD)
    pricing = Pricing(book)
    first = pricing.priced([an_outcome(), an_outcome(attempt=2)])
    assert [receipt.price_version for receipt in first] == ["prc_old", "prc_old"]
    pricing.priced([an_outcome()])
    assert book.reads == 1
    book.entries.append(NEW)
    [later] = pricing.priced([an_outcome()])
    assert (later.price_version, book.reads) == ("prc_new", 2)


def test_nothing_is_asked_for_an_empty_batch():
    """Idle gateways leave the database alone."""
    book = Book(OLD)
    assert Pricing(book).priced([]) == []
    assert book.reads == 0


def test_rows_are_shipped_with_their_cost():
    """The ledger holds what the journal could not know."""
    ledger = MemoryLedger()
    journals = Journals(a=[an_outcome("req_20231114abcdefabcdef00000001")])
    Shipper(journals, ledger, FixedClock(0), pricing=Pricing(Book(OLD))).run_once()
    [row] = ledger.rows("req_20231114abcdefabcdef00000001")
    assert (row.cost_nusd, row.price_version) == (80_000, "prc_old")


def test_without_the_book_nothing_is_shipped():
    """Rows without a cost would stay so; the journal keeps them until the book can be read."""

    class Away(Book):
        def mark(self):
            raise StoreUnavailableError("locked")

    ledger = MemoryLedger()
    journals = Journals(a=[an_outcome("req_20231114abcdefabcdef00000001")])
    run = Shipper(journals, ledger, FixedClock(0), pricing=Pricing(Away())).run_once()
    assert (run.rows, run.trouble) == (0, ("The ledger cannot be reached: locked",))
    assert ledger.cursor("a") == (0, 0)


@pytest.mark.parametrize("count", [1, 20_005])
@pytest.mark.uncounted
def test_what_is_remembered_is_bounded(count):
    """Model names come from outside: any number of them is priced, and the right way."""
    pricing = Pricing(Book(Entry("prc_any", "m*", 0, {"input": "1"})))
    outcomes = [an_outcome(target_model=f"m{n}", output=None) for n in range(count)]
    assert {receipt.cost_nusd for receipt in pricing.priced(outcomes)} == {12_000}
    assert len(pricing._known) <= 20_000
