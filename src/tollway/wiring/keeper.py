"""The keeper's parts: SQL for configuration and ledger, and the journals of this machine."""

import logging
import os
import secrets
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tollway.adapters.control.price_file import publish_prices
from tollway.adapters.control.standing import count_again, ejected_targets
from tollway.adapters.disk.answers import tidy_answers
from tollway.adapters.disk.notes import DiskNotes
from tollway.adapters.journal.opening import recover_slot
from tollway.adapters.journal.options import JournalUnusableError
from tollway.adapters.journal.reader import DiskJournalReader
from tollway.adapters.journal.slots import is_held, slot_folders, source_of, take_slot
from tollway.adapters.sql.alerts import SqlAlerts
from tollway.adapters.sql.announce import VersionListener
from tollway.adapters.sql.counting import SqlCounts
from tollway.adapters.sql.directory import SqlConfiguration
from tollway.adapters.sql.gateways import SqlGateways
from tollway.adapters.sql.ledger import SqlLedger
from tollway.adapters.sql.pricing import SqlPriceSource
from tollway.adapters.sql.retention import SqlRetention
from tollway.adapters.sql.snapshot import SqlSnapshotStore
from tollway.adapters.system.clock import SystemClock
from tollway.adapters.system.entropy import system_entropy
from tollway.adapters.system.price_seed import read_seed
from tollway.app.jobs.alert import Alerts
from tollway.app.jobs.amend import Amending
from tollway.app.jobs.retain import Retention
from tollway.app.jobs.seed import seed_prices
from tollway.app.jobs.ship import Shipped, Shipper
from tollway.app.jobs.tell import Telling
from tollway.app.jobs.tidy import tidy
from tollway.app.pricing import Pricing
from tollway.config import Settings
from tollway.domain.audit import head_mac
from tollway.domain.gateways import GatewayRecord, counting_problem
from tollway.domain.hold import CounterRef
from tollway.wiring.database import open_database, prompt_database
from tollway.wiring.master_key import master_box
from tollway.wiring.notices import Notices
from tollway.wiring.options import answers_dir, audit_secret, journal_options, notes_dir

_log = logging.getLogger(__name__)
_SENDERS = 8


