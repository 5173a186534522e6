"""Look-ups that stall or fail, and addresses that do not answer."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tollway.adapters.notices.deadline import Deadline
from tollway.adapters.notices.dialing import Dialer, UnreachableError


class Names:
    """A look-up in the test's hands: names that stall do so until the test ends."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.address = address
        self.release = threading.Event()

    def __call__(self, host: str, port: int) -> list[str]:
        if host.startswith("stalled"):
            self.release.wait(10)
        if host.startswith("unknown"):
            raise OSError("no such name")
        if host.startswith("odd"):
            raise UnicodeError("label too long")
        return [] if host.startswith("empty") else [self.address]


@pytest.fixture
def names() -> Iterator[Names]:
    made = Names()
    yield made
    made.release.set()


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener.getsockname()[1]


def dialer(names: Names) -> Dialer:
    return Dialer(lookup=names, any_forbidden=lambda addresses: False)


def reach(over: Dialer, host: str, port: int, owner: str | None = None) -> str:
    """The outcome as a word or a reason."""
    timeout_s = 0.02 if host.startswith("stalled") else 10
    try:
        over.dial(host, port, owner=owner, deadline=Deadline(timeout_s)).close()
    except TimeoutError:
        return "late"
    except UnreachableError as error:
        return str(error)
    return "reached"


def test_slow_names_of_ten_tenants_delay_nobody_else(names: Names, port: int) -> None:
    """Row 101 of the attacks: ten stalled tenants, then others and the platform; a stalled tenant's
    own third look-up is refused at once, and its places come back when the names do."""
    over = dialer(names)
    for number in range(10):
        assert reach(over, f"stalled-{number}", port, f"ten_{number}") == "late"
    busy = "too many names are being looked up at once"
    assert reach(over, "stalled-again", port, "ten_0") == "late"
    assert reach(over, "fine", port, "ten_0") == busy
    assert reach(over, "fine", port) == "reached"
    # This machine's own address is not a tenant's to reach: it got as far as the connection.
    assert "may not be" in reach(over, "fine", port, "ten_other")
    names.release.set()
    while (outcome := reach(over, "fine", port, "ten_0")) == busy:
        threading.Event().wait(0.005)
    assert "may not be" in outcome


def test_stalled_look_ups_are_bounded(names: Names, port: int) -> None:
    """Threads do not pile up, however many tenants there are; the platform's places stay free."""
    over = dialer(names)
    outcomes = [reach(over, "stalled", port, f"ten_{number}") for number in range(40)]
    assert outcomes.count("late") == 32
    assert set(outcomes[32:]) == {"too many names are being looked up at once"}
    assert reach(over, "fine", port) == "reached"


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("unknown", "its name could not be resolved"),
        ("odd", "its name could not be resolved"),
        ("empty", "its name has no address"),
    ],
)
def test_names_without_an_address(names: Names, port: int, host: str, reason: str) -> None:
    """Worth another attempt; a tenant's place is given back."""
    over = dialer(names)
    for _ in range(5):
        with pytest.raises(UnreachableError, match=reason) as caught:
            over.dial(host, port, owner="ten_1", deadline=Deadline(5))
        assert caught.value.retryable


def test_an_address_is_not_looked_up(port: int) -> None:
    """Literals skip it."""

    def lookup(host: str, port: int) -> list[str]:
        raise AssertionError(host)

    over = Dialer(lookup=lookup, any_forbidden=lambda addresses: False)
    over.dial("127.0.0.1", port, owner=None, deadline=Deadline(5)).close()


def test_the_next_address_is_tried(port: int) -> None:
    """One that refuses, one of a family that is not there, then the right one."""
    found = ["127.0.0.9", "::1", "127.0.0.1"]
    over = Dialer(lookup=lambda host, port: found, any_forbidden=lambda addresses: False)
    wire = over.dial("fine", port, owner=None, deadline=Deadline(5))
    assert wire.getpeername()[0] == "127.0.0.1"
    wire.close()


def test_no_time_left() -> None:
    """A deadline that has passed connects to nobody."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = dialer(Names())
        with pytest.raises(TimeoutError):
            over.dial(*listener.getsockname()[:2], owner=None, deadline=Deadline(0))
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
