"""What a tenant's provider turns out to be at when it is connected to. What its base URL may say is
`domain/origin.py`'s. The connection then goes to the checked address, so a second look-up cannot
change it.
"""

from ipaddress import ip_address

from tollway.domain.origin import is_forbidden


def any_forbidden(addresses: list[str]) -> bool:
    """Whether a name leads to a forbidden address among others: then all of it is refused."""
    return any(is_forbidden(ip_address(address)) for address in addresses)
