"""The SSRF corpus: which addresses and which base URLs a tenant's own provider may have."""

from ipaddress import IPv4Address, ip_address

import pytest

from tollway.domain.origin import Origin, is_forbidden, origin_of, parse_base_url
from tollway.domain.result import Err, Ok


def words(text: str) -> list[str]:
    return text.split()


FORBIDDEN = words("""
0.0.0.0 0.1.2.3 0.255.255.255 10.0.0.0 10.1.2.3 10.255.255.255 100.64.0.1 100.100.100.200
100.127.255.255 127.0.0.1 127.0.0.2 127.255.255.255 168.63.129.16 169.254.0.1 169.254.169.254
169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1
192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255
240.0.0.1 255.255.255.255
:: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0.0.0.0 ::127.0.0.1
::10.0.0.1 64:ff9b::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::10.0.0.1
64:ff9b:1::1 64:ff9b:1::a9fe:a9fe 64:ff9b:1:ffff:ffff:ffff:8.8.8.8 100::1 100:0:0:1::1 2001::1
2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:10::1 2001:20::1 2001:1ff::1 2001:db8::1 2001:db8:1::
2002:7f00:1:: 2002:7f00:1::1 2002:a00:1:: 2002:a9fe:a9fe:: 2002:c0a8:101:: 2002:e000:1::
3fff::1 3fff:fff::1 5f00::1 fc00::1 fd00::1 fd00:ec2::254 fdff:ffff:: fe80::1 fe80::a9fe:a9fe
febf::1 fec0::1 feff::1 ff00::1 ff02::1 ff0e::1 ffff:: 4000::1 8000::1 e000::1 1::1 200::1
""")
ALLOWED = words("""
1.0.0.1 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 104.18.7.192
126.255.255.255 128.0.0.1 168.63.129.17 169.253.255.255
169.255.0.1 172.15.255.255 172.32.0.1 192.0.1.1 192.0.3.1
192.167.255.255 192.169.0.1 198.17.255.255 198.20.0.1 203.0.112.1 223.255.255.255
2001:200::1 2001:4860:4860::8888 2606:4700:4700::1111 2a00:1450:4001::1 2400:cb00::1 3ffe::1
::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808:: 2001:db7::1 2001:db9::1
""")

