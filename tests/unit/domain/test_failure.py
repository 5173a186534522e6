"""What may be tried again, and what the client is told."""

import pytest

from tollway.domain.failure import (
    Cause,
    Failure,
    Phase,
    client_code,
    client_status,
    may_try_another,
)


@pytest.mark.parametrize(
    ("phase", "cause", "status", "again"),
    [
        (Phase.CONNECT, Cause.REFUSED, None, True),
        (Phase.HEADERS, Cause.TIMEOUT, None, True),
        (Phase.FIRST_EVENT, Cause.PROTOCOL, None, True),
        (Phase.FIRST_EVENT, Cause.STREAM_ERROR, 500, True),
        (Phase.BODY, Cause.RESET, None, False),
        (Phase.BODY, Cause.STATUS, 503, False),
        (Phase.HEADERS, Cause.CLIENT_GONE, None, False),
        (Phase.HEADERS, Cause.DRAINED, None, False),
        *(
            (Phase.FIRST_EVENT, Cause.STATUS, s, True)
            for s in (401, 403, 408, 424, 429, 500, 503, None)
        ),
        *((Phase.FIRST_EVENT, Cause.STATUS, s, False) for s in (400, 404, 413, 422)),
        *((Phase.FIRST_EVENT, Cause.STREAM_ERROR, s, False) for s in (400, 404)),
        *((Phase.FIRST_EVENT, Cause.STREAM_ERROR, s, True) for s in (429, None)),
    ],
)
def test_another_target_is_tried_only_when_it_could_help(phase, cause, status, again):
    """Never after the first byte, never for a client that left, never for a bad request."""
    assert may_try_another(Failure(phase, cause, "", status)) is again


@pytest.mark.parametrize(
    ("phase", "cause", "status", "told"),
    [
        *(
            (Phase.FIRST_EVENT, Cause.STATUS, s, s)
            for s in (400, 404, 409, 413, 422, 429, 500, 529)
        ),
        *((Phase.FIRST_EVENT, Cause.STATUS, s, 502) for s in (401, 402, 403, 407, 302, 600, None)),
        (Phase.FIRST_EVENT, Cause.STREAM_ERROR, 429, 429),
        (Phase.FIRST_EVENT, Cause.STREAM_ERROR, None, 502),
        (Phase.CONNECT, Cause.TIMEOUT, None, 502),
        (Phase.HEADERS, Cause.TIMEOUT, None, 504),
        (Phase.FIRST_EVENT, Cause.TIMEOUT, None, 504),
        (Phase.HEADERS, Cause.CLIENT_GONE, None, 499),
        (Phase.HEADERS, Cause.DRAINED, None, 503),
        (Phase.CONNECT, Cause.DNS, None, 502),
        (Phase.HEADERS, Cause.RESET, None, 502),
    ],
)
def test_the_status_a_client_sees(phase, cause, status, told):
    """The provider's own where it concerns the request; never 401 for a credential of ours."""
    assert client_status(Failure(phase, cause, "", status)) == told


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("cause", Cause)
def test_every_failure_has_a_code(cause, phase):
    """Before the first byte as well as in a stream; the provider's own goes with its status."""
    failure = Failure(phase, cause, "", 429, code="theirs")
    told = cause in (Cause.STATUS, Cause.STREAM_ERROR)
    assert (client_code(failure) == "theirs") is told
    assert client_code(Failure(phase, cause, "")) not in (None, "", "theirs")
    assert client_code(Failure(phase, cause, "", 401, code="theirs")) != "theirs"
