"""Puts the ledger right where what an attempt has used became known after it was booked: as a
correction, once, however often it is told; then counters are counted again, and only then is it
forgotten. So ledger and counters cannot part, whoever dies in between.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from tollway.app.ports_background import AmendableLedger, Found, FoundNotes
from tollway.app.pricing import Pricing
from tollway.domain.receipt import Receipt
from tollway.domain.usage import USAGE_CLASSES

_log = logging.getLogger(__name__)
_AT_ONCE = 100
_WAITS_S = 7 * 86_400.0  # for an attempt's first outcome, which is in a journal of this machine


class Amending:
    """For the one keeper of a machine, every few seconds. `count_again` has the counters of
    limits counted from the ledger; False: nobody could be told now."""

    def __init__(
        self,
        notes: FoundNotes,
        ledger: AmendableLedger,
        pricing: Pricing,
        count_again: Callable[[], bool],
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._notes = notes
        self._ledger = ledger
        self._pricing = pricing
        self._count_again = count_again
        self._now_s = now_s

    def book(self) -> list[Found]:
        """Put right what there is; what the ledger has now. Nobody else may ship meanwhile. Raises
        StoreUnavailableError and OSError."""
        return [found for found in self._notes.found(_AT_ONCE) if self._amend(found)]

    def tell(self, booked: Sequence[Found]) -> bool:
        """Have counters hear of it, and forget it; False: it is to be told again. Raises
        OSError."""
        if not booked or not self._count_again():
            return False
        for found in booked:
            self._notes.forget(found)
            _log.info(
                "an answer in the background was booked",
                extra={"request": found.request_id, "attempt": found.attempt},
            )
        return True

    def _amend(self, found: Found) -> bool:
        """Whether the ledger has it now. An attempt that is not shipped yet has no row."""
        rows = [row for row in self._ledger.rows(found.request_id) if row.attempt == found.attempt]
        if not rows:
            self._give_up_if_old(found)
            return False
        self._ledger.amend(self._pricing.priced([_as_used(rows[0], found)])[0])
        return True

    def _give_up_if_old(self, found: Found) -> None:
        """A first outcome that never comes was set aside: that is told elsewhere."""
        if self._now_s() - found.since_s > _WAITS_S:
            _log.warning(
                "an answer in the background has no entry that could be put right",
                extra={"request": found.request_id, "attempt": found.attempt},
            )
            self._notes.forget(found)


def _as_used(first: Receipt, found: Found) -> Receipt:
    """The attempt's outcome as it would have been booked, had this been known."""
    used: dict[str, Any] = dict(zip(USAGE_CLASSES, found.usage, strict=True))
    return first._replace(**used, usage_source="provider", cost_nusd=None, price_version=None)