BAD_FOR_ALL = [
    "",
    "api.example.com",
    "//api.example.com/v1",
    "https://",
    "https:///v1",
    "https:/api.example.com",
    "https:api.example.com",
    "ftp://api.example.com",
    "file:///etc/passwd",
    "gopher://api.example.com",
    "unix:///run/docker.sock",
    "data:text/plain,x",
    "ws://api.example.com",
    "https+unix://api.example.com",
    "javascript:alert(1)",
    "https://user@api.example.com",
    "https://user:pass@api.example.com",
    "https://@api.example.com",
    "https://api.example.com@169.254.169.254",
    "https://api.example.com:443@10.0.0.1",
    "https://api.example.com#@10.0.0.1",
    "https://api.example.com#frag",
    "https://api.example.com/v1#frag",
    "https://api.example.com?x=1",
    "https://api.example.com/v1?x=1",
    "https://api.example.com/v1?",
    "https://api.example.com\\@10.0.0.1",
    "https:\\\\api.example.com",
    "https://api.example.com\\v1",
    "https://api.example.com/v1\\..",
    "https://api.example.com.",
    "https://api.example.com./v1",
    "https://api.example.com..",
    "https://.api.example.com",
    "https://api..example.com",
    "https://.",
    "https://-api.example.com",
    "https://api-.example.com",
    "https://" + "a" * 64 + ".example.com",
    "https://" + "a." * 127 + "com",
    "https://api.example.com:0",
    "https://api.example.com:",
    "https://api.example.com:65536",
    "https://api.example.com:99999",
    "https://api.example.com:443443",
    "https://api.example.com:-1",
    "https://api.example.com:+443",
    "https://api.example.com:0x1bb",
    "https://api.example.com: 443",
    "https://api.example.com:443:443",
    "https://2130706433",
    "https://2130706433/v1",
    "https://0x7f000001",
    "https://0x7f.0.0.1",
    "https://0x7f.1",
    "https://017700000001",
    "https://0177.0.0.1",
    "https://127.0.0.01",
    "https://010.0.0.1",
    "https://127.1",
    "https://127.0.1",
    "https://127.0.0.1.",
    "https://1.2.3.4.5",
    "https://256.1.1.1",
    "https://1.2.3.-4",
    "https://api.example.0x7f",
    "https://api.example.123",
    "https://0",
    "https://[",
    "https://[]",
    "https://[::1",
    "https://::1",
    "https://[::1]evil.example",
    "https://[::1].evil.example",
    "https://[::1]:",
    "https://[::1%25eth0]",
    "https://[fe80::1%eth0]",
    "https://[v1.fe80::1]",
    "https://[::ffff:999.0.0.1]",
    "https://[1.2.3.4]",
    "https://[api.example.com]",
    "https://api.example.com/%2e%2e/admin",
    "https://api.example.com/../admin",
    "https://api.example.com/v1/..",
    "https://api.example.com/./v1",
    "https://api.example.com/v1/.",
    "https://api.example.com/v1 x",
    "https://api.example.com/v1\tx",
    "https://api.example.com/v1\r\nhost: evil",
    "https://api.example.com\r\n",
    "https://api.example.com\n",
    " https://api.example.com",
    "https://api.example.com ",
    "https://api .example.com",
    "https://api\x00.example.com",
    "https://api.example.com/\x00",
    "https://api%2eexample.com",
    "https://127。0。0。1",
    "https://①②⑦.0.0.1",
    "https://\uff41pi.example.com",
    "https://exämple.com",
    "https://api.example.com/ä",
    "https://api.example.com\u200b",
    "https://api_.example.com,evil.example",
    "https://api.example.com;evil.example",
    "https://$(id).example.com",
    "https://*.example.com",
    "HTTPS://api.example.com",
    "https://api.example.com/<x>",
]
BAD_FOR_TENANTS = [
    "http://api.example.com",
    "http://127.0.0.1:8080",
    "https://127.0.0.1",
    "https://127.0.0.1:8443/v1",
    "https://10.0.0.1",
    "https://169.254.169.254/latest",
    "https://0.0.0.0",
    "https://[::1]",
    "https://[::]",
    "https://[::ffff:127.0.0.1]",
    "https://[::ffff:7f00:1]",
    "https://[64:ff9b::7f00:1]",
    "https://[2002:7f00:1::]",
    "https://[fd00:ec2::254]",
    "https://[fe80::1]:443/v1",
    "https://localhost",
    "https://LOCALHOST:8443",
    "https://api.localhost/v1",
]
GOOD = {
    "https://api.example.com": Origin(True, "api.example.com", 443, ""),
    "https://api.example.com/": Origin(True, "api.example.com", 443, ""),
    "https://API.Example.com/v1": Origin(True, "api.example.com", 443, "/v1"),
    "https://api.example.com:8443/v1/": Origin(True, "api.example.com", 8443, "/v1"),
    "https://8.8.8.8/v1": Origin(True, "8.8.8.8", 443, "/v1"),
    "https://[2606:4700:4700:0:0::1111]": Origin(True, "2606:4700:4700::1111", 443, ""),
    "https://xn--exmple-cua.com/a/b-c_d~e": Origin(True, "xn--exmple-cua.com", 443, "/a/b-c_d~e"),
    "https://my_service/v1": Origin(True, "my_service", 443, "/v1"),
}
GOOD_FOR_PLATFORM = {
    "http://localhost:8000/v1": Origin(False, "localhost", 8000, "/v1"),
    "http://10.0.0.1": Origin(False, "10.0.0.1", 80, ""),
    "http://[::1]:9/v1": Origin(False, "::1", 9, "/v1"),
    "https://169.254.169.254": Origin(True, "169.254.169.254", 443, ""),
}


