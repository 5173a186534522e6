"""How limits and targets stand, asked of this machine's workers."""

import logging
import os

from tollway.adapters.control.client import ControlError, ask_now
from tollway.app.ports_alerts import Ejected
from tollway.domain.hold import Stand
from tollway.domain.quota import QuotaRecord, place_of

_log = logging.getLogger(__name__)
_TIMEOUT_S = 1.0


class WorkerStands:
    """Implements `app.ports_admin.StandReader`: the first worker that knows answers."""

    def __init__(self, run_dir: str) -> None:
        self._run_dir = run_dir

    def read(self, quota: QuotaRecord, member: str | None) -> Stand | None:
        """None: no worker here counts on it."""
        for path in worker_sockets(self._run_dir):
            try:
                answer = ask_now(
                    path,
                    "stand",
                    timeout_s=_TIMEOUT_S,
                    place=place_of(quota),
                    quota=quota.id,
                    member=member,
                )
            except ControlError as error:
                _log.debug("worker not reached", extra={"error": str(error)})
                continue
            if answer["stand"] is not None:
                return Stand(*answer["stand"])
        return None

    def reopen(self) -> bool:
        """Have strict limits wait no more for gateways that are away. False: nobody could."""
        for path in worker_sockets(self._run_dir):
            try:
                if ask_now(path, "reopen", timeout_s=_TIMEOUT_S)["done"]:
                    return True
            except ControlError as error:
                _log.debug("worker not reached", extra={"error": str(error)})
        return False


def count_again(run_dir: str) -> bool:
    """Have this machine's workers count limits from the ledger again. False: one that lives did not
    hear of it, or none is there; to be asked again, for all of them."""
    told, missed = 0, 0
    for path in worker_sockets(run_dir):
        try:
            ask_now(path, "count_again", timeout_s=_TIMEOUT_S)
            told += 1
        except ControlError as error:
            _log.debug("worker not reached", extra={"error": str(error)})
            # Where nobody listens nobody counts: a successor begins with what the ledger has.
            missed += not isinstance(error.__cause__, ConnectionRefusedError | FileNotFoundError)
    return told > 0 and not missed


def ejected_targets(run_dir: str) -> list[Ejected]:
    """The targets that do not answer, as this machine's workers have seen it."""
    found: dict[Ejected, None] = {}
    for path in worker_sockets(run_dir):
        try:
            answer = ask_now(path, "ejected", timeout_s=_TIMEOUT_S)
        except ControlError as error:
            _log.debug("worker not reached", extra={"error": str(error)})
            continue
        found.update(dict.fromkeys(Ejected(*one) for one in answer["targets"]))
    return list(found)


def worker_sockets(run_dir: str) -> list[str]:
    """Where this machine's workers can be asked."""
    if not os.path.isdir(run_dir):
        return []
    names = sorted(name for name in os.listdir(run_dir) if name[:-5].isdigit())
    return [os.path.join(run_dir, name) for name in names if name.endswith(".sock")]
