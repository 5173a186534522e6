"""Regions in names of hosts, and keys in secrets."""

import pytest

from tollway.domain.bedrock import AwsKeys, aws_keys, region_of
from tollway.domain.result import Err, Ok


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.us-east-1.amazonaws.com", "us-east-1"),
        ("Bedrock-Runtime.AP-Southeast-2.amazonaws.com", "ap-southeast-2"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("bedrock-runtime.eu-central-1.api.aws", "eu-central-1"),
        ("bedrock-runtime.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
        ("vpce-0a1b-2c.bedrock-runtime.eu-west-3.vpce.amazonaws.com", "eu-west-3"),
        ("vpce-0a1b-us-east-1a.bedrock-runtime.us-east-1.vpce.amazonaws.com", "us-east-1"),
        ("bedrock.sa-east-1.proxy.internal", "sa-east-1"),
        ("my-proxy-1.example", None),
        ("bedrock-runtime.amazonaws.com", None),
        ("10.0.0.7", None),
        ("2001:db8::1", None),
    ],
)
def test_the_region_in_a_name(host, region):
    """Amazon's names in every partition, VPC endpoints, proxies; no other label looks like one."""
    assert region_of(host) == region


@pytest.mark.parametrize(
    ("secret", "keys"),
    [
        ("AKIDEXAMPLE:se/cr+et", AwsKeys("AKIDEXAMPLE", "se/cr+et")),
        ("ASIAEXAMPLE:secret:token//==", AwsKeys("ASIAEXAMPLE", "secret", "token//==")),
        ("bedrock-api-key-abc", None),
    ],
)
def test_what_a_secret_is(secret, keys):
    """Two parts, three, or a key that is sent as it is."""
    assert aws_keys(secret) == Ok(keys)


@pytest.mark.parametrize("secret", ["a:", ":b", "a:b:", "a:b:c:d", "a,b:c", "ä:c", ":"])
def test_what_no_secret_is(secret):
    """The error does not repeat it."""
    wrong = aws_keys(secret)
    assert isinstance(wrong, Err)
    assert wrong.error.startswith("A secret of Bedrock is ACCESS_KEY_ID:SECRET_ACCESS_KEY")
