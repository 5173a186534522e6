"""The admin process: the control plane's HTTP, away from the data plane's loops. Started by the
supervisor with a listening socket; leaves when asked or left alone, after the answers under way.
"""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from tollway.adapters.control.lifeline import FINISH, ChildLifeline
from tollway.app.ports import StoreUnavailableError
from tollway.cli.logs import configure_logs
from tollway.config import Settings, SettingsError, from_values
from tollway.wiring.admin import Admin

_log = logging.getLogger(__name__)
_GRACE_S = 10
_CHECK_S = 1.0


class _Server(uvicorn.Server):
    """Leaves the signals to us: the usual server ends itself by the signal it got."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()


async def run(lifeline: ChildLifeline, settings: Settings, given: dict[str, Any]) -> None:
    """Serve until told to leave."""
    admin = await asyncio.to_thread(Admin, settings)
    server = _Server(
        uvicorn.Config(
            admin.app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            timeout_graceful_shutdown=_GRACE_S,
            timeout_keep_alive=int(settings.keepalive_timeout_s),
            ssl_certfile=settings.tls_cert_file,
            ssl_keyfile=settings.tls_key_file,
            lifespan="off",
            h11_max_incomplete_event_size=64 * 1024,
        ),
        lambda: lifeline.report("ready"),
    )
    loop = asyncio.get_running_loop()

    def leave(*_signal: Any) -> None:
        server.should_exit = True

    # Not the loop's handlers: they end with the loop. The server looks at `should_exit` often.
    for number in (signal.SIGTERM, FINISH):
        signal.signal(number, leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to handle
    lifeline.watch(loop, leave)
    checking = asyncio.create_task(_check_later(admin, leave))
    try:
        await server.serve(sockets=[socket.socket(fileno=given["listen_fd"])])
    finally:
        checking.cancel()
        for number in (signal.SIGTERM, FINISH):  # asked again, it would die of leaving
            signal.signal(number, signal.SIG_IGN)
        admin.close()


async def _check_later(admin: Admin, leave: Callable[[], None]) -> None:
    """A database that was away at the start may be one this program cannot use: then it ends, and
    its successor says why."""
    while not admin.checked:
        await asyncio.sleep(_CHECK_S)
        try:
            await asyncio.to_thread(admin.check)
        except StoreUnavailableError:
            continue
        except SettingsError as error:
            _log.error("the admin API ends", extra={"error": str(error)})
            leave()
            return


def main() -> None:
    """`python -m tollway.cli.admin FD`: FD is the lifeline to the supervisor."""
    lifeline = ChildLifeline(int(sys.argv[1]))
    given = lifeline.settings()
    settings = from_values(given["settings"])
    configure_logs("admin", settings.log_level)
    try:
        asyncio.run(run(lifeline, settings, given))
    except SettingsError as error:
        lifeline.report("refused", reason=str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
