"""Whose address a request carries."""

from ipaddress import ip_network

import pytest

from tollway.web.gateway.peers import client_ip, is_trusted, plain_ip

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], "10.0.0.1"),
        ([b""], "10.0.0.1"),
        ([b"9.9.9.9"], "9.9.9.9"),
        ([b"1.1.1.1, 9.9.9.9"], "9.9.9.9"),
        ([b"1.1.1.1, 9.9.9.9, 10.0.0.2"], "9.9.9.9"),
        ([b"1.1.1.1", b"9.9.9.9, 10.0.0.2"], "9.9.9.9"),
        ([b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ([b"1.1.1.1, unknown"], "10.0.0.1"),
        ([b"1.1.1.1, unknown, 10.0.0.2"], "10.0.0.2"),
        ([b"1.1.1.1, "], "10.0.0.1"),
        ([b"9.9.9.9:1234"], "9.9.9.9"),
        ([b"2001:db8::1"], "2001:db8::1"),
        ([b"[2001:db8::1]:443, [fd00::1]"], "2001:db8::1"),
        ([b"::ffff:9.9.9.9"], "9.9.9.9"),
        ([b"\xff"], "10.0.0.1"),
    ],
)
def test_client_behind_proxies(values, expected):
    """The right-most untrusted address counts; what is no address ends the walk."""
    headers = [(b"x-forwarded-for", value) for value in values]
    assert client_ip("10.0.0.1", headers, PROXIES) == expected


def test_trust():
    """Only listed networks are trusted, and nobody when the list is empty."""
    assert is_trusted("10.1.2.3", PROXIES)
    assert is_trusted("fd00::1", PROXIES)
    assert not is_trusted("11.1.2.3", PROXIES)
    assert not is_trusted("10.1.2.3", ())
    assert not is_trusted("", PROXIES)


def test_one_spelling():
    """Every address has one spelling; what is none has none."""
    assert plain_ip("::ffff:192.0.2.1") == "192.0.2.1"
    assert plain_ip("fe80::1%eth0") == "fe80::1"
    assert plain_ip("2001:DB8:0::1") == "2001:db8::1"
    assert plain_ip("gateway") is None
