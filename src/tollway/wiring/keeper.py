"""The keeper's parts: SQL for configuration and ledger, and the journals of this machine."""

import logging
from pathlib import Path

from tollway.adapters.journal.opening import recover_slot
from tollway.adapters.journal.reader import DiskJournalReader
from tollway.adapters.journal.slots import slot_folders, take_slot
from tollway.adapters.sql.ledger import SqlLedger
from tollway.adapters.sql.snapshot import SqlSnapshotStore
from tollway.adapters.system.clock import SystemClock
from tollway.app.jobs.ship import Shipped, Shipper
from tollway.config import Settings
from tollway.wiring.database import open_database
from tollway.wiring.options import journal_options

_log = logging.getLogger(__name__)


class Keeper:
    """What the keeper's loop calls; each method blocks and belongs in a thread."""

    def __init__(self, settings: Settings) -> None:
        self._engine = open_database(settings, upgrade=True)
        self._journal_dir = Path(settings.journal_dir)
        self._journal_options = journal_options(settings)
        self.snapshots = SqlSnapshotStore(self._engine)
        self._shipper = Shipper(
            DiskJournalReader(self._journal_dir), SqlLedger(self._engine), SystemClock()
        )

    def ship(self) -> Shipped:
        """One run of the shipper."""
        shipped = self._shipper.run_once()
        if shipped.damaged or shipped.trouble:
            _log.warning(
                "shipping",
                extra={"damaged": shipped.damaged, "trouble": "; ".join(shipped.trouble)},
            )
        return shipped

    def ship_all(self) -> None:
        """Close what dead owners left open, then ship until nothing is left or shipping fails."""
        self.recover()
        while True:
            shipped = self.ship()
            if not shipped.more or shipped.trouble:
                return

    def recover(self) -> None:
        """Close the attempts of slots that no worker owns; their workers died."""
        for folder in slot_folders(self._journal_dir):
            lock = take_slot(self._journal_dir, int(folder.name))
            if lock is None:
                continue
            try:
                recovery = recover_slot(lock, self._journal_options)
            finally:
                lock.release()
            if recovery.receipts or recovery.damaged:
                _log.warning(
                    "recovered a dead worker's journal",
                    extra={
                        "slot": folder.name,
                        "attempts": len(recovery.receipts),
                        "damaged": recovery.damaged,
                    },
                )
