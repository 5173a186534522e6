"""From settings to each floor's own options. The only place where the two meet."""

import hmac
from ipaddress import ip_network
from pathlib import Path

from tollway.adapters.echo.upstream import EchoOptions
from tollway.adapters.http.options import UpstreamOptions
from tollway.adapters.journal.options import Fsync, JournalOptions
from tollway.adapters.system.secrets import load_master_key
from tollway.app.gateway.runtime import GatewayOptions
from tollway.config import Settings, SettingsError
from tollway.web.gateway.options import ServerOptions


def journal_options(settings: Settings) -> JournalOptions:
    """How journals are kept."""
    return JournalOptions(
        fsync=Fsync(settings.journal_fsync),
        fsync_interval_s=settings.journal_fsync_interval_s,
        segment_bytes=settings.journal_segment_bytes,
    )


def audit_secret(settings: Settings) -> bytes:
    """What the audit's head is proved with: made from the master key, and of no other use."""
    return hmac.digest(load_master_key(settings.master_key or ""), b"audit head", "sha256")


def gateway_options(settings: Settings) -> GatewayOptions:
    """Bounds of the data plane."""
    return GatewayOptions(
        background=settings.background_answers,
        background_timeout_s=settings.background_timeout_s,
    )


def server_options(settings: Settings) -> ServerOptions:
    """Limits and deadlines of the gateway's port."""
    try:
        proxies = tuple(ip_network(text, strict=False) for text in settings.trusted_proxies)
    except ValueError as error:
        raise SettingsError(f"TOLLWAY_TRUSTED_PROXIES: {error}") from error
    return ServerOptions(
        max_connections=settings.connections,
        max_connections_per_peer=settings.connections_per_ip,
        trusted_proxies=proxies,
        head_timeout_s=settings.header_timeout_s,
        body_timeout_s=settings.body_timeout_s,
        idle_timeout_s=settings.keepalive_timeout_s,
        write_timeout_s=settings.write_stall_timeout_s,
    )


def upstream_options(settings: Settings) -> UpstreamOptions:
    """Deadlines and limits towards providers."""
    return UpstreamOptions(
        dns_timeout_s=settings.upstream_dns_timeout_s,
        connect_timeout_s=settings.upstream_connect_timeout_s,
        tls_timeout_s=settings.upstream_tls_timeout_s,
        headers_timeout_s=settings.upstream_headers_timeout_s,
        first_token_timeout_s=settings.upstream_first_token_timeout_s,
        idle_timeout_s=settings.upstream_idle_timeout_s,
        total_timeout_s=settings.upstream_total_timeout_s,
        pool_timeout_s=settings.upstream_pool_timeout_s,
        keepalive_s=settings.upstream_keepalive_s,
        connections=settings.upstream_connections,
        ca_file=settings.upstream_ca_file,
        proxy_url=settings.upstream_proxy_url,
    )


def echo_options(settings: Settings) -> EchoOptions:
    """The same deadlines for the provider in process."""
    return EchoOptions(
        headers_timeout_s=settings.upstream_headers_timeout_s,
        first_token_timeout_s=settings.upstream_first_token_timeout_s,
        idle_timeout_s=settings.upstream_idle_timeout_s,
        total_timeout_s=settings.upstream_total_timeout_s,
    )


def answers_dir(settings: Settings) -> Path:
    """Where answers by `Idempotency-Key` are kept."""
    return Path(settings.data_dir, "answers")


def notes_dir(settings: Settings) -> Path:
    """Where answers under way in the background are noted."""
    return Path(settings.data_dir, "background")
