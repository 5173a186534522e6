"""Which URLs a webhook may have: the tricks that are tried on providers' base URLs, and the queries
that real receivers need."""

import pytest

from tests.unit.domain.test_origin import BAD_FOR_ALL, FORBIDDEN
from tollway.domain.origin import Origin
from tollway.domain.result import Err, Ok
from tollway.domain.webhook_url import WebhookUrl, parse_webhook_url

# A query, and an escape behind the host, are a webhook's right; a base URL has neither.
TRICKS = [url for url in BAD_FOR_ALL if "?" not in url and "/%" not in url]


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("https://hooks.slack.com/services/T0/B0/xyz", "https://hooks.slack.com:443",
         "/services/T0/B0/xyz"),
        ("https://prod-12.logic.azure.com:443/workflows/a?sp=%2Frun&sv=1.0&sig=a-_b",
         "https://prod-12.logic.azure.com:443", "/workflows/a?sp=%2Frun&sv=1.0&sig=a-_b"),
        ("https://A.example", "https://a.example:443", "/"),
        ("https://a.example?x", "https://a.example:443", "/?x"),
        ("https://a.example/", "https://a.example:443", "/"),
        ("https://a.example/x/", "https://a.example:443", "/x/"),
        ("https://a.example:8443/@x?y=/?", "https://a.example:8443", "/@x?y=/?"),
        ("https://[2606:4700::1111]/x", "https://[2606:4700::1111]:443", "/x"),
        ("https://8.8.8.8/x", "https://8.8.8.8:443", "/x"),
    ],
)  # fmt: skip
def test_taken_apart(url: str, origin: str, target: str) -> None:
    """Origin and target, the target as it was written."""
    for tenant_owned in (True, False):
        parsed = parse_webhook_url(url, tenant_owned=tenant_owned)
        assert isinstance(parsed, Ok)
        assert (parsed.value.origin.text, parsed.value.target) == (origin, target)


@pytest.mark.parametrize("url", TRICKS)
@pytest.mark.parametrize("tenant_owned", [True, False])
def test_tricks_with_the_host(url: str, tenant_owned: bool) -> None:
    """What is no base URL is no webhook's, be it a tenant's or the platform's."""
    assert isinstance(parse_webhook_url(url, tenant_owned=tenant_owned), Err)


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/a b", "https://a.example/a\r\nx: y", "https://a.example/a\n",
        "https://a.example/%", "https://a.example/%2", "https://a.example/%zz",
        "https://a.example/#x", "https://a.example/x?y#z", "https://a.example/ä",
        "https://a.example/<", 'https://a.example/"', "https://a.example/\\", "https://a.example/\t",
        "https://a.example/\x00", "https://a.example/{x}", "https://a.example/|",
        "https://a.example?x\r\n", "https://a.example#@10.0.0.1", "https://a.example@10.0.0.1/",
        "https://a.example:@10.0.0.1/", "https://a.example/x/../y",
        "https://a.example/.", "https://a.example/" + "x" * 2048, "/x", "x",
    ],
)  # fmt: skip
def test_signs_that_no_url_has(url: str) -> None:
    """Nothing that could end the request's line, and nothing that readers read differently."""
    assert isinstance(parse_webhook_url(url, tenant_owned=False), Err)


@pytest.mark.parametrize("address", FORBIDDEN)
def test_a_tenants_webhook_is_at_no_forbidden_address(address: str) -> None:
    """The whole table of `origin.py`; the platform's own may be there."""
    host = f"[{address}]" if ":" in address else address
    assert isinstance(parse_webhook_url(f"https://{host}/x", tenant_owned=True), Err)
    assert isinstance(parse_webhook_url(f"https://{host}/x", tenant_owned=False), Ok)


@pytest.mark.parametrize("url", ["http://a.example/", "https://localhost/", "https://a.localhost/"])
def test_a_tenants_webhook_is_https_and_elsewhere(url: str) -> None:
    """Plain http and this machine's names are for the platform only."""
    assert isinstance(parse_webhook_url(url, tenant_owned=True), Err)
    assert isinstance(parse_webhook_url(url, tenant_owned=False), Ok)


def test_what_may_be_shown() -> None:
    """The place has no path; the path and the query do not come out by accident."""
    url = WebhookUrl(Origin(True, "hooks.slack.com", 443, ""), "/services/secret?sig=secret")
    assert url.place == "https://hooks.slack.com"
    assert "secret" not in repr(url)
    refused = parse_webhook_url("https://a.example/secret part", tenant_owned=True)
    assert isinstance(refused, Err)
    assert "secret" not in refused.error
