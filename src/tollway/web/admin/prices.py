"""`/prices`. Money is decimal text in USD, never a JSON number: a float is not a price."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field, StrictInt

from tollway.app.admin.commands import prices as commands
from tollway.app.admin.queries import routing as queries
from tollway.app.views import PriceView
from tollway.domain.ids import ProviderId, TenantId
from tollway.domain.policy import Action
from tollway.web.admin.callers import Caller, route, tagged
from tollway.web.admin.forms import Form
from tollway.web.admin.paging import Listed, Paging, listed
from tollway.web.admin.times import Moment, moment_of, seconds

router = APIRouter(tags=["prices"])
PricePath = Annotated[
    str,
    PathParameter(max_length=128, description="A price's id.", examples=["prc_0123456789abcdef"]),
]
Usd = Annotated[
    str | None,
    Field(pattern=r"^[0-9]{1,6}(\.[0-9]{1,9})?$", max_length=16, examples=["0.15"]),
]


class ClassRatesForm(Form):
    """USD for a million tokens of each class. Null takes another class's: cached input, cache
    writes, audio and images that of input, reasoning that of output."""

    input: Usd = None
    cached_input: Usd = None
    cache_write: Usd = None
    output: Usd = None
    reasoning: Usd = None
    audio: Usd = None
    image: Usd = None


class TierForm(ClassRatesForm):
    """What differs for the whole of a request with more than so many input tokens."""

    above_input_tokens: StrictInt = Field(ge=1, le=2**53, examples=[200_000])


class RatesForm(ClassRatesForm):
    """What a model costs. `request` is USD for each request."""

    request: Usd = None
    tiers: Annotated[list[TierForm], Field(max_length=8, examples=[[]])] = Field(
        default_factory=list
    )


class PriceIn(Form):
    """A new entry, for everybody or for one tenant; at one provider, at a kind of provider (or the
    host of an OpenAI-compatible one), or wherever. Without a time it begins now."""

    model: str = Field(
        max_length=200,
        description="The provider's name of the model; * stands for any characters, # for a digit.",
        examples=["gpt-5-mini"],
    )
    rates: RatesForm
    effective_from: Moment | None = None
    tenant_id: str | None = Field(default=None, max_length=64, examples=[None])
    provider_kind: str | None = Field(default=None, max_length=253, examples=["openai"])
    provider_id: str | None = Field(default=None, max_length=64, examples=[None])


class PriceOut(BaseModel):
    """An entry of the price book."""

    id: str = Field(examples=["prc_0123456789abcdef"])
    model: str
    rates: RatesForm
    effective_from: datetime
    tenant_id: str | None
    provider_kind: str | None
    provider_id: str | None
    source: str = Field(examples=["admin"])
    created_at: datetime


@router.get("/prices", **route(Action.PRICE_READ, "listPrices"))
def list_prices(
    caller: Caller,
    paging: Paging,
    model: Annotated[
        str | None, Query(max_length=200, description="Entries with just this name.")
    ] = None,
) -> Listed[PriceOut]:
    """The price book: what everybody pays, and what was agreed with your tenants."""
    found = caller.read(lambda work: queries.list_prices(work, paging, model=model))
    return listed(found, paging, out=_out, key=lambda view: view.id)


@router.post(
    "/prices",
    status_code=201,
    response_model=PriceOut,
    **route(Action.PRICE_WRITE, "createPrice"),
)
def create_price(caller: Caller, body: PriceIn) -> Response:
    """A new entry. It changes nothing that was billed before."""
    spec = commands.PriceSpec(
        body.model,
        _written(body.rates),
        seconds(body.effective_from),
        None if body.tenant_id is None else TenantId(body.tenant_id),
        body.provider_kind,
        None if body.provider_id is None else ProviderId(body.provider_id),
    )
    return caller.create(
        lambda work: commands.create_price(work, spec),
        out=_out,
        location=lambda made: f"/api/v1/prices/{made.id}",
    )


@router.get("/prices/{price_id}", **route(Action.PRICE_READ, "readPrice"))
def read_price(caller: Caller, price_id: PricePath, response: Response) -> PriceOut:
    """One entry."""
    found = caller.read(lambda work: queries.read_price(work, price_id))
    tagged(response, found.version)
    return _out(found)


@router.delete("/prices/{price_id}", status_code=204, **route(Action.PRICE_WRITE, "deletePrice"))
def delete_price(caller: Caller, price_id: PricePath) -> None:
    """An entry that was a mistake is gone; one that is in force stays."""
    caller.write(lambda work: commands.delete_price(work, price_id))


def _written(form: RatesForm) -> dict[str, Any]:
    written = form.model_dump(exclude_none=True)
    if not form.tiers:
        del written["tiers"]
    return written


def _out(view: PriceView) -> PriceOut:
    return PriceOut(
        id=view.id,
        model=view.model,
        rates=RatesForm.model_validate(_texts(view.rates)),
        effective_from=moment_of(view.effective_from_s),
        tenant_id=view.tenant_id,
        provider_kind=view.provider_kind,
        provider_id=view.provider_id,
        source=view.source,
        created_at=moment_of(view.created_s),
    )


def _texts(written: Any) -> dict[str, Any]:
    """A rate may be kept as a whole number."""
    texts = {name: str(rate) for name, rate in written.items() if name in _RATES}
    tiers = [
        {**_texts(tier), "above_input_tokens": tier["above_input_tokens"]}
        for tier in written.get("tiers", ())
    ]
    return {**texts, "tiers": tiers} if tiers else texts


_RATES = frozenset(RatesForm.model_fields) - {"tiers"}