class Keeper:
    """What the keeper's loop calls; each method blocks and belongs in a thread."""

    def __init__(self, settings: Settings) -> None:
        self._engine = open_database(settings, upgrade=True)
        self._journal_dir = Path(settings.journal_dir)
        self._journal_options = journal_options(settings)
        self._shipping = threading.Lock()
        self._recovering = threading.Lock()
        self._closed: dict[str, int | None] = {}
        # What is published waits for nothing that takes its time, and is not kept by a dead line.
        self.snapshots = SqlSnapshotStore(prompt_database(settings))
        self._listener = VersionListener(self._engine)
        self._configuration = SqlConfiguration(self._engine, SystemClock())
        self._audit_secret = audit_secret(settings)
        self._audit_head = 0
        self._seeded = False
        self._gateways = SqlGateways(self._engine)
        self._gateway = GatewayRecord(
            _gateway_id(Path(settings.data_dir)),
            settings.workers,
            settings.redis_url is not None,
            int(time.time()),
            0,
        )
        self.counting_problem: str | None = None
        self._answers_dir = answers_dir(settings)
        self._run_dir = settings.run_dir
        self._counts = SqlCounts(self._engine)
        self._price_source = SqlPriceSource(self._engine)
        self._prices_published: object = None
        self._retention = Retention(
            SqlRetention(self._engine), SystemClock(), settings.ledger_retention_days
        )
        store = SqlAlerts(self._engine)
        self._alerts = Alerts(
            store,
            self._counts,
            SystemClock(),
            system_entropy,
            ejected=partial(ejected_targets, self._run_dir),
        )
        self._telling = Telling(
            store,
            Notices(settings, master_box(settings)),
            SystemClock(),
            senders=ThreadPoolExecutor(_SENDERS, "notices"),
        )
        ledger, pricing = SqlLedger(self._engine), Pricing(self._price_source)
        self._shipper = Shipper(
            DiskJournalReader(self._journal_dir), ledger, SystemClock(), pricing=pricing
        )
        self._amending = Amending(
            DiskNotes(notes_dir(settings)), ledger, pricing, partial(count_again, self._run_dir)
        )

    def hear(self, timeout_s: float) -> bool:
        """Whether the database told of a new version within the time."""
        return self._listener.wait(timeout_s)

    def ship(self, *, drain: bool = False) -> Shipped:
        """One run of the shipper."""
        with self._shipping:
            if not self._seeded:  # what is shipped without a price has none for good
                self._seed_prices()
            shipped = self._shipper.run_once(drain=drain)
        if shipped.damaged or shipped.trouble or shipped.quarantined:
            _log.warning(
                "shipping",
                extra={
                    "damaged": shipped.damaged,
                    "quarantined": shipped.quarantined,
                    "trouble": "; ".join(shipped.trouble),
                },
            )
        return shipped

    def beat(self) -> None:
        """Say that this gateway serves, and find out whether limits can hold with all that do. If
        not, no counter is handed out any more: then whoever is limited is refused."""
        now_s = int(time.time())
        mine = self._gateway._replace(seen_s=now_s)
        self._gateways.beat(mine)
        problem = counting_problem(self._gateways.live(now_s))
        if problem is not None and not self._gateways.limited():
            problem = None
        if problem is not None and problem != self.counting_problem:
            _log.error("limits do not hold", extra={"reason": problem})
        self.counting_problem = problem

    def leave(self) -> None:
        """This gateway serves no more."""
        self._telling.leave()
        self._gateways.leave(self._gateway.id)

    def count(
        self, refs: Sequence[CounterRef]
    ) -> tuple[list[dict[int, int]], dict[str, tuple[int, int]], list[str]]:
        """What counters have by the ledger, after everything settled here so far was shipped; how
        far each journal was shipped when that was so; and which journals nobody goes on with."""
        closed = self._closed_sources()
        self.ship_all()
        return *self._counts.sums(refs), closed

    def _closed_sources(self) -> list[str]:
        """The journals here that no worker writes: the next `ship_all` ships the end of them."""
        self.recover()
        return [
            source
            for folder in slot_folders(self._journal_dir)
            if (source := source_of(folder)) is not None
            and self._closed.get(folder.name) == _owned_ns(folder)
            and not is_held(folder)
        ]

    def publish_prices(self) -> None:
        """Give workers the price book, if it has changed."""
        mark = self._price_source.mark()
        if mark != self._prices_published:
            publish_prices(self._run_dir, self._price_source.read())
            self._prices_published = mark

    def amend(self) -> None:
        """Put right what was booked before it was known."""
        with self._shipping:  # of two that write an attempt's correction one would be lost
            booked = self._amending.book()
        self._amending.tell(booked)

    def tidy(self) -> None:
        """Clear away what is over."""
        tidy_answers(self._answers_dir, time.time())
        tidied = tidy(self._configuration)
        self._alerts.forget()
        if any(tidied):
            _log.info("cleared away", extra=tidied._asdict())

    def retain(self) -> None:
        """Make room for the ledger's next days, and remove entries whose time is over."""
        retained = self._retention.run_once()
        if any(retained):
            _log.info("entries of the ledger removed", extra=retained._asdict())

    def alert(self) -> None:
        """Notice what is to be told."""
        self._alerts.run_once()

    def tell(self) -> None:
        """Tell it."""
        self._telling.run_once()

    def export_audit_head(self) -> None:
        """Say in the log how long the audit is by now, with a proof: `audit verify --head` takes
        it. Silent while nothing changes."""
        with self._configuration.read() as uow:
            seq, digest = uow.audit.head()
        if seq != self._audit_head:
            self._audit_head = seq
            mac = head_mac(self._audit_secret, seq, digest)
            _log.info("audit head", extra={"head": f"{seq}:{mac}"})

    def ship_all(self) -> None:
        """Close what dead owners left open, then ship until nothing is left or shipping fails."""
        self.recover()
        while True:
            shipped = self.ship(drain=True)
            if not shipped.more or shipped.trouble:
                return

    def recover(self) -> None:
        """Close the attempts of slots that no worker owns; their workers died. A slot that nobody
        owned since it was last closed is passed over."""
        with self._recovering:
            for folder in slot_folders(self._journal_dir):
                if self._closed.get(folder.name) != _owned_ns(folder):
                    self._recover_slot(folder)

    def _seed_prices(self) -> None:
        """Put the package's prices into the book, what is missing of them: a newer package brings
        newer ones, and never takes one away."""
        added = seed_prices(self._configuration, read_seed())
        if added:
            _log.info("prices seeded", extra={"added": added})
        self._seeded = True

    def _recover_slot(self, folder: Path) -> None:
        lock = take_slot(self._journal_dir, int(folder.name))
        if lock is None:
            return
        try:
            recovery = recover_slot(lock, self._journal_options)
            self._closed[folder.name] = _owned_ns(folder)
        except JournalUnusableError as error:
            _log.error("a dead worker's journal cannot be closed", extra={"error": str(error)})
            return
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


def _owned_ns(folder: Path) -> int | None:
    """When the slot's lock was last taken: each owner writes its process id into the file."""
    try:
        return os.stat(folder / "lock").st_mtime_ns
    except FileNotFoundError:
        return None


def _gateway_id(data_dir: Path) -> str:
    """Made once for a data directory: a gateway that was killed is the same when it is back."""
    path = data_dir / "gateway.id"
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        made = secrets.token_hex(8)
        path.write_text(f"{made}\n", encoding="ascii")
        return made
