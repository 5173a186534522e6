"""What a provider's base URL must look like, and at which addresses a tenant's own may not be.

One rule for all who ask: the command that saves a base URL, the client before it connects, the
credential sealed for an origin. The table is our own: the standard library's differs between Python
versions and calls 6to4 and NAT64 forms of private addresses global.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from tollway.domain.result import Err, Ok, Result

# IANA's IPv4 special-purpose registry, multicast and reserved; and the one public address that is
# a cloud's host-only metadata service.
_FORBIDDEN_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32",
        "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
        "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
        "240.0.0.0/4",
    )
)  # fmt: skip
# All IPv6 outside global unicast is forbidden (::, ::1, 64:ff9b:1::/48, 100::/64, fc00::/7,
# fe80::/10, fec0::/10, ff00::/8, ...), and inside it these: protocol assignments with Teredo, and
# both ranges of documentation.
_GLOBAL_V6 = IPv6Network("2000::/3")
_FORBIDDEN_V6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "3fff::/20"))
_WRAPPED_LOW = tuple(IPv6Network(text) for text in ("::ffff:0:0/96", "64:ff9b::/96", "::/96"))
_SIX_TO_FOUR = IPv6Network("2002::/16")

_URL = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>(?:/[A-Za-z0-9._~!$&'()*+,;=:-]*)*)"
)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NOT_A_URL = (
    "Write a base URL as https://host:port/path: no user, query, fragment, escapes or other signs."
)
_NOT_ALLOWED = "A tenant's provider may not be at this address."


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a base URL leads. `path` has no slash at its end; `host` has no brackets and is in its
    one spelling (small letters, the address compressed)."""

    tls: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The `host` header."""
        return self._host if self.port == (443 if self.tls else 80) else f"{self._host}:{self.port}"

    @property
    def text(self) -> str:
        """`scheme://host:port` (RFC 6454), the port always written: equal texts, equal origins."""
        return f"{'https' if self.tls else 'http'}://{self._host}:{self.port}"

    @property
    def _host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def is_forbidden(address: IPv4Address | IPv6Address) -> bool:
    """Whether a tenant's provider may not be reached at this address. An address inside another
    (mapped, 6to4, NAT64) is unwrapped and judged again."""
    if isinstance(address, IPv4Address):
        return any(address in network for network in _FORBIDDEN_V4)
    if any(address in network for network in _WRAPPED_LOW):
        return is_forbidden(IPv4Address(int(address) & 0xFFFFFFFF))
    if address in _SIX_TO_FOUR:
        return is_forbidden(IPv4Address(int(address) >> 80 & 0xFFFFFFFF))
    return address not in _GLOBAL_V6 or any(address in network for network in _FORBIDDEN_V6)


def parse_base_url(url: str, *, tenant_owned: bool) -> Result[Origin, str]:
    """The origin of a base URL, by a strict grammar; `Err` says what is not accepted. A tenant's
    own URL must be https, and an address in it must not be a forbidden one."""
    match = _URL.fullmatch(url)
    if match is None:
        return Err(_NOT_A_URL)
    tls = match["scheme"] == "https"
    if tenant_owned and not tls:
        return Err("The base URL of a tenant's provider begins with https://.")
    port = int(match["port"] or (443 if tls else 80))
    if not 0 < port < 65536:
        return Err("The port of the base URL is a number from 1 to 65535.")
    if {"..", "."} & set(match["path"].split("/")):
        return Err("The path of the base URL must not have . or .. in it.")
    host = _read_host(match["v6"], match["name"], tenant_owned=tenant_owned)
    if isinstance(host, Err):
        return host
    return Ok(Origin(tls, host.value, port, match["path"].rstrip("/")))


def origin_of(base_url: str) -> str:
    """The origin's text, whoever owns the URL. What has no origin (an echo provider's empty URL) is
    its own: it never equals an origin, since an origin's text always has one."""
    parsed = parse_base_url(base_url, tenant_owned=False)
    return base_url if isinstance(parsed, Err) else parsed.value.text


def _read_host(v6: str | None, name: str, *, tenant_owned: bool) -> Result[str, str]:
    if v6 is None and not _NUMERIC.fullmatch(name.lower().rpartition(".")[2]):
        return _read_name(name.lower(), tenant_owned=tenant_owned)
    try:
        # An IPv4 address is four decimal numbers and nothing else: 127.1, 2130706433 and 0x7f.1
        # are read in different ways by different resolvers.
        address = IPv4Address(name) if v6 is None else IPv6Address(v6)
    except ValueError:
        return Err("Write an address as four decimal numbers, or as IPv6 in brackets.")
    if tenant_owned and is_forbidden(address):
        return Err(_NOT_ALLOWED)
    return Ok(str(address))


def _read_name(name: str, *, tenant_owned: bool) -> Result[str, str]:
    if not _HOST_NAME.fullmatch(name) or len(name) > 253:
        return Err("The base URL has no proper host name.")
    if tenant_owned and (name == "localhost" or name.endswith(".localhost")):
        return Err(_NOT_ALLOWED)
    return Ok(name)
