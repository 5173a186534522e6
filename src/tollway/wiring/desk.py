"""What a command on this machine works with: the configuration, the usage figures, the secrets."""

import getpass
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tollway.adapters.control.standing import WorkerStands
from tollway.adapters.journal.reader import DiskJournalReader
from tollway.adapters.sql.counting import SqlCounts
from tollway.adapters.sql.directory import SqlConfiguration
from tollway.adapters.sql.ledger import SqlLedger
from tollway.adapters.sql.ledger_attempts import SqlAttempts
from tollway.adapters.sql.ledger_reading import SqlLedgerReader
from tollway.adapters.sql.retention import SqlRetention
from tollway.adapters.sql.usage import SqlUsageReader
from tollway.adapters.system.clock import SystemClock
from tollway.adapters.system.entropy import system_entropy
from tollway.app.admin.work import Work
from tollway.app.jobs.retain import Retention
from tollway.app.ports_admin import UnitOfWork
from tollway.config import Settings
from tollway.domain.policy import Actor
from tollway.wiring.database import open_database
from tollway.wiring.master_key import master_box

_MANY = 1_000_000


class Desk:
    """Bound once per command."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        engine = self._engine = open_database(settings, upgrade=True)
        self.box = master_box(settings)
        self.entropy = system_entropy
        self.configuration = SqlConfiguration(engine, SystemClock())
        self.usage = SqlUsageReader(engine)
        self.ledger = SqlLedgerReader(engine)
        self.counts = SqlCounts(engine)
        self.stands = WorkerStands(settings.run_dir)
        self.attempts = SqlAttempts(engine)
        self.retention = Retention(
            SqlRetention(engine), SystemClock(), settings.ledger_retention_days
        )

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def work(self, uow: UnitOfWork) -> Work:
        """The work of whoever sits at this machine: they can read its master key, so they may do
        everything; the audit names them."""
        actor = Actor("cli", _user_name(), "cli", platform_admin=True)
        return Work(uow, actor, self.entropy, self.box)

    def waiting_outcomes(self) -> int:
        """How many outcomes of this machine's journals are not in the ledger yet."""
        reader = DiskJournalReader(Path(self.settings.journal_dir))
        ledger = SqlLedger(self._engine)
        return sum(
            len(reader.read(source, ledger.cursor(source), _MANY).receipts)
            for source in reader.sources()
        )

    def now_s(self) -> int:
        """UTC seconds."""
        return int(time.time())


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"


@contextmanager
def open_desk(settings: Settings) -> Iterator[Desk]:
    """A desk on the database; the embedded one is made and brought up to date first."""
    desk = Desk(settings)
    try:
        yield desk
    finally:
        desk.close()
