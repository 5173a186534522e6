"""What would become of a request, asked of one of this machine's workers."""

import logging
from typing import Any

from tollway.adapters.control.client import ControlError, ask_now
from tollway.adapters.control.standing import worker_sockets
from tollway.app.ports_admin import RequestToExplain

_log = logging.getLogger(__name__)
_TIMEOUT_S = 5.0


class WorkerExplainer:
    """Implements `app.ports_admin.Explainer`: the first worker that answers."""

    def __init__(self, run_dir: str) -> None:
        self._run_dir = run_dir

    def explain(self, request: RequestToExplain) -> dict[str, Any] | None:
        """None: no gateway of this machine answers."""
        for path in worker_sockets(self._run_dir):
            try:
                answer = ask_now(path, "explain", timeout_s=_TIMEOUT_S, **request._asdict())
            except ControlError as error:
                _log.debug("worker not reached", extra={"error": str(error)})
                continue
            explanation: dict[str, Any] = answer["explanation"]
            return explanation
        return None
