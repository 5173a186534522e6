"""Which of a provider's credentials a call goes with: by weight, among those that are not resting.
One that was refused, or is at its limit, rests for a while; its turn goes to the others.
"""

from tollway.app.gateway.runtime import Gateway
from tollway.domain.failure import Cause, Failure
from tollway.domain.provider import CredentialRecord, ProviderRecord
from tollway.domain.routing import weighted_place

_ITS_OWN = frozenset({401, 402, 403, 429})  # statuses that speak of the account and not the request


def choose_credential(
    gateway: Gateway, provider: ProviderRecord, model: str
) -> tuple[CredentialRecord | None, bool]:
    """The one to call with, None where there is none; and whether another one could be tried."""
    found = provider.credentials
    if len(found) < 2:
        return (found[0] if found else None), False
    turn = gateway.credential_turns.get(provider.id, 0)
    gateway.credential_turns[provider.id] = turn + 1
    well = [one for one in found if gateway.accounts.get(provider, one, model).is_well]
    among = well or found
    place = weighted_place([one.weight for one in among], turn)
    return among[place], len(well) > 1


def is_credentials_fault(failure: Failure) -> bool:
    """Whether another credential of the same provider may do better."""
    status = failure.cause is Cause.STATUS and failure.status in _ITS_OWN
    return status or failure.cause is Cause.CREDENTIAL
