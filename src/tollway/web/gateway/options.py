"""What the inbound HTTP server may be told: limits and deadlines, each its own value. `config`
fills it; no defaults stand anywhere else.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Limits in bytes and counts, deadlines in seconds. Deadlines are kept to within `sweep_s`."""

    head_bytes: int = 32 * 1024  # request line and headers together; above: 431
    header_count: int = 100
    url_bytes: int = 8 * 1024  # path and query; above: 414
    pipelined_bytes: int = 64 * 1024  # requests waiting behind a running answer; above: no reading
    write_high_bytes: int = 64 * 1024  # more than this waiting for a client is congestion
    kernel_unsent_bytes: int = 128 * 1024  # and this much more in the kernel, where it can be told
    max_connections: int = 16_384  # lowered to what the file descriptor limit allows
    max_connections_per_peer: int = 4_096  # trusted proxies are exempt
    backlog: int = 2_048
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()

    head_timeout_s: float = 10.0  # from the first byte of a request, or from the connect
    body_timeout_s: float = 30.0  # plus the time that the minimum rate grants for what came
    min_rate_bytes_s: int = 1_024  # a slower upload or download is ended
    idle_timeout_s: float = 75.0  # between requests on a kept connection
    write_timeout_s: float = 30.0  # the client takes nothing, or less than the minimum rate
    linger_timeout_s: float = 2.0  # how long what a refused client still sends is read and dropped
    linger_bytes: int = 10 * 1024 * 1024  # and how much of it
    tls_handshake_timeout_s: float = 10.0
    drain_grace_s: float = 0.5  # how long a draining server lets idle connections send a last one
    sweep_s: float = 0.2  # how often deadlines are looked at
