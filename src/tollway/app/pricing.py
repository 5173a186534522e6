"""What each outcome costs, before it becomes a row: the price in force when the request was
admitted, at the provider that served it. Unknown is not free: without a price, no cost.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tollway.app.ports import StoreUnavailableError
from tollway.domain.ids import ProviderId, TenantId
from tollway.domain.price_book import Entry, Place, PriceBook, find_price
from tollway.domain.pricing import Price, cost_nusd
from tollway.domain.receipt import Receipt, usage_of
from tollway.domain.usage import Usage

_MAX_KNOWN = 20_000
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class PriceList:
    """All entries, and what each provider's prices may stand under (`price_kinds`)."""

    entries: Sequence[Entry]
    kinds: Mapping[str, tuple[str, ...]]


class Served(NamedTuple):
    """What answered, and for which tenant."""

    provider_id: str
    tenant_id: str | None
    target_model: str


class PriceSource(Protocol):
    """Where prices are kept."""

    def mark(self) -> object:
        """Equal as long as nothing has changed. Cheap. Raises StoreUnavailableError."""

    def read(self) -> PriceList:
        """All of it. Raises StoreUnavailableError."""


class Pricing:
    """Prices outcomes; takes up new prices by itself."""

    def __init__(self, source: PriceSource) -> None:
        self._source = source
        self._mark: object = None
        self._book = PriceBook(())
        self._kinds: Mapping[str, tuple[str, ...]] = {}
        self._begins: list[int] = []
        self._known: dict[tuple[str, str | None, str, int], Price | None] = {}

    def priced(self, receipts: Iterable[Receipt]) -> list[Receipt]:
        """The same outcomes with their cost. Raises StoreUnavailableError."""
        given = list(receipts)
        if given:
            self.renew()
        return [self.priced_as_known(receipt) for receipt in given]

    @property
    def in_use(self) -> bool:
        """Whether prices were ever looked for."""
        return self._mark is not None

    def renew(self) -> None:
        """Take up what has changed. Raises StoreUnavailableError."""
        mark = self._source.mark()
        if mark == self._mark:
            return
        found = self._source.read()
        self._book, self._kinds = PriceBook(found.entries), found.kinds
        self._begins = sorted({entry.effective_from_s for entry in found.entries})
        self._known.clear()
        self._mark = mark

    def priced_as_known(self, receipt: Receipt) -> Receipt:
        """The same outcome with its cost by the prices taken up last. One that has a cost keeps it:
        what was counted is what is booked."""
        if receipt.cost_nusd is not None:
            return receipt
        if receipt.provider_id is None or receipt.target_model is None:
            return receipt
        served = Served(receipt.provider_id, receipt.tenant_id, receipt.target_model)
        usage = None if receipt.usage_source == "none" else usage_of(receipt)
        cost, version = self.cost_of(served, usage, at_s=receipt.started_ns // _NS)
        return receipt if cost is None else receipt._replace(cost_nusd=cost, price_version=version)

    def cost_of(
        self, served: Served, usage: Usage | None, *, at_s: int
    ) -> tuple[int | None, str | None]:
        """What usage costs, and by which entry of the book. Without usage the provider counted
        nothing and nobody got anything: it is free."""
        if usage is None:
            return 0, None
        price = self.find(*served, at_s=at_s)
        cost = None if price is None else cost_nusd(price, usage)
        return (None, None) if price is None or cost is None else (cost, price.id)

    def find(
        self, provider_id: str, tenant_id: str | None, target_model: str, *, at_s: int
    ) -> Price | None:
        """The price in force at this second, of those taken up last; the first look takes them
        up."""
        if self._mark is None:
            with suppress(StoreUnavailableError):
                self.renew()
        # Between two beginnings of prices the answer is the same.
        key = (provider_id, tenant_id, target_model, bisect_right(self._begins, at_s))
        try:
            return self._known[key]
        except KeyError:
            pass
        place = Place(
            self._kinds.get(provider_id, ()),
            ProviderId(provider_id),
            None if tenant_id is None else TenantId(tenant_id),
        )
        price = find_price(self._book, place, target_model, at_s=at_s)
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[key] = price
        return price
