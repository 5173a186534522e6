"""Ships journals into the ledger, batch by batch. Safe to stop, repeat or run twice at once at any
point: the store takes a batch and the cursor behind it in one transaction, and knows what it has.

Nothing is deleted here before the store has confirmed it. No sleeping, no threads: the caller
decides when to run again.
"""

from dataclasses import dataclass, replace

from tollway.app.ports import Clock, JournalBatch, JournalReader, LedgerStore, StoreUnavailableError
from tollway.app.pricing import Pricing


@dataclass(frozen=True, slots=True)
class ShipperOptions:
    """`batch_rows` bounds a transaction, `batches_per_source` what one journal may take of a run
    while others wait."""

    batch_rows: int = 2000
    batches_per_source: int = 20


@dataclass(frozen=True, slots=True)
class Shipped:
    """What one run did. `rows` were new in the ledger, out of `outcomes` read.

    `damaged` records could not be read and were stepped over; `quarantined` is how many outcomes
    stand aside in all, known whenever a batch was not new as a whole. `more` tells that a journal
    was left unfinished: run again at once. `lag_s` is the age of the last outcome shipped where
    more waits behind it. `trouble` says why a journal or the store could not be used: nothing is
    lost, run again later.
    """

    rows: int = 0
    outcomes: int = 0
    damaged: int = 0
    quarantined: int | None = None
    more: bool = False
    lag_s: float = 0.0
    trouble: tuple[str, ...] = ()


class Shipper:
    """Brings every journal of this machine into the ledger."""

    def __init__(
        self,
        reader: JournalReader,
        store: LedgerStore,
        clock: Clock,
        options: ShipperOptions | None = None,
        *,
        pricing: Pricing | None = None,
    ) -> None:
        """Without `pricing` rows have no cost."""
        self._reader = reader
        self._store = store
        self._clock = clock
        self._options = options or ShipperOptions()
        self._pricing = pricing
        self._run = Shipped()

    def run_once(self, *, drain: bool = False) -> Shipped:
        """Ship what there is, within the bounds of the options. Never raises for a store that is
        away or a journal that cannot be read.

        A transaction costs the same for ten rows as for a thousand, so what arrives while a batch
        is written waits for the next run; with `drain` nothing waits.
        """
        self._run = Shipped()
        try:
            for source in self._reader.sources():
                self._ship_source(source, drain=drain)
        except StoreUnavailableError as error:
            self._trouble(f"The ledger cannot be reached: {error}")
        except OSError as error:
            self._trouble(f"The journals cannot be listed: {error}")
        return self._run

    def _ship_source(self, source: str, *, drain: bool) -> None:
        cursor = self._store.cursor(source)
        try:
            for _ in range(self._options.batches_per_source):
                batch = self._reader.read(source, cursor, self._options.batch_rows)
                if batch.upto == cursor:
                    break
                self._append(source, batch)
                cursor = batch.upto
                if not drain and 0 < 2 * len(batch.receipts) < self._options.batch_rows:
                    break
            else:
                self._left_unfinished(batch)
            self._reader.forget(source, cursor)
        except OSError as error:
            self._trouble(f"Journal {source} cannot be used: {error}")

    def _append(self, source: str, batch: JournalBatch) -> None:
        receipts = batch.receipts
        if self._pricing is not None:
            receipts = self._pricing.priced(receipts)
        new = self._store.append(source, receipts, batch.upto)
        run, outcomes = self._run, len(batch.receipts)
        self._run = replace(
            run,
            rows=run.rows + new,
            outcomes=run.outcomes + outcomes,
            damaged=run.damaged + batch.damaged,
        )
        if new < outcomes:
            self._run = replace(self._run, quarantined=self._store.quarantined())

    def _left_unfinished(self, batch: JournalBatch) -> None:
        now_ns = self._clock.wall_ns()
        last_ns = batch.receipts[-1].ended_ns if batch.receipts else now_ns
        lag_s = max(self._run.lag_s, (now_ns - last_ns) / 1e9)
        self._run = replace(self._run, more=True, lag_s=lag_s)

    def _trouble(self, message: str) -> None:
        self._run = replace(self._run, trouble=(*self._run.trouble, message))
