"""What the outbound client may be told. Each deadline is a value of its own, in seconds; a provider
may override those that `ProviderRecord` names.
"""

from dataclasses import dataclass

from tollway.domain.provider import ProviderRecord


@dataclass(frozen=True, slots=True)
class UpstreamOptions:
    """Deadlines of calls fire within `sweep_s` + 150 ms, never early."""

    dns_timeout_s: float = 2.0
    connect_timeout_s: float = 2.0  # TCP, and a proxy's answer to CONNECT
    tls_timeout_s: float = 3.0
    headers_timeout_s: float = 30.0  # from sending the request to the answer's head
    first_token_timeout_s: float = 60.0  # streams: from the head to the first event
    idle_timeout_s: float = 60.0  # between events of a stream, between reads of a whole answer
    total_timeout_s: float = 1800.0
    pool_timeout_s: float = 5.0  # waiting for a connection when all are in use
    keepalive_s: float = 30.0  # an idle connection is closed after this
    satisfied_s: float = 1.0  # how long a finished stream may take to end its body
    stale_s: float = 1.0  # a kept connection lost this soon after a request had not read it
    connections: int = 10_000  # per provider and origin
    waiters: int = 10_000  # requests waiting for one of them
    head_bytes: int = 64 * 1024
    head_fields: int = 200
    interim_answers: int = 8  # 1xx before the real answer
    sweep_s: float = 0.1
    ca_file: str | None = None  # authorities (PEM) trusted besides the system's
    proxy_url: str | None = None  # http://host:port, asked to CONNECT to https origins


@dataclass(frozen=True, slots=True)
class Deadlines:
    """What holds for one provider's calls, in seconds."""

    connect_s: float
    headers_s: float
    first_token_s: float
    idle_s: float
    total_s: float
    satisfied_s: float


def deadlines_for(provider: ProviderRecord, options: UpstreamOptions) -> Deadlines:
    """The provider's own values where it has them, else the server's."""

    def pick(own: float | None, default: float) -> float:
        return default if own is None else own

    return Deadlines(
        pick(provider.connect_timeout_s, options.connect_timeout_s),
        pick(provider.headers_timeout_s, options.headers_timeout_s),
        pick(provider.first_token_timeout_s, options.first_token_timeout_s),
        pick(provider.idle_timeout_s, options.idle_timeout_s),
        pick(provider.total_timeout_s, options.total_timeout_s),
        options.satisfied_s,
    )
