"""What the commands share: settings with a prepared data directory, and the running gateway on the
same data directory, if there is one.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec

from tollway.adapters.control.client import ControlError, ask_now
from tollway.app.ports import SecretError, StoreUnavailableError
from tollway.cli.data_dir import prepare_data_dir
from tollway.cli.keeper import SOCKET_NAME
from tollway.cli.outcomes import REFUSED, CommandError
from tollway.config import Settings, SettingsError, load_settings
from tollway.wiring.desk import Desk, open_desk


def command_settings(data_dir: str | None) -> Settings:
    """Settings for a command; the data directory is made if it does not exist."""
    settings = load_settings(os.environ, overrides={"data_dir": data_dir})
    return prepare_data_dir(settings).settings


@contextmanager
def desk_for(data_dir: str | None) -> Iterator[Desk]:
    """A desk; what goes wrong inside ends the command with one clear line and its exit code."""
    try:
        with open_desk(command_settings(data_dir)) as desk:
            yield desk
    except CommandError as error:
        fail(str(error), error.code)
    except (SettingsError, SecretError) as error:
        fail(str(error))
    except StoreUnavailableError as error:
        fail(f"The database cannot be used right now: {error}")


def fail(message: str, code: int = REFUSED) -> NoReturn:
    """Say it on stderr and leave."""
    print(f"tollway: {message}", file=sys.stderr)
    sys.exit(code)


class Running:
    """The gateway that runs on this data directory."""

    def __init__(self, run_dir: str, state: dict[str, Any]) -> None:
        self._run_dir = run_dir
        self.pid: int = state["pid"]
        self.worker_pids: list[int] = [worker["pid"] for worker in state["workers"]]
        self.admin_pid: int = state["admin_pid"]
        self.gateway_url: str = state["gateway_url"]
        self.ops_url: str = state["ops_url"]
        self.admin_url: str = state["admin_url"]
        self.slots: list[int] = [worker["slot"] for worker in state["workers"]]

    def publish(self) -> int:
        """Make every worker serve what was just written; the version they serve."""
        return int(ask_now(self._keeper(), "publish")["version"])

    def ship(self) -> None:
        """Bring all journalled usage into the ledger now."""
        ask_now(self._keeper(), "ship", timeout_s=30.0)

    def missing_variables(self, names: list[str]) -> list[str]:
        """Which of these environment variables some worker does not have."""
        missing = set()
        for slot in self.slots:
            path = os.path.join(self._run_dir, f"{slot}.sock")
            present = ask_now(path, "environment", names=names)["present"]
            missing |= set(names) - set(present)
        return sorted(missing)

    def _keeper(self) -> str:
        return os.path.join(self._run_dir, SOCKET_NAME)


def find_running(settings: Settings) -> Running | None:
    """The running gateway, or None; a state file left by a killed one counts as none."""
    try:
        state = msgspec.json.decode((Path(settings.run_dir) / "state.json").read_bytes())
        os.kill(state["pid"], 0)
    except (FileNotFoundError, ProcessLookupError, msgspec.DecodeError):
        return None
    except PermissionError:
        pass
    return Running(settings.run_dir, state)


def publish_if_running(settings: Settings) -> bool:
    """Whether a running gateway now serves what was written."""
    running = find_running(settings)
    if running is None:
        return False
    try:
        running.publish()
    except ControlError as error:
        click.echo(f"Saved; the running gateway does not serve it yet: {error}", err=True)
        return False
    return True
