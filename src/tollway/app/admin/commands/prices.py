"""The price book's entries, made by the platform's administrators. What an entry costed stays as it
was billed: an entry in force is never taken out, a newer one takes its place.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tollway.app.admin.outcome import Kind, Rejected
from tollway.app.admin.reach import tenant_in_reach
from tollway.app.admin.work import Work, absent
from tollway.app.views import PriceView
from tollway.domain.ids import ProviderId, TenantId, make_id
from tollway.domain.policy import Action
from tollway.domain.price_book import check_pattern
from tollway.domain.pricing import read_rates
from tollway.domain.result import Err, Ok, Result

_KIND = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?")
_LAST_S = 253_402_300_799  # the last second of the year 9999


@dataclass(frozen=True, slots=True)
class PriceSpec:
    """What an upstream model costs from a second (UTC) on; None: from now. For everybody or for one
    tenant; at one provider, at a kind of provider (or the host of an OpenAI-compatible one), or
    wherever."""

    model: str
    rates: Mapping[str, Any]
    effective_from_s: int | None = None
    tenant_id: TenantId | None = None
    provider_kind: str | None = None
    provider_id: ProviderId | None = None
    source: str = "admin"


def create_price(work: Work, spec: PriceSpec) -> Result[PriceView, Rejected]:
    """A new entry. Of two from the same second on, the one made later holds."""
    wrong = (
        work.denied(Action.PRICE_WRITE, kind="tenant", tenant_id=spec.tenant_id)
        or _check(spec)
        or _check_place(work, spec)
    )
    if wrong is not None:
        return Err(wrong)
    begins_s = work.uow.now_s if spec.effective_from_s is None else spec.effective_from_s
    price = PriceView(
        make_id("prc", work.entropy(10)),
        spec.model,
        begins_s,
        dict(spec.rates),
        spec.tenant_id,
        spec.provider_kind,
        spec.provider_id,
        spec.source,
    )
    work.uow.prices.add(price)
    facts = {"model": price.model, "effective_from_s": begins_s, "rates": price.rates}
    _record(work, "price.created", price, facts)
    stored = work.uow.prices.get(price.id)
    assert stored is not None, "what was just written is there"
    return Ok(stored)


def delete_price(work: Work, price_id: str) -> Result[None, Rejected]:
    """An entry that was a mistake is gone, if it has not begun yet."""
    wrong = work.denied(Action.PRICE_WRITE, kind="price")
    price = None if wrong is not None else work.uow.prices.get(price_id)
    if price is None:
        return Err(wrong or absent("price"))
    wrong = work.stale(price.version)
    if wrong is None and price.effective_from_s <= work.uow.now_s:
        wrong = Rejected(
            "",
            "The price is in force: requests were billed by it. Make a newer one instead.",
            Kind.CONFLICT,
        )
    if wrong is not None:
        return Err(wrong)
    work.uow.prices.remove(price_id)
    _record(work, "price.deleted", price, {"model": price.model})
    return Ok(None)


def _check(spec: PriceSpec) -> Rejected | None:
    words = check_pattern(spec.model)
    if words is not None:
        return Rejected("model", words)
    read = read_rates(spec.rates)
    if isinstance(read, Err):
        return Rejected("rates", read.error)
    begins_s = spec.effective_from_s
    if begins_s is not None and not 0 <= begins_s <= _LAST_S:
        return Rejected("effective_from", "A price begins between the years 1970 and 9999.")
    if spec.provider_kind is not None and not _KIND.fullmatch(spec.provider_kind):
        return Rejected(
            "provider_kind", "Write a kind of provider like openai, or a host like api.example.com."
        )
    return None


def _check_place(work: Work, spec: PriceSpec) -> Rejected | None:
    if spec.tenant_id is not None:
        tenant = tenant_in_reach(work, spec.tenant_id)
        if isinstance(tenant, Err):
            return tenant.error
    if spec.provider_id is None:
        return None
    if spec.provider_kind is not None:
        return Rejected("provider_kind", "Give provider_id or provider_kind, not both.")
    provider = work.uow.providers.get(spec.provider_id)
    # Everybody may read what everybody pays, so it names no tenant's provider.
    if provider is None or provider.tenant_id not in (None, spec.tenant_id):
        return Rejected("provider_id", "There is no such provider for this price.")
    return None


def _record(work: Work, fact: str, price: PriceView, changes: dict[str, object]) -> None:
    work.record(fact, kind="price", object_id=price.id, tenant_id=price.tenant_id, changes=changes)
