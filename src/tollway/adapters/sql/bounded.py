"""A PostgreSQL connection that gives up on a server that says nothing: frozen, or behind a network
that swallows what is sent. The server's own timeouts cannot end such a wait. Imported only where
PostgreSQL is used: its driver is an extra.
"""

import time
from collections.abc import Generator
from typing import Any, ClassVar

import psycopg


class BoundedConnection(psycopg.Connection[Any]):
    """Every answer comes within `answer_timeout_s`, or the connection is closed and the caller gets
    an OperationalError. Whether the server still does what it was asked is not known then."""

    answer_timeout_s: ClassVar[float]

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """As the driver's, which resumes the generator every tenth of a second, ready or not."""
        return super().wait(self._bounded(gen), *args, **kwargs)

    def _bounded(self, gen: Any) -> Generator[Any, Any, Any]:
        deadline = time.monotonic() + self.answer_timeout_s
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > deadline:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(
                        f"no answer from the server within {self.answer_timeout_s:g} s"
                    )
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value


def connections(answer_timeout_s: float) -> type[BoundedConnection]:
    """The class of connections with this bound."""

    class _Connection(BoundedConnection):
        pass

    _Connection.answer_timeout_s = answer_timeout_s
    return _Connection
