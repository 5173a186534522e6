"""Signatures as Amazon publishes them (`aws-sig-v4-test-suite`), and as botocore makes them."""

import pytest

from tollway.adapters.http.sigv4 import Signer, Unsigned
from tollway.domain.bedrock import AwsKeys

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEYS = AwsKeys("AKIDEXAMPLE", SECRET)
AT_S = 1440938160.9  # 2015-08-30T12:36:00Z
HOST = (b"host", b"example.amazonaws.com")
FORM = b"application/x-www-form-urlencoded"


def signed(signer: Signer, request: Unsigned) -> tuple[str, str, dict[bytes, bytes]]:
    """The names that were signed, the signature, and the other lines."""
    lines = dict(signer.lines(request))
    said = lines.pop(b"authorization").decode()
    head, names, signature = said.split(", ")
    assert head.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/")
    assert head.endswith("/aws4_request")
    return names.removeprefix("SignedHeaders="), signature.removeprefix("Signature="), lines


VECTORS = {
    "get-vanilla": (
        Unsigned("GET", "/", (HOST,), b""),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "get-relative-relative": (
        Unsigned("GET", "/example1/example2/../..", (HOST,), b""),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "get-slashes": (
        Unsigned("GET", "//example//", (HOST,), b""),
        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
    ),
    "get-utf8": (
        Unsigned("GET", "/\u1234", (HOST,), b""),
        "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
    ),
    "get-vanilla-query-order-key-case": (
        Unsigned("GET", "/?Param2=value2&Param1=value1", (HOST,), b""),
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    "get-header-key-duplicate": (
        Unsigned(
            "GET",
            "/",
            (HOST, *((b"My-Header1", one) for one in (b"value2", b"value2", b"value1"))),
            b"",
        ),
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    ),
    "get-header-value-trim": (
        Unsigned(
            "GET", "/", (HOST, (b"My-Header1", b" value1"), (b"My-Header2", b' "a   b   c"')), b""
        ),
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    "post-vanilla": (
        Unsigned("POST", "/", (HOST,), b""),
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    "post-x-www-form-urlencoded": (
        Unsigned("POST", "/", (HOST, (b"Content-Type", FORM)), b"Param1=value1"),
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
    "post-x-www-form-urlencoded-parameters": (
        Unsigned(
            "POST", "/", (HOST, (b"Content-Type", FORM + b"; charset=utf8")), b"Param1=value1"
        ),
        "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_published_vectors(name: str) -> None:
    """Twice with one signer: what it keeps changes nothing."""
    request, signature = VECTORS[name]
    signer = Signer(KEYS, "us-east-1", "service", clock=lambda: AT_S)
    for _ in range(2):
        names, found, lines = signed(signer, request)
        assert found == signature
        assert lines == {b"x-amz-date": b"20150830T123600Z"}
        assert names.split(";") == sorted(
            {n.decode().lower() for n, _ in request.headers} | {"x-amz-date"}
        )


BEDROCK = (b"host", b"bedrock-runtime.us-west-2.amazonaws.com")
JSON = (b"content-type", b"application/json")
ARN = (
    "arn%3Aaws%3Abedrock%3Aus-west-2%3A123456789012%3Ainference-profile%2Fus.amazon.nova-pro-v1%3A0"
)
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE//token=="


@pytest.mark.parametrize(
    ("token", "request_", "signature"),
    [
        (
            "",
            Unsigned(
                "POST",
                "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
                (BEDROCK, JSON),
                b'{"messages":[]}',
            ),
            "b7f90b91cda68eb1cae02c13caccc29d43573a9470547be79870354bb730cf65",
        ),
        (
            TOKEN,
            Unsigned("POST", f"/model/{ARN}/converse-stream", (BEDROCK, JSON), b'{"messages":[]}'),
            "5ba120a3487fbdc7f4e368579a2b322572ce5a4d213099d66227fc52e998007a",
        ),
        (
            "",
            Unsigned("GET", "/async-invoke", (BEDROCK,), b""),
            "9ff16655dcc9c492fe30f3c00ede75865eecb161fd18d99c0824992226dcad15",
        ),
        (
            "",
            Unsigned(
                "POST", "/base/model/m/converse", ((b"host", BEDROCK[1] + b":8080"), JSON), b"{}"
            ),
            "396802611618c595a8c7928a1fc9651bad2073451a74c367a36b5dac2bccb856",
        ),
    ],
)
def test_as_botocore_signs(token: str, request_: Unsigned, signature: str) -> None:
    """Made with botocore 1.44.8: paths that are encoded already, a session, a port."""
    signer = Signer(AwsKeys("AKIDEXAMPLE", SECRET, token), "us-west-2", clock=lambda: AT_S)
    names, found, lines = signed(signer, request_)
    assert found == signature
    assert lines.get(b"x-amz-security-token", b"").decode() == token
    assert ("x-amz-security-token" in names) is bool(token)


def test_a_key_is_of_one_day() -> None:
    """At midnight another is derived."""
    now = AT_S
    signer = Signer(KEYS, "us-east-1", "service", clock=lambda: now)
    request = Unsigned("GET", "/", (HOST,), b"")
    before = dict(signer.lines(request))[b"authorization"]
    now += 86_400
    after = dict(signer.lines(request))[b"authorization"]
    fresh = Signer(KEYS, "us-east-1", "service", clock=lambda: now).lines(request)
    assert (b"/20150830/" in before, b"/20150831/" in after) == (True, True)
    assert dict(fresh)[b"authorization"] == after