def test_the_corpus_is_large_enough() -> None:
    """The tables below are what the rule is judged by."""
    assert len(FORBIDDEN) + len(BAD_FOR_ALL) + len(BAD_FOR_TENANTS) >= 200
    assert not set(FORBIDDEN) & set(ALLOWED)


@pytest.mark.parametrize("text", FORBIDDEN)
def test_forbidden(text: str) -> None:
    """No tenant's provider may be at a private, local, reserved or wrapped private address."""
    assert is_forbidden(ip_address(text))


@pytest.mark.parametrize("text", ALLOWED)
def test_allowed(text: str) -> None:
    """The neighbours of every forbidden range are public."""
    assert not is_forbidden(ip_address(text))


@pytest.mark.parametrize("text", [text for text in FORBIDDEN if ":" not in text])
def test_wrapping_hides_nothing(text: str) -> None:
    """An IPv4 address is judged the same in each of its IPv6 clothes."""
    number = int(IPv4Address(text))
    wrapped = [f"::ffff:{text}", f"64:ff9b::{text}", f"::{text}"]
    wrapped.append(f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1")
    assert [one for one in wrapped if not is_forbidden(ip_address(one))] == []


@pytest.mark.parametrize("url", BAD_FOR_ALL)
def test_no_base_url(url: str) -> None:
    """What does not fit the grammar is refused for everybody."""
    assert isinstance(parse_base_url(url, tenant_owned=True), Err)
    assert isinstance(parse_base_url(url, tenant_owned=False), Err)


@pytest.mark.parametrize("url", BAD_FOR_TENANTS)
def test_not_for_tenants(url: str) -> None:
    """Plain HTTP and private addresses are the platform's privilege."""
    assert isinstance(parse_base_url(url, tenant_owned=True), Err)
    assert isinstance(parse_base_url(url, tenant_owned=False), Ok)


@pytest.mark.parametrize("url", GOOD)
def test_good_for_all(url: str) -> None:
    """A good base URL is split into its parts."""
    assert parse_base_url(url, tenant_owned=True) == Ok(GOOD[url])
    assert parse_base_url(url, tenant_owned=False) == Ok(GOOD[url])


@pytest.mark.parametrize("url", GOOD_FOR_PLATFORM)
def test_good_for_the_platform(url: str) -> None:
    """A platform admin's providers may be private hosts."""
    assert parse_base_url(url, tenant_owned=False) == Ok(GOOD_FOR_PLATFORM[url])


@pytest.mark.parametrize(
    ("origin", "authority"),
    [
        (Origin(True, "a.b", 443, ""), "a.b"),
        (Origin(True, "a.b", 80, ""), "a.b:80"),
        (Origin(False, "a.b", 80, ""), "a.b"),
        (Origin(False, "::1", 80, ""), "[::1]"),
        (Origin(True, "::1", 8443, ""), "[::1]:8443"),
    ],
)
def test_authority(origin: Origin, authority: str) -> None:
    """The host header names the port only where it is not the scheme's own."""
    assert origin.authority == authority


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://API.example.com/v1", "https://api.example.com:443"),
        ("https://api.example.com:443", "https://api.example.com:443"),
        ("http://api.example.com/", "http://api.example.com:80"),
        ("https://[2606:4700:4700:0::1111]:8443/v1", "https://[2606:4700:4700::1111]:8443"),
        ("http://localhost:8000/v1", "http://localhost:8000"),
        ("", ""),
        ("https://user@api.example.com", "https://user@api.example.com"),
    ],
)
def test_origin_of(url: str, text: str) -> None:
    """Scheme, host and port in one spelling; what has no origin stays what it is."""
    assert origin_of(url) == text
    assert origin_of(text) == text


def test_what_differs_is_another_origin() -> None:
    """Another scheme, host or port is another origin; another path is not."""
    urls = ["https://a.example", "http://a.example", "https://b.example", "https://a.example:444"]
    assert len({origin_of(url) for url in urls}) == len(urls)
    assert origin_of("https://a.example/v1") == origin_of("https://A.example:443/v2")
