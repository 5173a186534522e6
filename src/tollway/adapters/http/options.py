"""What the outbound client may be told. Each deadline is a value of its own, in seconds; a provider
may override those that `ProviderRecord` names.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UpstreamOptions:
    """Deadlines fire within `sweep_s` + 150 ms."""

    dns_timeout_s: float = 2.0
    connect_timeout_s: float = 2.0
    tls_timeout_s: float = 3.0
    headers_timeout_s: float = 30.0  # from the request's last byte to the answer's head
    first_token_timeout_s: float = 60.0  # streams: from the head to the first event
    idle_timeout_s: float = 60.0  # between events of a stream, between reads of a whole answer
    total_timeout_s: float = 1800.0
    pool_timeout_s: float = 5.0  # waiting for a connection when all are in use
    keepalive_s: float = 30.0  # an idle connection is closed after this
    satisfied_s: float = 1.0  # how long a finished stream may take to end its body
    connections: int = 10_000  # per provider and origin
    waiters: int = 10_000  # requests waiting for one of them
    head_bytes: int = 64 * 1024
    head_fields: int = 200
    interim_answers: int = 8  # 1xx before the real answer
    sweep_s: float = 0.1
    ca_file: str | None = None  # trusted besides the system's authorities
    proxy_url: str | None = None  # http://host:port, asked to CONNECT
