"""What a connection, its handler and its server ask of each other."""

from enum import IntEnum
from typing import Protocol

from tollway.web.gateway.answer import Answer
from tollway.web.gateway.options import ServerOptions
from tollway.web.gateway.request import Request


class Handler(Protocol):
    """Where requests go."""

    def handle(self, request: Request, client: Answer) -> None:
        """Called when a request is complete; answers through `client`, now or later."""

    def body_limit(self, method: bytes, path: bytes) -> int:
        """How many bytes the body of such a request may have."""


class State(IntEnum):
    """What happens to bytes that come in on a connection."""

    READING = 0  # they become requests
    ANSWERING = 1  # they wait
    BLOCKED = 2  # they wait until the client has taken the last answer
    LINGERING = 3  # they are dropped; our FIN is out or on its way
    CLOSED = 4


class Guest(Protocol):
    """What a server needs of its connections."""

    deadline: float  # monotonic seconds
    state: State
    peer_ip: str

    @property
    def busy(self) -> bool:
        """Whether a client would miss something if this connection ended now."""

    def expire(self, now: float) -> None:
        """The deadline has passed."""

    def check_peer(self) -> bool:
        """Ask the socket whether the client is still there. False: no longer needed."""

    def hurry(self) -> None:
        """The server drains: end the connection soon if nothing is going on."""

    def kill(self) -> None:
        """End it now, whatever is going on."""


class Host(Protocol):
    """What a connection needs of the server it belongs to."""

    options: ServerOptions
    handler: Handler
    draining: bool
    now: float  # monotonic seconds, as of the last sweep
    date_line: bytes

    def admit(self, guest: Guest, *, exempt: bool) -> bool:
        """Register a new connection, or say that there is no room."""

    def release(self, guest: Guest) -> None:
        """The connection is gone."""

    def settled(self) -> None:
        """An answer is complete (only called while draining)."""

    def cannot_see(self, guest: Guest) -> None:
        """This connection no longer reads: `check_peer` at every sweep."""

    def count(self, code: str) -> None:
        """Count a protocol refusal."""
