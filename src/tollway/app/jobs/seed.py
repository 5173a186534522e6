"""The prices that come with the package, put into the book: what is missing of them. A newer
package brings newer entries; none is ever taken away, and administrators' own are not touched.
"""

from collections.abc import Sequence

from tollway.app.ports_admin import Configuration
from tollway.app.ports_records import AuditFact
from tollway.app.views import PriceView
from tollway.domain.price_book import Entry


def seed_prices(configuration: Configuration, entries: Sequence[Entry]) -> int:
    """How many were added. Ids name the same entry for ever, so seeding again adds nothing. Raises
    StoreUnavailableError."""
    prices = [PriceView(*entry) for entry in entries]
    with configuration.begin() as uow:
        added = uow.prices.add_seed(prices) if prices else 0
        if added:
            by = ("seed", "the package's prices", "system")
            uow.audit.append(
                AuditFact("prices.seeded", "price", "seed", None, *by, {"added": added}, None, None)
            )
            uow.commit()
    return added
