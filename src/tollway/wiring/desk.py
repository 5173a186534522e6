"""What a command on this machine works with: the configuration, the usage figures, the secrets."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tollway.adapters.sql.directory import SqlConfiguration
from tollway.adapters.sql.usage import SqlUsageReader
from tollway.adapters.system.clock import SystemClock
from tollway.adapters.system.entropy import system_entropy
from tollway.config import Settings
from tollway.wiring.database import open_database
from tollway.wiring.master_key import master_box


class Desk:
    """Bound once per command."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        engine = self._engine = open_database(settings, upgrade=True)
        self.box = master_box(settings)
        self.entropy = system_entropy
        self.configuration = SqlConfiguration(engine, SystemClock())
        self.usage = SqlUsageReader(engine)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def now_s(self) -> int:
        """UTC seconds."""
        return int(time.time())


@contextmanager
def open_desk(settings: Settings) -> Iterator[Desk]:
    """A desk on the database; the embedded one is made and brought up to date first."""
    desk = Desk(settings)
    try:
        yield desk
    finally:
        desk.close()
