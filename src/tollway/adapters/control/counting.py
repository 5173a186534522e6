"""A worker's counters asked of the keeper, which ships every journal and sums the ledger; and the
form in which both write what is asked.

A line: `{"do": "count", "source": ..., "slot": n, "shared": bool, "counters": [...]}`; the answer:
`{"used": [[[start_s, amount], ...], ...], "foreign": [...], "upto": [segment, offset], "others":
[[source, segment, offset], ...], "closed": [source, ...], "settling": bool}`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from tollway.adapters.control.client import ControlError, ask
from tollway.app.ports import Counted, StoreUnavailableError
from tollway.domain.hold import CounterRef

_TIMEOUT_S = 2.0


class KeeperCounting:
    """Implements `app.ports.Counting`. `shared`: the counters are other processes' too: nothing is
    handed over."""

    def __init__(self, keeper_path: str, slot: int, source: str, *, shared: bool = False) -> None:
        self._path = keeper_path
        self._slot = slot
        self._source = source
        self._shared = shared

    async def count(self, refs: Sequence[CounterRef]) -> Counted:
        """What the counters have by the ledger. Raises StoreUnavailableError."""
        try:
            answer = await ask(
                self._path,
                "count",
                timeout_s=_TIMEOUT_S,
                source=self._source,
                slot=self._slot,
                shared=self._shared,
                counters=msgspec.to_builtins(list(refs)),
            )
        except ControlError as error:
            raise StoreUnavailableError(str(error)) from error
        segment, offset = answer["upto"]
        used = [dict(map(tuple, pairs)) for pairs in answer["used"]]
        others = [(source, first, second) for source, first, second in answer["others"]]
        return Counted(
            used,
            answer["foreign"],
            (segment, offset),
            answer["settling"],
            others,
            answer["closed"],
        )


def read_counters(written: Any) -> list[CounterRef]:
    """What a worker asks for."""
    return msgspec.convert(written, list[CounterRef])
