"""Running the whole process tree from one command: `serve` and `demo` share it. Takes the data
directory's lock, binds every socket, then hands over to the supervisor.
"""

import asyncio
import fcntl
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import uvloop

from tollway.cli.sockets import bind_shared, url_of
from tollway.cli.supervisor import Listeners, StartError, Supervisor
from tollway.config import Settings, SettingsError
from tollway.wiring.ops import build_ops_server


@dataclass(frozen=True, slots=True)
class Urls:
    """Where a client on this machine reaches what; empty for what runs elsewhere."""

    gateway: str
    ops: str
    admin: str


OnReady = Callable[[Urls], Awaitable[None]]


def serve_until_stopped(
    settings: Settings, on_ready: OnReady, reread: Callable[[], Settings] | None = None
) -> int:
    """Run everything until a signal; returns the exit code. Raises `SettingsError`, `StartError`.

    `on_ready` is awaited once, when the first request can be sent. `reread` gives the settings
    that successors start with after SIGHUP; without it they stay the same.
    """
    lock = _lock(settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(settings, on_ready, reread))
    finally:
        os.close(lock)


async def _serve(
    settings: Settings, on_ready: OnReady, reread: Callable[[], Settings] | None
) -> int:
    gateway: Sequence[socket.socket] = ()
    admin: socket.socket | None = None
    if settings.role != "admin":
        gateway = bind_shared(
            settings.host, settings.gateway_port, settings.workers, setting="TOLLWAY_GATEWAY_PORT"
        )
    if settings.role != "gateway":
        (admin,) = bind_shared(settings.host, settings.admin_port, 1, setting="TOLLWAY_ADMIN_PORT")
    (ops_listener,) = bind_shared(settings.host, settings.ops_port, 1, setting="TOLLWAY_OPS_PORT")
    scheme = "https" if settings.tls_cert_file else "http"
    urls = Urls(
        gateway=url_of(gateway[0], scheme=scheme) if gateway else "",
        ops=url_of(ops_listener),
        admin=url_of(admin, scheme=scheme) if admin is not None else "",
    )
    facts: dict[str, Any] = {
        "gateway_url": urls.gateway,
        "ops_url": urls.ops,
        "admin_url": urls.admin,
    }
    supervisor = Supervisor(settings, Listeners(gateway, admin), facts, reread=reread)
    ops = build_ops_server(supervisor.unready, supervisor.metrics)
    await ops.start(ops_listener, None)
    try:
        await supervisor.start()
        await on_ready(urls)
        await supervisor.run()
    except StartError:
        await supervisor.stop()
        raise
    code = await supervisor.stop()
    await ops.close()
    return code


def _lock(settings: Settings) -> int:
    """One supervisor a data directory; the lock ends with its process."""
    path = os.path.join(settings.run_dir, "supervisor.lock")
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(fd, 32).decode("ascii", "replace").strip()
        os.close(fd)
        raise SettingsError(
            f"{settings.data_dir} is in use by process {holder or 'unknown'}. Stop it, or set "
            "TOLLWAY_DATA_DIR to another folder."
        ) from error
    os.ftruncate(fd, 0)
    os.write(fd, str(os.getpid()).encode())
    return fd
