"""Statuses of refusals."""

import typing

import pytest

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

EXAMPLES = {
    BadRequest("x"): 400,
    Unauthenticated("x"): 401,
    Forbidden("x"): 403,
    ModelNotFound("x"): 404,
    ResponseNotFound("resp_x"): 404,
    Conflict("x", "x"): 409,
    QuotaExceeded("x", exhausted=True): 429,
    Unavailable("x"): 503,
}


@pytest.mark.parametrize(("refusal", "status"), EXAMPLES.items(), ids=repr)
def test_each_fact_has_one_status(refusal, status):
    """The same in every dialect."""
    assert refused_status(refusal) == status


def test_no_fact_is_forgotten():
    """A new refusal without a status fails here."""
    assert {type(refusal) for refusal in EXAMPLES} == set(typing.get_args(Refusal))
