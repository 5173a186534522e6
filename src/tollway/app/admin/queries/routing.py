"""Providers, models, grants and prices as people see them. A tenant's people see their own, and of
the platform's the models opened to them: by name, not where those lead.
"""

from collections.abc import Sequence

from tollway.app.admin.outcome import Rejected
from tollway.app.admin.reach import (
    GROUP,
    discreet,
    holders_of,
    model_in_reach,
    provider_in_reach,
    tenants_in_view,
)
from tollway.app.admin.work import Work, absent
from tollway.app.ports_directory import Page
from tollway.app.views import (
    CredentialView,
    GrantView,
    ModelView,
    PriceView,
    ProviderView,
    TenantView,
)
from tollway.domain.ids import CredentialId, ModelId, ProviderId, TenantId
from tollway.domain.policy import Action
from tollway.domain.result import Err, Ok, Result


def list_providers(
    work: Work, at: Page, *, tenant_id: TenantId | None = None
) -> Result[list[ProviderView], Rejected]:
    """A tenant's providers; without one, all that the actor may see."""
    shown = tenants_in_view(work, Action.PROVIDER_READ, tenant_id, kind="provider")
    if isinstance(shown, Err):
        return shown
    owners = None if shown.value is None else [tenant.id for tenant in shown.value]
    return Ok(work.uow.providers.page(at, owners=owners))


def read_provider(work: Work, provider_id: ProviderId) -> Result[ProviderView, Rejected]:
    """One provider. The platform's are its administrators' alone."""
    return provider_in_reach(work, provider_id)


def read_credential(
    work: Work, provider_id: ProviderId, credential_id: CredentialId
) -> Result[CredentialView, Rejected]:
    """One credential of a provider, without its secret."""
    found = read_provider(work, provider_id)
    if isinstance(found, Err):
        return found
    for credential in found.value.credentials:
        if credential.id == credential_id:
            return Ok(credential)
    return Err(absent("credential"))


def list_models(
    work: Work, at: Page, *, tenant_id: TenantId | None = None
) -> Result[list[ModelView], Rejected]:
    """What a tenant may call, its own models and the platform's opened to it; without one, all that
    the actor may see."""
    shown = tenants_in_view(work, Action.MODEL_READ, tenant_id, kind="model")
    if isinstance(shown, Err):
        return shown
    if shown.value is None:
        return Ok(work.uow.models.page(at))
    owners: list[TenantId | None] = [tenant.id for tenant in shown.value]
    if any(tenant.settings.models == "all" for tenant in shown.value):
        owners.append(None)
    found = work.uow.models.page(at, owners=owners, granted_to=_holders(shown.value))
    return Ok([discreet(work, model) for model in found])


def read_model(work: Work, model_id: ModelId) -> Result[ModelView, Rejected]:
    """One model. A platform model that is opened to none of the actor's tenants is absent."""
    return model_in_reach(work, model_id)


def list_grants(
    work: Work,
    at: Page,
    *,
    tenant_id: TenantId | None = None,
    group: str | None = None,
    model_id: ModelId | None = None,
) -> Result[list[GrantView], Rejected]:
    """Grants of a tenant (through its group too), of a group, or of a model; of these only what
    concerns the actor's tenants."""
    shown = tenants_in_view(work, Action.GRANT_READ, tenant_id, kind="grant")
    if isinstance(shown, Err):
        return shown
    holders = None if shown.value is None else _holders(shown.value)
    if group is not None:
        named = f"{GROUP}{group}"
        holders = [named] if holders is None or named in holders else []
    return Ok(work.uow.grants.page(at, holders=holders, model_id=model_id))


def read_grant(work: Work, model_id: ModelId, holder: str) -> Result[GrantView, Rejected]:
    """One grant."""
    shown = tenants_in_view(work, Action.GRANT_READ, None, kind="grant")
    if isinstance(shown, Err):
        return shown
    hidden = shown.value is not None and holder not in _holders(shown.value)
    grant = None if hidden else work.uow.grants.get(model_id, holder)
    return Ok(grant) if grant is not None else Err(absent("grant"))


def list_prices(
    work: Work, at: Page, *, model: str | None = None
) -> Result[list[PriceView], Rejected]:
    """The price book, or the entries of one upstream model: everybody's, and what was agreed with
    the actor's tenants."""
    wrong = work.denied(Action.PRICE_READ, kind="price", writes=False)
    if wrong is not None:
        return Err(wrong)
    owners = None if work.actor.platform_admin else [None, *work.actor.roles]
    return Ok(work.uow.prices.page(at, owners=owners, model=model))


def read_price(work: Work, price_id: str) -> Result[PriceView, Rejected]:
    """One entry."""
    wrong = work.denied(Action.PRICE_READ, kind="price", writes=False)
    price = None if wrong is not None else work.uow.prices.get(price_id)
    if price is None or (price.tenant_id is not None and not work.actor.knows(price.tenant_id)):
        return Err(wrong or absent("price"))
    return Ok(price)


def _holders(tenants: Sequence[TenantView]) -> list[str]:
    return [holder for tenant in tenants for holder in holders_of(tenant)]
