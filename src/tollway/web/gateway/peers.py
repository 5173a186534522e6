"""Who is on the other end: the socket's address or, behind proxies we trust, the one they name.

Only addresses in `TRUSTED_PROXIES` may speak for others, and the list is read from the right: what
stands left of the first untrusted address is the client's own claim.
"""

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from tollway.app.ports import Header

Networks = tuple[IPv4Network | IPv6Network, ...]


def plain_ip(text: str) -> str | None:
    """An address in its one spelling (IPv4 out of IPv6 unwrapped, no zone), or None."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def is_trusted(ip: str, proxies: Networks) -> bool:
    """Whether an address (as `plain_ip` spells it) is one of our proxies."""
    if not proxies or not ip:
        return False
    address = ip_address(ip)
    return any(address in network for network in proxies)


def client_ip(proxy_ip: str, headers: list[Header], proxies: Networks) -> str:
    """Whom a trusted proxy speaks for: the right-most untrusted address of X-Forwarded-For.

    An entry that is no address ends the walk at the last proxy before it.
    """
    chain = b",".join(value for name, value in headers if name == b"x-forwarded-for")
    nearest = proxy_ip
    for entry in reversed(chain.decode("latin-1").split(",")):
        ip = plain_ip(_without_port(entry.strip()))
        if ip is None:
            return nearest
        nearest = ip
        if not is_trusted(ip, proxies):
            return ip
    return nearest


def _without_port(entry: str) -> str:
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
