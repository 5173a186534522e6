"""The admin API on a real socket in this process, and commands run against it."""

import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvicorn
from click.testing import CliRunner, Result

from tests.fakes.control_plane import ADMIN_TOKEN, ControlPlane
from tests.fakes.database import database
from tollway.cli.root import root


class AdminServer:
    """One control plane on a new database in a folder; answers until closed. `pem`: a file with a
    certificate and its key, for TLS."""

    def __init__(self, folder: Path, *, pem: Path | None = None) -> None:
        self.folder = folder
        self.engine = database(folder)
        self.plane = ControlPlane(self.engine)
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if pem else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            self.plane.app,
            log_config=None,
            lifespan="off",
            ws="none",
            access_log=False,
            ssl_certfile=pem,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.should_exit = True
        self._thread.join(10)
        self.plane.close()
        self.engine.dispose()

    def run(
        self,
        *arguments: str,
        given: str | None = None,
        token: str = ADMIN_TOKEN,
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """A command that goes to this server; its exit code, output and errors."""
        environ: dict[str, Any] = {
            "TOLLWAY_ADMIN_URL": self.url,
            "TOLLWAY_TOKEN": token,
            "TOLLWAY_DATA_DIR": str(self.folder / "nowhere"),
            **(env or {}),
        }
        return CliRunner().invoke(root, list(arguments), input=given, env=environ)

    def told(self, *arguments: str, **more: Any) -> str:
        """The output of a command that must succeed."""
        done = self.run(*arguments, **more)
        assert done.exit_code == 0, (
            f"{arguments}: {done.exit_code}\n{done.output}\n{done.exception}"
        )
        return done.stdout
