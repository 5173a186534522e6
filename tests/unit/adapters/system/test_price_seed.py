"""The prices that come with the package."""

import subprocess
import sys

from tollway.adapters.system.price_seed import read_seed
from tollway.domain.price_book import Place, PriceBook, find_price
from tollway.domain.pricing import cost_nusd
from tollway.domain.usage import Usage


def test_an_entry_keeps_its_id():
    """Rows are found again by it: the same entry has the same id in every release."""
    first = {entry.id: entry for entry in read_seed()}
    assert {entry.id: entry for entry in read_seed()} == first
    known = next(
        entry
        for entry in first.values()
        if (entry.provider_kind, entry.model) == ("openai", "gpt-4.1-nano")
    )
    assert known.rates == {"input": "0.1", "cached_input": "0.025", "output": "0.4"}
    assert known.id == "prc_pfey6n41p6ktx3dg"


def test_everybodys_and_seeded():
    """No tenant, no provider of anybody; own entries go before them."""
    for entry in read_seed():
        assert (entry.tenant_id, entry.provider_id, entry.source) == (None, None, "seed")
        assert entry.provider_kind


def test_claude_at_vertex_has_a_price():
    """Of caches too, however the target is written."""
    book = PriceBook(read_seed())
    for model in ("claude-sonnet-4-5@20250929", "publishers/anthropic/models/claude-opus-4-6"):
        price = find_price(book, Place(("vertex",)), model, at_s=2_000_000_000)
        assert price is not None
        assert cost_nusd(price, Usage(1, 1, 1, 1)) > 0


def test_nothing_is_read_at_import():
    """A process that asks for no prices has none in memory."""
    asked = (
        "import tollway.adapters.system.price_seed as seed; print(seed._load.cache_info().misses)"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True)
    assert done.stdout.strip() == b"0"
