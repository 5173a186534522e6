"""Signatures as the Standard Webhooks specification has them."""

import base64
import hashlib
import hmac

import pytest

from tollway.domain.notice_signing import new_secret, parse_secret, sign, signature_header
from tollway.domain.result import Err, Ok

# The vector that the specification's own libraries are tested with.
VECTOR_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
VECTOR_AT_S = 1_614_265_330
VECTOR_BODY = b'{"test": 2432232314}'
VECTOR_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
OTHER = bytes(range(32))


def vector_secret() -> bytes:
    parsed = parse_secret(VECTOR_SECRET)
    assert isinstance(parsed, Ok)
    return parsed.value


def test_the_published_vector() -> None:
    """The signature that all libraries of the specification come to."""
    signature = sign(
        vector_secret(), message_id=VECTOR_ID, timestamp_s=VECTOR_AT_S, body=VECTOR_BODY
    )
    assert signature == VECTOR_SIGNATURE


def test_a_signature_is_over_id_time_and_body() -> None:
    """A change to any of them is another signature; bytes that are no UTF-8 are signed too."""
    base = {"message_id": "evt_1", "timestamp_s": 1, "body": b"\xff"}
    seen = {sign(OTHER, **base)}  # type: ignore[arg-type]  # three kinds of values in one mapping
    for change in ({"message_id": "evt_2"}, {"timestamp_s": 2}, {"body": b"\xfe"}):
        seen.add(sign(OTHER, **{**base, **change}))  # type: ignore[arg-type]  # the same
    assert len(seen) == 4
    expected = hmac.new(OTHER, b"evt_1.1.\xff", hashlib.sha256).digest()
    assert f"v1,{base64.b64encode(expected).decode()}" in seen


def test_two_secrets_are_two_signatures() -> None:
    """While a secret changes over both sign, the current one first, with a space between."""
    header = signature_header(
        (OTHER, vector_secret()),
        message_id=VECTOR_ID,
        timestamp_s=VECTOR_AT_S,
        body=VECTOR_BODY,
    )
    first, second = header.split(" ")
    assert second == VECTOR_SIGNATURE
    assert first.startswith("v1,")
    assert first != second


def test_no_secret_is_an_error_and_not_no_signature() -> None:
    """An empty list, an empty secret and a short one do not sign."""
    for secrets in ((), (b"",), (b"x" * 23,), (b"x" * 65,), (OTHER, b"")):
        with pytest.raises(ValueError, match="secret"):
            signature_header(secrets, message_id="evt_1", timestamp_s=1, body=b"{}")


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "a\r\nx: y", "ä", "x" * 129])
def test_an_id_that_could_shift_the_signed_text_is_refused(message_id: str) -> None:
    """`a` with time `1.2` and `a.1` with time `2` would be signed alike."""
    with pytest.raises(ValueError, match="message id"):
        sign(OTHER, message_id=message_id, timestamp_s=1, body=b"{}")


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_secret_is_read_as_it_was_written(size: int) -> None:
    """From bytes to `whsec_...` and back."""
    written = new_secret(bytes(range(size)))
    assert written.startswith("whsec_")
    assert parse_secret(written) == Ok(bytes(range(size)))


@pytest.mark.parametrize("size", [0, 23, 65])
def test_a_secret_has_a_size(size: int) -> None:
    """Too little randomness is no secret, and more than the specification has is not read."""
    with pytest.raises(ValueError, match="24 to 64"):
        new_secret(b"x" * size)
    assert isinstance(parse_secret("whsec_" + base64.b64encode(b"x" * size).decode()), Err)


@pytest.mark.parametrize(
    "text", ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!", "whsec_ä",
             "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", VECTOR_SECRET + "\n", " " + VECTOR_SECRET],
)  # fmt: skip
def test_what_is_no_secret(text: str) -> None:
    """The message says what is wrong and nothing of what was written."""
    parsed = parse_secret(text)
    assert isinstance(parsed, Err)
    assert "MfKQ" not in parsed.error
