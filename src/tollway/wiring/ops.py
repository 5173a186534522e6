"""The supervisor's own port: health and metrics."""

from collections.abc import Awaitable, Callable

from tollway.web.gateway.options import ServerOptions
from tollway.web.gateway.server import GatewayServer
from tollway.web.ops.endpoints import OpsHandler


def build_ops_server(
    unready: Callable[[], list[str]], metrics: Callable[[], Awaitable[bytes]]
) -> GatewayServer:
    """`/livez`, `/readyz`, `/metrics` on the same strict server as the data plane."""
    return GatewayServer(OpsHandler(unready, metrics), ServerOptions())
