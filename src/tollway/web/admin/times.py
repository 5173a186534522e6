"""Times on the wire: RFC 3339 in UTC. Inside they are UTC seconds."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, Field


def _text(given: object) -> object:
    if isinstance(given, str) and not given.strip().lstrip("+-").replace(".", "", 1).isdigit():
        return given
    raise ValueError("Write a time as in 2027-01-31T12:00:00Z.")


Moment = Annotated[AwareDatetime, BeforeValidator(_text), Field(examples=["2027-01-31T12:00:00Z"])]


def moment(seconds: int | None) -> datetime | None:
    """For an answer."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def moment_of(seconds: int) -> datetime:
    """For an answer that always has it."""
    return datetime.fromtimestamp(seconds, UTC)


def seconds(given: datetime | None) -> int | None:
    """From a request."""
    return None if given is None else int(given.timestamp())
