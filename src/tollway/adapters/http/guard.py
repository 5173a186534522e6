"""Which addresses a tenant's own provider may not have, and what a base URL must look like.

Our own table: the standard library's differs between Python versions and calls 6to4 and NAT64 forms
of private addresses global. An address inside another (mapped, 6to4, NAT64) is unwrapped and judged
again. The connection then goes to the checked address, so a second look-up cannot change it.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from tollway.domain.result import Err, Ok, Result

_FORBIDDEN_V4 = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_FORBIDDEN_V6 = tuple(
    ip_network(text)
    for text in (
        "::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32",
        "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip
_MAPPED = ip_network("::ffff:0:0/96")
_COMPATIBLE = ip_network("::/96")
_NAT64 = ip_network("64:ff9b::/96")
_SIX_TO_FOUR = ip_network("2002::/16")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_QUAD = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]*)*")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a base URL leads. `path` has no slash at its end; `host` has no brackets."""

    tls: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The `host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def is_forbidden(address: IPv4Address | IPv6Address) -> bool:
    """Whether a tenant's provider may not be reached at this address."""
    if isinstance(address, IPv4Address):
        return any(address in network for network in _FORBIDDEN_V4)
    if any(address in network for network in _FORBIDDEN_V6):
        return True
    number = int(address)
    if address in _MAPPED or address in _NAT64 or address in _COMPATIBLE:
        return is_forbidden(IPv4Address(number & 0xFFFFFFFF))
    if address in _SIX_TO_FOUR:
        return is_forbidden(IPv4Address(number >> 80 & 0xFFFFFFFF))
    return False


def parse_base_url(url: str, *, tenant_owned: bool) -> Result[Origin, str]:
    """The origin of a base URL, by a strict grammar; `Err` says what is not accepted. A tenant's
    own URL must be https, and an address in it must not be a forbidden one."""
    if not url.isascii() or not url.isprintable() or any(sign in url for sign in "\\ #?@%"):
        return Err("A base URL has only host, port and path: no user, query, fragment or escapes.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return Err("The port of the base URL is not a number up to 65535.")
    if parts.scheme not in ("https", "http") or (tenant_owned and parts.scheme == "http"):
        return Err(
            "A base URL begins with https://." if tenant_owned else "Use https:// or http://."
        )
    host = (parts.hostname or "").lower()
    if port == 0 or parts.netloc.endswith(":"):
        return Err("The port of the base URL is missing or 0.")
    if not _PATH.fullmatch(parts.path) or "/../" in parts.path + "/" or "/./" in parts.path + "/":
        return Err("The path of the base URL has characters that are not accepted.")
    problem = _host_problem(host, parts.netloc, tenant_owned=tenant_owned)
    if problem is not None:
        return Err(problem)
    tls = parts.scheme == "https"
    return Ok(Origin(tls, host, port or (443 if tls else 80), parts.path.rstrip("/")))


def _host_problem(host: str, netloc: str, *, tenant_owned: bool) -> str | None:
    if netloc.startswith("["):
        try:
            address: IPv4Address | IPv6Address = IPv6Address(host)
        except ValueError:
            return "The base URL's IPv6 address is not one."
        return "This address is not allowed." if tenant_owned and is_forbidden(address) else None
    if not _HOST_NAME.fullmatch(host) or len(host) > 253:
        return "The base URL has no proper host name."
    last = host.rpartition(".")[2]
    if last.isdigit() or last.startswith("0x"):  # 127.1, 2130706433, 0x7f.1: resolvers differ
        if not _QUAD.fullmatch(host):
            return "Write an IPv4 address as four decimal numbers."
        try:
            address = ip_address(host)
        except ValueError:
            return "Write an IPv4 address as four decimal numbers without leading zeros."
        return "This address is not allowed." if tenant_owned and is_forbidden(address) else None
    if tenant_owned and (host == "localhost" or host.endswith(".localhost")):
        return "This address is not allowed."
    return None
