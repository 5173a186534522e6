"""Plain intents and receipts to start from; every field can be given."""

from typing import Any

from tollway.domain.receipt import Intent, Payer, Receipt


def an_intent(request_id: str = "req_1", attempt: int = 1, **fields: Any) -> Intent:
    """An intent of a streamed chat completion."""
    return Intent(
        request_id,
        attempt,
        slot=0,
        ticket=1,
        started_ns=1_700_000_000_000_000_000,
        endpoint="chat",
        stream=True,
        tenant_id="ten_1",
        project_id=None,
        account_id="acc_1",
        key_id="key_1",
        model="small",
        model_id="mdl_1",
        provider_id="prv_1",
        credential_id="crd_1",
        target_model="small-1",
        client_request_id=None,
        end_user=None,
        tags=(),
        input_estimate=12,
    )._replace(**fields)


def an_outcome(request_id: str = "req_1", attempt: int = 1, **fields: Any) -> Receipt:
    """A finished attempt with usage reported by the provider."""
    return Receipt(
        request_id,
        attempt,
        kind="usage",
        seq=0,
        started_ns=1_700_000_000_000_000_000,
        ended_ns=1_700_000_001_000_000_000,
        endpoint="chat",
        stream=True,
        tenant_id="ten_1",
        project_id=None,
        account_id="acc_1",
        key_id="key_1",
        model="small",
        model_id="mdl_1",
        provider_id="prv_1",
        credential_id="crd_1",
        target_model="small-1",
        client_request_id=None,
        end_user=None,
        tags=(),
        input=12,
        cached_input=None,
        cache_write=None,
        output=34,
        reasoning=None,
        audio=None,
        image=None,
        usage_source="provider",
        payer=Payer.REPORTED.value,
        cost_nusd=None,
        price_version=None,
        status=200,
        upstream_status=200,
        outcome="finished",
        error=None,
        first_byte_ns=1_700_000_000_500_000_000,
    )._replace(**fields)
