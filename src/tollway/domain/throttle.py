"""How often signing in may fail before it must wait: counted for each account and for each source
address. Only signing in waits; who is signed in stays so, or a stranger could lock an owner out.

An account is counted whether it exists or not, so the wait does not tell which addresses do.
"""

from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv6Address, ip_address


@dataclass(frozen=True, slots=True)
class ThrottleRules:
    """`free` failures in a row cost nothing; then each doubles the wait, from `first_wait_s` to
    `longest_wait_s`. Failures older than `forget_s` count no more."""

    free: int
    first_wait_s: int
    longest_wait_s: int
    forget_s: int


ACCOUNT_RULES = ThrottleRules(free=10, first_wait_s=30, longest_wait_s=900, forget_s=86_400)
# Many people sit behind one address of an office.
ADDRESS_RULES = ThrottleRules(free=100, first_wait_s=10, longest_wait_s=300, forget_s=3600)


def retry_after_s(
    failures: int, last_failure_s: float, now_s: float, *, rules: ThrottleRules
) -> float | None:
    """None when another attempt is allowed now, else the seconds until one is."""
    if failures < rules.free or now_s - last_failure_s >= rules.forget_s:
        return None
    doublings = min(failures - rules.free, 30)  # 2**30 s is above every longest wait
    wait_s = min(rules.first_wait_s * 2**doublings, rules.longest_wait_s)
    # A clock set back must not make the wait longer than it was.
    left_s = min(last_failure_s + wait_s - now_s, wait_s)
    return left_s if left_s > 0 else None


def account_subject(email: str) -> str:
    """What an account's failures are counted under; bounded whatever was typed."""
    folded = email.strip().lower().encode("utf-8", "replace")
    return f"account:{sha256(folded).hexdigest()[:32]}"


def address_subject(address: str) -> str:
    """What an address's failures are counted under: IPv6 by its /64, which one customer holds."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return "address:unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return f"address:{IPv6Address(int(parsed) >> 64 << 64)}/64"
        return f"address:{parsed.ipv4_mapped}"
    return f"address:{parsed}"
