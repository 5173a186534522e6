"""The one table from refusals and failures to statuses, headers and bodies."""

from typing import get_args

import msgspec
import pytest

from tollway.domain.failure import Cause, Failure, Phase, client_status
from tollway.domain.refusal import (
    BadRequest,
    Conflict,
    Forbidden,
    ModelNotFound,
    QuotaExceeded,
    Refusal,
    ResponseNotFound,
    Unauthenticated,
    Unavailable,
    refused_status,
)
from tollway.web.gateway.problems import render_failure, render_refusal

EXAMPLES: list[tuple[Refusal, int, str, dict[bytes, bytes]]] = [
    (BadRequest("No.", "unbounded_input", "messages"), 400, "unbounded_input", {}),
    (Unauthenticated("No."), 401, "invalid_api_key", {b"www-authenticate": b"Bearer"}),
    (Forbidden("No."), 403, "permission_denied", {}),
    (ModelNotFound("m"), 404, "model_not_found", {}),
    (ResponseNotFound("resp_x"), 404, "response_not_found", {}),
    (ResponseNotFound("resp_x", "previous_response_id"), 404, "previous_response_not_found", {}),
    (
        Conflict("No.", "idempotency_key_in_use", 1.0),
        409,
        "idempotency_key_in_use",
        {b"retry-after": b"1", b"retry-after-ms": b"1000"},
    ),
    (Conflict("No.", "no_repeat"), 409, "no_repeat", {b"x-should-retry": b"false"}),
    (
        QuotaExceeded("No.", exhausted=False, retry_after_s=1.25),
        429,
        "rate_limit_exceeded",
        {b"retry-after": b"2", b"retry-after-ms": b"1250"},
    ),
    (
        QuotaExceeded("No.", exhausted=True, retry_after_s=60),
        429,
        "insufficient_quota",
        {b"retry-after": b"60", b"retry-after-ms": b"60000", b"x-should-retry": b"false"},
    ),
    (
        QuotaExceeded("No.", exhausted=True),
        429,
        "insufficient_quota",
        {b"x-should-retry": b"false"},
    ),
    (
        Unavailable("No.", retry_after_s=0.5),
        503,
        "service_unavailable",
        {b"retry-after": b"1", b"retry-after-ms": b"500"},
    ),
]


def test_the_examples_are_the_union():
    """No refusal is without a row here."""
    assert {type(example[0]) for example in EXAMPLES} == set(get_args(Refusal))


@pytest.mark.parametrize(("refusal", "status", "code", "extra"), EXAMPLES)
def test_openai_shape(refusal, status, code, extra):
    """Status, code and headers of each refusal."""
    got, headers, body = render_refusal(refusal, "openai")
    assert got == status == refused_status(refusal)
    assert dict(headers) == {b"content-type": b"application/json", **extra}
    error = msgspec.json.decode(body)["error"]
    assert error["code"] == code
    assert error["message"]


@pytest.mark.parametrize(("refusal", "status", "code", "extra"), EXAMPLES)
def test_anthropic_shape(refusal, status, code, extra):
    """The same facts in the other shape, with the request's id."""
    got, headers, body = render_refusal(refusal, "anthropic", "req_1")
    assert got == status
    assert dict(headers).items() >= extra.items()
    decoded = msgspec.json.decode(body)
    assert decoded["type"] == "error"
    assert decoded["request_id"] == "req_1"
    assert decoded["error"]["type"].endswith("_error")


def test_bad_request_names_its_field():
    """The field at fault is told."""
    _, _, body = render_refusal(BadRequest("No.", param="n"), "openai")
    assert msgspec.json.decode(body)["error"]["param"] == "n"


def test_model_name_is_harmless():
    """A name of a megabyte with control characters becomes a short plain one."""
    _, _, body = render_refusal(ModelNotFound("\x1b[31m\ud800" + "x" * 1_000_000), "openai")
    assert len(body) < 1_000
    assert b"\x1b" not in body


@pytest.mark.parametrize("shape", ["openai", "anthropic"])
@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("cause", list(Cause))
def test_every_failure_is_rendered(cause, phase, shape):
    """Whatever went wrong upstream has a status of the table, a code and a message."""
    failure = Failure(phase, cause, "what happened", 429 if cause is Cause.STATUS else None)
    status, _, body = render_failure(failure, shape)
    assert status == client_status(failure)
    error = msgspec.json.decode(body)["error"]
    assert error["message"]
    assert shape == "anthropic" or error["code"]


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (Cause.REFUSED, "upstream_unreachable"),
        (Cause.DNS, "upstream_unreachable"),
        (Cause.TLS, "upstream_unreachable"),
        (Cause.TIMEOUT, "upstream_timeout"),
        (Cause.RESET, "upstream_error"),
        (Cause.PROTOCOL, "upstream_protocol_error"),
    ],
)
def test_failure_codes(cause, code):
    """Codes that clients may rely on."""
    _, _, body = render_failure(Failure(Phase.HEADERS, cause, "x"), "openai")
    assert msgspec.json.decode(body)["error"]["code"] == code


def test_network_details_stay_inside():
    """Addresses of the platform's network are not told to its tenants."""
    for cause in (Cause.REFUSED, Cause.DNS, Cause.TLS, Cause.FORBIDDEN_ADDRESS, Cause.CREDENTIAL):
        _, _, body = render_failure(Failure(Phase.CONNECT, cause, "10.0.0.3 sk-secret"), "openai")
        assert b"10.0.0.3" not in body
        assert b"sk-secret" not in body


def test_providers_own_no_passes_with_its_code():
    """A provider's 400 keeps status, message and code."""
    failure = Failure(Phase.FIRST_EVENT, Cause.STATUS, "Too long.", 400, None, "context_length")
    status, _, body = render_failure(failure, "openai")
    error = msgspec.json.decode(body)["error"]
    assert (status, error["message"], error["code"]) == (400, "Too long.", "context_length")


def test_our_credential_is_not_the_clients_business():
    """A provider's 401 is our fault: 502, and its message, which may quote the key, stays here."""
    failure = Failure(Phase.FIRST_EVENT, Cause.STATUS, "Incorrect key sk-secret", 401, None, "k")
    status, _, body = render_failure(failure, "openai")
    assert status == 502
    assert b"sk-secret" not in body
    assert msgspec.json.decode(body)["error"]["code"] == "upstream_error"


def test_retry_after_of_the_provider_is_passed_on():
    """Milliseconds round up, never below what the provider asked for."""
    failure = Failure(Phase.FIRST_EVENT, Cause.STATUS, "Slow down.", 429, 0.0101)
    _, headers, _ = render_failure(failure, "openai")
    assert dict(headers)[b"retry-after"] == b"1"
    assert dict(headers)[b"retry-after-ms"] == b"11"


def test_a_drained_request_may_come_again():
    """A request that our own shutdown ended is told to come back."""
    status, headers, _ = render_failure(Failure(Phase.HEADERS, Cause.DRAINED, "x"), "openai")
    assert status == 503
    assert dict(headers)[b"retry-after"] == b"1"
