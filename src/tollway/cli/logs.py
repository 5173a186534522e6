"""Logs: one JSON object a line on stderr. Ids, sizes and statuses; never bodies, never secrets."""

import logging
import re
import sys
import time

import msgspec

from tollway.domain.key import KEY_PATTERN
from tollway.domain.token import TOKEN_PATTERN

_SECRETS = re.compile(
    rf"{KEY_PATTERN}|{TOKEN_PATTERN}|\bsk-[A-Za-z0-9_-]{{8,}}|(?i:bearer)\s+[^\s\"']{{8,}}"
    r"|\beyJ[\w-]{10,}\.[\w.-]{10,}"  # a JWT
)
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Every value is escaped by JSON and redacted: a log line cannot be forged or leak a key."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "process": self._process,
            "message": record.getMessage(),
        }
        line.update(
            {name: str(value) for name, value in vars(record).items() if name not in _STANDARD}
        )
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return _SECRETS.sub("[redacted]", msgspec.json.encode(line).decode())


def configure_logs(process: str, level: str) -> None:
    """Send this process's logs to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(process))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Their "info" tells of their own plugins and contexts, not of what we do.
    for name in ("alembic", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)
